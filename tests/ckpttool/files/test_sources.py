from __future__ import annotations

import copy
import os
import pickle
import socket
from contextlib import closing
from pathlib import Path
from typing import Callable, Dict, List

import pytest

from ckpttool.files import sources
from ckpttool.files.sources import FileSource, MemorySource, Part, read_bytes, read_together
from ckpttool.findings import rules
from ckpttool.findings.errors import UnreadableError, UsageError
from tests.builders.changing import made_private, replaced, rewritten


def file(folder: Path, content: bytes = b"0123456789") -> Path:
    path = folder / "a.pth"
    path.write_bytes(content)
    return path


def fifo(folder: Path) -> Path:
    os.mkfifo(folder / "fifo")
    return folder / "fifo"


def bound(folder: Path) -> Path:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "s"))
    return folder / "s"


def looping(folder: Path) -> Path:
    (folder / "loop").symlink_to("loop")
    return folder / "loop"


def below_a_file(folder: Path) -> Path:
    return file(folder) / "below"


NOT_READABLE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "missing": (lambda folder: folder / "gone", "no such file"),
    "folder": (lambda folder: folder, "not a regular file but a directory"),
    "fifo": (fifo, "not a regular file but a FIFO"),
    "device": (lambda _: Path("/dev/zero"), "not a regular file but a character device"),
    "socket": (bound, "not a regular file but a socket"),
    "link-to-itself": (looping, "Too many levels"),
    "made-by-the-system": (lambda _: Path("/proc/self/status"), "its size is 0"),
    "memory-of-a-process": (lambda _: Path("/proc/self/mem"), "Input/output error"),
    "below-a-file": (below_a_file, "Not a directory"),
    "long-name": (lambda folder: folder / ("n" * 300), "File name too long"),
    "nul-in-the-name": (lambda folder: folder / "a\0b", "null"),
}


@pytest.mark.parametrize("case", NOT_READABLE)
def test_what_is_no_readable_file_is_refused_at_once(case: str, tmp_path: Path) -> None:
    build, told = NOT_READABLE[case]
    path = str(build(tmp_path))
    with pytest.raises(UnreadableError, match=told) as caught:
        FileSource(path)
    assert (caught.value.rule, caught.value.path) == (rules.UNREADABLE, path)


@pytest.mark.skipif(os.geteuid() == 0, reason="everything is readable to root")
def test_a_file_without_permission_is_refused(tmp_path: Path) -> None:
    path = file(tmp_path)
    path.chmod(0)
    with pytest.raises(UnreadableError, match="Permission denied"):
        FileSource(str(path))


def test_a_file_that_becomes_a_fifo_before_it_is_opened_is_refused_and_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = file(tmp_path).stat()
    opened: list[int] = []

    def opening(path: str, flags: int) -> int:
        opened.append(os_open(path, flags))
        return opened[-1]

    os_open = os.open
    path = str(fifo(tmp_path))
    monkeypatch.setattr(os, "open", opening)
    monkeypatch.setattr(os, "stat", lambda _: before)
    with pytest.raises(UnreadableError, match="not a regular file but a FIFO"):
        FileSource(path)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(*opened)


def test_an_error_of_the_disk_has_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(fd: int, buffer: memoryview, offset: int) -> int:
        if offset >= 4:
            raise OSError(5, "Input/output error")
        return read_some(fd, buffer[:4], offset)

    read_some = sources.read_some
    with closing(FileSource(str(file(tmp_path)))) as source:
        monkeypatch.setattr(sources, "read_some", failing)
        assert read_bytes(source, 0, 4) == b"0123"
        with pytest.raises(UnreadableError, match="Input/output error") as caught:
            read_bytes(source, 0, 6)
    assert (caught.value.offset, caught.value.path) == (4, source.name)


