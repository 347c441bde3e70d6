from __future__ import annotations

import errno
import os
import resource
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, List

import pytest

from ckpttool.files.destination import Destination
from ckpttool.files.leftovers import clean
from ckpttool.files.positional import write_at
from ckpttool.files.sources import FileSource
from ckpttool.files.temporary import temporary_path
from ckpttool.findings.errors import CkpttoolError, OutputError, UsageError
from tests.builders.processes import PATIENCE, started

NEW, OLD = b"new content", b"old"

needs_fallocate = pytest.mark.skipif(
    not hasattr(os, "posix_fallocate"), reason="the system cannot set room aside"
)


def save(path: Path, content: bytes = NEW, **options: Any) -> None:
    """Write a file the way a conversion does."""
    save_all({path: content}, **options)


def save_all(contents: dict[Path, bytes], stale: tuple[str, ...] = (), **options: Any) -> None:
    """Write several files that appear together."""
    with Destination(**options) as destination:
        destination.check({str(path): len(content) for path, content in contents.items()})
        for path, content in contents.items():
            file = destination.create(str(path), len(content))
            write_at(file.fd, memoryview(content), 0)
        destination.publish(stale)


def names(folder: Path) -> List[str]:
    """All that is in a folder, hidden files too."""
    return sorted(path.name for path in folder.iterdir())


def code_of(error: pytest.ExceptionInfo[CkpttoolError]) -> str:
    assert error.value.rule is not None
    return error.value.rule.code


@pytest.mark.parametrize("sync", [True, False])
@pytest.mark.parametrize("force", [True, False])
def test_a_file_appears_whole_and_alone(tmp_path: Path, force: bool, sync: bool) -> None:
    save(tmp_path / "m", force=force, sync=sync)
    assert names(tmp_path) == ["m"]
    assert (tmp_path / "m").read_bytes() == NEW


def test_nothing_has_its_name_before_it_is_published(tmp_path: Path) -> None:
    with Destination() as destination:
        file = destination.create(str(tmp_path / "m"), 5)
        assert names(tmp_path) == [Path(file.temporary).name]
        assert os.fstat(file.fd).st_size == 5
    assert names(tmp_path) == []


def test_the_new_file_has_the_usual_permissions(tmp_path: Path) -> None:
    save(tmp_path / "m")
    (tmp_path / "usual").touch()
    assert (tmp_path / "m").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_relative_name_lies_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with Destination() as destination:
        destination.check({"m": 3})
        destination.create("m", 3)
        destination.publish()
    assert names(tmp_path) == ["m"]


# --- what stands there -------------------------------------------------------------------------


def test_an_existing_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(OLD)
    with pytest.raises(OutputError) as caught:
        save(tmp_path / "m")
    assert code_of(caught) == "CVT103"
    assert (tmp_path / "m").read_bytes() == OLD
    assert names(tmp_path) == ["m"]


def test_force_replaces_an_existing_file(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(OLD)
    save(tmp_path / "m", force=True)
    assert (tmp_path / "m").read_bytes() == NEW
    assert names(tmp_path) == ["m"]


def test_other_names_of_a_replaced_file_keep_the_old_content(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(OLD)
    os.link(tmp_path / "other", tmp_path / "m")
    save(tmp_path / "m", force=True)
    assert (tmp_path / "other").read_bytes() == OLD
    assert (tmp_path / "m").read_bytes() == NEW


def _link(path: Path) -> None:
    path.with_name("target").write_bytes(OLD)
    path.symlink_to("target")


KINDS: dict[str, Callable[[Path], object]] = {
    "link": _link,
    "dangling link": lambda path: path.symlink_to("nowhere"),
    "link to itself": lambda path: path.symlink_to(path.name),
    "folder": lambda path: path.mkdir(),
    "fifo": lambda path: os.mkfifo(path),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("force", [True, False])
def test_only_a_plain_file_is_ever_replaced(tmp_path: Path, kind: str, force: bool) -> None:
    KINDS[kind](tmp_path / "m")
    before = names(tmp_path)
    with pytest.raises(OutputError) as caught:
        save(tmp_path / "m", force=force)
    assert code_of(caught) == "CVT104"
    assert names(tmp_path) == before


def _same(path: Path) -> Path:
    return path


def _hard_link(path: Path) -> Path:
    os.link(path, path.with_name("hard"))
    return path.with_name("hard")


def _soft_link(path: Path) -> Path:
    path.with_name("soft").symlink_to(path)
    return path.with_name("soft")


def _through_a_folder(path: Path) -> Path:
    path.with_name("folder").symlink_to(path.parent, target_is_directory=True)
    return path.with_name("folder") / path.name


@pytest.mark.parametrize("name", [_same, _hard_link, _soft_link, _through_a_folder])
@pytest.mark.parametrize("force", [True, False])
def test_a_source_is_never_replaced_by_any_name(
    tmp_path: Path, name: Callable[[Path], Path], force: bool
) -> None:
    (tmp_path / "source").write_bytes(OLD)
    source = FileSource(str(tmp_path / "source"))
    with pytest.raises(OutputError) as caught:
        save(name(tmp_path / "source"), force=force, sources=[source])
    assert code_of(caught) == "CVT105"
    assert (tmp_path / "source").read_bytes() == OLD


@pytest.mark.parametrize("path", ["-", ""])
def test_a_pipe_is_refused(path: str) -> None:
    with pytest.raises(UsageError, match="pipe"), Destination() as destination:
        destination.check({path: 1})


UNWRITABLE: dict[str, Callable[[Path], str]] = {
    "folder is missing": lambda folder: str(folder / "none" / "m"),
    "folder is a file": lambda folder: str(folder / "file" / "m"),
    "name with NUL": lambda folder: str(folder / "m\0"),
    "name too long": lambda folder: str(folder / ("m" * 250)),
}


@pytest.mark.parametrize("defect", UNWRITABLE)
@pytest.mark.parametrize("checked", [True, False])
def test_a_place_that_there_is_not_is_an_error_in_words(
    tmp_path: Path, defect: str, checked: bool
) -> None:
    (tmp_path / "file").write_bytes(OLD)
    path = UNWRITABLE[defect](tmp_path)
    with Destination() as destination, pytest.raises(OutputError) as caught:
        destination.check({path: 1}) if checked else destination.create(path, 1)
    assert code_of(caught) == "FIL007"
    assert names(tmp_path) == ["file"]


def test_room_is_asked_for_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError) as caught, Destination() as destination:
        destination.check({str(tmp_path / "m"): 1, str(tmp_path / "huge"): 1 << 60})
    assert code_of(caught) == "CVT106"
    assert names(tmp_path) == []


def test_what_stands_there_is_seen_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(OLD)
    with Destination() as destination, pytest.raises(OutputError, match="CVT103"):
        destination.check({str(tmp_path / "m"): 1})


# --- several files -------------------------------------------------------------------------------


def test_several_files_appear_in_the_order_of_their_creation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = []
    link = os.link

    def noted(source: str, target: str) -> None:
        order.append(Path(target).name)
        link(source, target)

    monkeypatch.setattr(os, "link", noted)
    save_all({tmp_path / "shard-1": b"1", tmp_path / "shard-2": b"2", tmp_path / "index": b"i"})
    assert order == ["shard-1", "shard-2", "index"]
    assert names(tmp_path) == ["index", "shard-1", "shard-2"]


def test_stale_files_go_when_the_new_ones_are_there(tmp_path: Path) -> None:
    for name in ("stale", "source", "kept"):
        (tmp_path / name).write_bytes(OLD)
    (tmp_path / "folder").mkdir()
    source = FileSource(str(tmp_path / "source"))
    stale = [str(tmp_path / name) for name in ("stale", "source", "folder", "none", "kept")]
    with Destination(force=True, sources=[source]) as destination:
        destination.create(str(tmp_path / "kept"), 0)
        remaining = destination.publish(stale)
    assert names(tmp_path) == ["folder", "kept", "source"]
    assert remaining == (stale[1], stale[2])


def test_stale_files_stay_when_the_new_ones_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stale").write_bytes(OLD)

    def fails(fd: int) -> None:
        raise OSError(errno.EIO, "a bad disk")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OutputError):
        save_all({tmp_path / "m": NEW}, stale=(str(tmp_path / "stale"),))
    assert names(tmp_path) == ["stale"]


def test_a_stale_name_that_is_a_link_now_stays(tmp_path: Path) -> None:
    (tmp_path / "stale").symlink_to("elsewhere")
    with Destination() as destination:
        destination.create(str(tmp_path / "m"), 0)
        assert destination.publish([str(tmp_path / "stale")]) == (str(tmp_path / "stale"),)
    assert (tmp_path / "stale").is_symlink()


# --- syncing -------------------------------------------------------------------------------


def noted(
    calls: List[str], monkeypatch: pytest.MonkeyPatch, folder_error: int | None = None
) -> None:
    """Note what is synced and named, in order; syncing a folder fails where an error is given."""
    fsync, link = os.fsync, os.link

    def synced(fd: int) -> None:
        folder = stat.S_ISDIR(os.fstat(fd).st_mode)
        calls.append("sync the folder" if folder else "sync a file")
        if folder and folder_error is not None:
            raise OSError(folder_error, "no")
        fsync(fd)

    def named(source: str, target: str) -> None:
        calls.append("name a file")
        link(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "link", named)


def test_every_file_is_on_the_disk_before_any_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: List[str] = []
    noted(calls, monkeypatch)
    save_all({tmp_path / "a": NEW, tmp_path / "b": NEW})
    assert calls == [*["sync a file"] * 2, *["name a file"] * 2, "sync the folder"]


def test_nothing_is_synced_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: List[str] = []
    noted(calls, monkeypatch)
    save(tmp_path / "m", sync=False)
    assert calls == ["name a file"]


def test_a_file_system_that_cannot_sync_folders_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted([], monkeypatch, errno.EINVAL)
    save(tmp_path / "m")
    assert (tmp_path / "m").read_bytes() == NEW


# --- failures ------------------------------------------------------------------------------

CALLS = ["open", "posix_fallocate", "ftruncate", "pwrite", "fsync", "link", "replace"]


class _FailingAt:
    """Lets the call number ``index`` of a function fail, and no other."""

    def __init__(self, real: Callable[..., Any], index: int, error: BaseException) -> None:
        self.real, self.left, self.error = real, index, error
        self.raised = False

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        self.left -= 1
        if self.left == -1:
            self.raised = True
            raise self.error
        return self.real(*arguments, **options)


@pytest.mark.parametrize("force", [True, False], ids=["force", "no force"])
@pytest.mark.parametrize("call", [call for call in CALLS if hasattr(os, call)])
@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EIO, "a bad disk"),
        OSError(errno.ENOSPC, "a full disk"),
        KeyboardInterrupt(),
    ],
    ids=["input-output", "full", "interrupted"],
)
def test_a_failure_anywhere_leaves_everything_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, error: BaseException, force: bool
) -> None:
    paths = [tmp_path / name for name in ("a", "b", "index")]
    old = {"a": OLD, "index": OLD + b"i"} if force else {"other": OLD}
    new = {**({} if force else old), **{path.name: NEW for path in paths}}
    failures = 0
    for index in range(20):
        for name in names(tmp_path):
            (tmp_path / name).unlink()
        for name, content in old.items():
            (tmp_path / name).write_bytes(content)
        with monkeypatch.context() as patch:
            failing = _FailingAt(getattr(os, call), index, error)
            patch.setattr(os, call, failing)
            failed = False
            try:
                save_all(dict.fromkeys(paths, NEW), force=force)
            except (OutputError, KeyboardInterrupt):
                failed = True
                failures += 1
        found = {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}
        # what looks for leftovers may fail and matters to nothing else
        assert found == (old if failed else new), f"{call} number {index}"
        if not failing.raised:
            break
    else:
        pytest.fail("there was no end to the calls")
    assert failures or (call == "replace" and not force)