def test_a_part_ends_where_it_does_and_changes_with_its_file(tmp_path: Path) -> None:
    path = file(tmp_path)
    with closing(FileSource(str(path))) as source:
        part = Part(source, 2, 4)
        assert read_bytes(part, 1, 3) == b"345"
        for offset, length in ((1, 4), (-1, 2), (5, 1)):
            with pytest.raises(UnreadableError, match="the bytes end early"):
                read_bytes(part, offset, length)
        part.check_unchanged()
        path.write_bytes(b"another content")
        with pytest.raises(UnreadableError, match="changed"):
            part.check_unchanged()


def test_bytes_are_read_by_position_in_any_order(tmp_path: Path) -> None:
    source = FileSource(str(file(tmp_path)))
    assert (source.size, read_bytes(source, 7, 3), read_bytes(source, 0, 2)) == (10, b"789", b"01")
    assert read_bytes(source, 10, 0) == b""
    source.check_unchanged()
    source.close()
    source.close()


def cut(path: Path) -> None:
    os.truncate(path, 5)


def grow(path: Path) -> None:
    with open(path, "ab") as stream:
        stream.write(b"more")


def touch(path: Path) -> None:
    os.utime(path, (1, 1))


def rewrite(path: Path) -> None:
    rewritten(path, b"xyz")


def replace(path: Path) -> None:
    replaced(path, b"0123456789")


CHANGES: List[Callable[[Path], None]] = [cut, grow, touch, rewrite, replace, made_private]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("resting", [False, True], ids=["open", "resting"])
def test_a_file_that_changes_is_noticed(
    change: Callable[[Path], None], resting: bool, tmp_path: Path
) -> None:
    path = file(tmp_path)
    source = FileSource(str(path))
    if resting:
        source.rest()
    source.check_unchanged()
    change(path)
    with pytest.raises(UnreadableError, match="changed while") as caught:
        source.check_unchanged()
    assert caught.value.rule is rules.CHANGED
    source.close()


TOLD: Dict[Callable[[Path], None], str] = {
    cut: "found 5 bytes",
    grow: "found 14 bytes",
    touch: "another time of its last writing",
    rewrite: "its time put back, or got other attributes",
    replace: "no name any more",
    made_private: "or got other attributes",
}


@pytest.mark.parametrize("change", TOLD)
def test_what_shows_that_a_file_changed_is_said(
    change: Callable[[Path], None], tmp_path: Path
) -> None:
    path = file(tmp_path)
    with closing(FileSource(str(path))) as source:
        change(path)
        with pytest.raises(UnreadableError, match=TOLD[change]):
            source.check_unchanged()


def test_another_file_under_the_name_of_a_resting_one_is_said(tmp_path: Path) -> None:
    path = file(tmp_path)
    with closing(FileSource(str(path))) as source:
        source.rest()
        replace(path)
        with pytest.raises(UnreadableError, match="another file under its name"):
            read_bytes(source, 0, 4)


def test_reading_alone_is_no_change(tmp_path: Path) -> None:
    path = file(tmp_path)
    with closing(FileSource(str(path))) as source:
        path.read_bytes()
        source.check_unchanged()


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="no names for what is open")
def test_a_file_without_a_name_is_read_where_it_had_none_before(tmp_path: Path) -> None:
    path = file(tmp_path)
    with path.open("rb") as held:
        path.unlink()
        with closing(FileSource(f"/proc/self/fd/{held.fileno()}")) as source:
            assert read_bytes(source, 0, 4) == b"0123"
            source.check_unchanged()


def test_a_file_that_is_cut_is_noticed_where_its_bytes_end(tmp_path: Path) -> None:
    path = file(tmp_path)
    source = FileSource(str(path))
    cut(path)
    with pytest.raises(UnreadableError, match="changed while") as caught:
        read_bytes(source, 2, 8)
    assert caught.value.offset == 5
    source.close()


def test_a_file_that_was_replaced_is_read_as_it_was_opened(tmp_path: Path) -> None:
    path = file(tmp_path)
    source = FileSource(str(path))
    path.unlink()
    file(tmp_path, b"other bytes")
    assert read_bytes(source, 0, 4) == b"0123"
    source.close()


def test_a_resting_source_reads_its_file_and_no_other(tmp_path: Path) -> None:
    path = file(tmp_path)
    source = FileSource(str(path))
    source.rest()
    assert (source.fileno(), read_bytes(source, 3, 4)) == (-1, b"3456")
    path.unlink()
    file(tmp_path, b"9876543210")
    with pytest.raises(UnreadableError, match="changed while"):
        read_bytes(source, 3, 4)
    path.unlink()
    with pytest.raises(UnreadableError, match="no such file"):
        read_bytes(source, 3, 4)
    source.close()


def test_a_closed_source_stays_closed_whatever_is_asked_of_it(tmp_path: Path) -> None:
    source = FileSource(str(file(tmp_path)))
    source.close()
    source.rest()
    for ask in (source.check_unchanged, lambda: read_bytes(source, 0, 1)):
        with pytest.raises(UsageError, match="the file is closed"):
            ask()


def test_a_source_that_nobody_closes_gives_its_descriptor_back(tmp_path: Path) -> None:
    source = FileSource(str(file(tmp_path)))
    descriptor = source.fileno()
    del source
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copy_is_the_source_itself_and_its_file_stays_open(
    tmp_path: Path, copied: Callable[[FileSource], FileSource]
) -> None:
    source = FileSource(str(file(tmp_path)))
    other = copied(source)
    assert other is source
    del other
    assert read_bytes(source, 0, 4) == b"0123"
    source.close()


def test_an_open_file_cannot_be_pickled(tmp_path: Path) -> None:
    source = FileSource(str(file(tmp_path)))
    with pytest.raises(TypeError, match="open file cannot be pickled"):
        pickle.dumps(Part(source, 0, 4))
    source.close()


# --- several readings at a time ------------------------------------------------------------


class Counted(MemorySource):
    """Bytes that say how often they were read."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data, "counted")
        self.calls: list[tuple[int, int]] = []

    def read_into(self, offset: int, buffer: memoryview) -> None:
        self.calls.append((offset, len(buffer)))
        super().read_into(offset, buffer)


@pytest.mark.parametrize(
    ("places", "calls"),
    [
        pytest.param([(0, 4), (4, 4), (100, 8)], [(0, 108)], id="close"),
        pytest.param([(0, 4), (90_000, 4)], [(0, 4), (90_000, 4)], id="far"),
        pytest.param([(50, 4), (0, 4)], [(50, 4), (0, 4)], id="backward"),
        pytest.param([(0, 8), (4, 8)], [(0, 8), (4, 8)], id="overlapping"),
        pytest.param([(0, 40_000), (40_000, 4)], [(0, 40_000), (40_000, 4)], id="long, short"),
        pytest.param([(0, 4), (4, 40_000)], [(0, 4), (4, 40_000)], id="short, long"),
        pytest.param([(0, 9000), (9000, 9000), (18_000, 9)], [(0, 18_000), (18_000, 9)], id="full"),
        pytest.param([(5, 0), (5, 2)], [(5, 2)], id="empty"),
        pytest.param([], [], id="none"),
    ],
)
def test_short_readings_that_lie_close_together_take_one_call(
    places: list[tuple[int, int]], calls: list[tuple[int, int]]
) -> None:
    data = bytes(range(251)) * 400
    source = Counted(data)
    filled = [bytearray(length) for _, length in places]
    readings = [(source, at, memoryview(out)) for (at, _), out in zip(places, filled)]
    read_together(readings, memoryview(bytearray(18_004)))
    assert filled == [data[at : at + length] for at, length in places]
    assert source.calls == calls


def test_readings_of_two_sources_are_not_mixed_up() -> None:
    one, two = Counted(b"0123456789"), Counted(b"abcdefghij")
    filled = [bytearray(2) for _ in range(3)]
    readings = [
        (source, at, memoryview(out)) for source, at, out in zip((one, two, one), (0, 2, 4), filled)
    ]
    read_together(readings, memoryview(bytearray(100)))
    assert filled == [b"01", b"cd", b"45"]