@needs_fallocate
def test_room_is_taken_before_anything_is_written(tmp_path: Path) -> None:
    with Destination() as place:
        place.create(str(tmp_path / "m"), 1 << 20)
        (temporary,) = tmp_path.iterdir()
        assert temporary.stat().st_size == 1 << 20
        assert temporary.stat().st_blocks * 512 >= 1 << 20


@needs_fallocate
def test_a_file_system_that_sets_no_room_aside_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room_aside(fd: int, offset: int, nbytes: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "not here")

    monkeypatch.setattr(os, "posix_fallocate", no_room_aside)
    save(tmp_path / "m")
    assert (tmp_path / "m").read_bytes() == NEW


def test_a_file_system_without_hard_links_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(source: str, target: str) -> None:
        os.lstat(source)  # Linux looks for it first
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", no_links)
    save(tmp_path / "m")
    assert (tmp_path / "m").read_bytes() == NEW
    with pytest.raises(OutputError, match="CVT103"):
        save(tmp_path / "m")
    save(tmp_path / "m", OLD, force=True)
    save(tmp_path / "new", OLD, force=True)
    assert (tmp_path / "m").read_bytes() == (tmp_path / "new").read_bytes() == OLD
    assert names(tmp_path) == ["m", "new"]


@pytest.mark.parametrize("force", [False, True])
def test_without_hard_links_too_a_failure_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, force: bool
) -> None:
    def fails(source: str, target: str) -> None:
        os.lstat(source)  # Linux looks for it first
        raise OSError(errno.EPERM, "not here")

    monkeypatch.setattr(os, "link", fails)
    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(OutputError):
        save(tmp_path / "m", force=force)
    assert names(tmp_path) == []


def signalled(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_signal_while_a_run_cleans_up_does_not_keep_it_from_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def removing(path: str) -> bool:
        monkeypatch.undo()
        raise KeyboardInterrupt

    destination = Destination()
    destination.create(str(tmp_path / "m"), 1)
    monkeypatch.setattr("ckpttool.files.destination.remove", removing)
    with pytest.raises(KeyboardInterrupt):
        destination.__exit__(None, None, None)
    assert names(tmp_path) == []


def test_what_a_signal_and_a_failure_leave_is_put_right_by_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signal comes when the new file has its name, and the old one cannot be put back."""

    def failing(source: str, target: str) -> None:
        if source.endswith(".old"):
            raise OSError(errno.EIO, "Input/output error")
        replace(source, target)

    replace = os.replace
    (tmp_path / "m").write_bytes(OLD)
    monkeypatch.setattr(os, "replace", failing)
    monkeypatch.setattr(Destination, "_sync_folders", signalled)
    with pytest.raises(KeyboardInterrupt):
        save_all({tmp_path / "m": NEW, tmp_path / "n": NEW}, force=True)
    assert len(names(tmp_path)) > 1
    monkeypatch.undo()
    clean(str(tmp_path))
    assert names(tmp_path) == ["m"]
    assert (tmp_path / "m").read_bytes() == OLD


def test_only_ones_own_temporary_file_is_removed(tmp_path: Path) -> None:
    with Destination() as destination:
        temporary = Path(destination.create(str(tmp_path / "m"), 5).temporary)
        temporary.unlink()
        temporary.write_bytes(b"somebody else's")
    assert temporary.read_bytes() == b"somebody else's"


@pytest.mark.parametrize("links", [True, False])
def test_a_name_that_is_taken_meanwhile_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    def no_links(source: str, target: str) -> None:
        raise OSError(errno.EPERM, "no links here")

    if not links:
        monkeypatch.setattr(os, "link", no_links)
    with Destination() as destination:
        destination.create(str(tmp_path / "first"), 1)
        destination.create(str(tmp_path / "m"), 1)
        (tmp_path / "m").write_bytes(OLD)
        with pytest.raises(OutputError, match="CVT103"):
            destination.publish()
    assert names(tmp_path) == ["m"]
    assert (tmp_path / "m").read_bytes() == OLD


# --- other processes -----------------------------------------------------------------------

WRITER = """
import os, sys, time
from ckpttool.findings.errors import OutputError
from ckpttool.files.destination import Destination
from ckpttool.files.positional import write_at

path, content, force = sys.argv[1], sys.argv[2].encode(), sys.argv[3] == "force"
try:
    with Destination(force=force) as destination:
        files = [destination.create(path + end, len(content)) for end in ("", ".index")]
        for file in files:
            write_at(file.fd, memoryview(content), 0)
        print("ready", flush=True)
        sys.stdin.readline()
        destination.publish()
except OutputError as error:
    sys.exit(error.rule.code)
"""


def writer(path: Path, content: str, force: str = "") -> subprocess.Popen[str]:
    """Another process that has written everything and waits before it publishes."""
    return started(WRITER, str(path), content, force)


def test_of_two_writers_exactly_one_wins(tmp_path: Path) -> None:
    both = {content: writer(tmp_path / "m", content) for content in ("first", "second")}
    for process in both.values():
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = {content: process.communicate(timeout=30)[1] for content, process in both.items()}
    losers = [content for content, process in both.items() if process.returncode]
    assert len(losers) == 1
    assert said[losers[0]].strip() == "CVT103"
    (winner,) = set(both) - set(losers)
    assert names(tmp_path) == ["m", "m.index"]
    assert (tmp_path / "m").read_text() == (tmp_path / "m.index").read_text() == winner


def test_a_run_under_way_is_not_taken_for_a_leftover(tmp_path: Path) -> None:
    other = writer(tmp_path / "theirs", "theirs")
    save(tmp_path / "ours")
    assert len(names(tmp_path)) == 3
    _, said = other.communicate("go\n", timeout=30)
    assert (other.returncode, said) == (0, "")
    assert names(tmp_path) == ["ours", "theirs", "theirs.index"]


def test_the_leftovers_of_a_killed_run_are_removed_by_the_next(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(OLD)
    killed = writer(tmp_path / "m", "never", "force")
    killed.kill()
    killed.communicate(timeout=PATIENCE)
    assert len(names(tmp_path)) == 3
    assert (tmp_path / "m").read_bytes() == OLD
    save(tmp_path / "other")
    assert names(tmp_path) == ["m", "other"]


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGHUP])
def test_what_a_signal_means_is_left_to_the_process(stop: signal.Signals) -> None:
    before = signal.getsignal(stop)
    with Destination():
        assert signal.getsignal(stop) is before


KILLED = """
import os, sys
from ckpttool.files.destination import Destination

calls = [int(sys.argv[2])]
def dying(real):
    def call(*arguments, **options):
        result = real(*arguments, **options)
        calls[0] -= 1
        if calls[0] < 0:
            os.kill(os.getpid(), 9)
        return result
    return call

for name in ("link", "replace", "unlink"):
    setattr(os, name, dying(getattr(os, name)))
with Destination(force=True, sync=False) as destination:
    for name in ("a", "b", "index"):
        file = destination.create(os.path.join(sys.argv[1], name), 3)
        os.pwrite(file.fd, b"new", 0)
    destination.publish()
print("done")
"""


@pytest.mark.parametrize("calls", [*range(16), 50])
def test_a_kill_between_any_two_names_is_put_right_by_the_next_run(
    tmp_path: Path, calls: int
) -> None:
    old = {"a": OLD, "b": OLD, "index": OLD}
    for name, content in old.items():
        (tmp_path / name).write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), str(calls)],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == (0 if calls == 50 else -signal.SIGKILL)
    clean(str(tmp_path))
    found = {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}
    assert found in (old, dict.fromkeys(old, b"new"))
    # the ninth gives the last file its name; two names are made of each, and then it is renamed
    assert (found == old) == (calls < 8)


@pytest.mark.parametrize("fallible", ["flock", "listdir"])
def test_leftovers_that_cannot_be_told_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fallible: str
) -> None:
    leftover = temporary_path(str(tmp_path / "m"), "1" * 16, "tmp")
    (tmp_path / leftover).touch()

    def fails(*arguments: Any) -> Any:
        raise OSError(errno.ENOLCK, "no locks here")

    import fcntl

    monkeypatch.setattr(fcntl if fallible == "flock" else os, fallible, fails)
    assert clean(str(tmp_path)) == []
    monkeypatch.undo()
    assert clean(str(tmp_path)) == [Path(leftover).name]


@pytest.mark.parametrize(
    "name", [".m.ckpttool-12.tmp", "m.ckpttool-0123456789abcdef.tmp", ".m.tmp"]
)
def test_files_of_other_names_are_never_leftovers(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert clean(str(tmp_path)) == []
    assert names(tmp_path) == [name]


FULL = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
from ckpttool.findings.errors import OutputError
from ckpttool.files.destination import Destination
from ckpttool.files.positional import write_at
try:
    with Destination(force=True) as destination:
        file = destination.create(sys.argv[1], int(sys.argv[2]))
        for offset in range(0, 4 << 20, 1 << 18):
            write_at(file.fd, memoryview(bytes(1 << 18)), offset)
        destination.publish()
except OutputError as error:
    sys.exit(error.rule.code + " " + error.message)
"""


@pytest.mark.parametrize("nbytes", [0, 4 << 20], ids=["while writing", "when it is created"])
def test_a_file_that_grows_too_large_for_the_system_is_removed(tmp_path: Path, nbytes: int) -> None:
    (tmp_path / "m").write_bytes(OLD)
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "m"), str(nbytes)],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 1
    assert done.stderr == "FIL007 cannot be written: File too large\n"
    assert names(tmp_path) == ["m"]
    assert (tmp_path / "m").read_bytes() == OLD
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
