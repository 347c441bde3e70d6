"""After any failing call, what stood at the destination is whole, or all that is new is there."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, Tuple

import pytest

from tests.faults.injector import CALLS, CHANGING, Fault, Injector
from tests.faults.judging import FAULTS, Bench
from tests.faults.writers import SAMPLE, WRITERS, Writer

EIO = Fault("EIO", errno.EIO)


@pytest.fixture(scope="module", params=WRITERS, ids=lambda writer: writer.name)
def writer_and_bench(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Tuple[Writer, Bench]:
    return request.param, Bench(tmp_path_factory.mktemp("bench"), request.param)


def turn(writer: Writer, call: str) -> Fault:
    """Return one of the faults that fit: another for each writer, so that all have their turn."""
    fitting = [fault for fault in FAULTS if fault.fits(call)]
    return fitting[(WRITERS.index(writer) + CALLS.index(call)) % len(fitting)]


@pytest.mark.parametrize("call", CALLS)
def test_each_call_of_a_writer_may_fail(writer_and_bench: Tuple[Writer, Bench], call: str) -> None:
    writer, bench = writer_and_bench
    fault = turn(writer, call)
    wrong = [(one.number, one.wrong) for one in bench.every(call, fault) if one.wrong]
    assert not wrong, fault.name


def test_every_kind_of_call_that_changes_something_is_made(tmp_path: Path) -> None:
    made: Dict[str, int] = {}
    for number, writer in enumerate(WRITERS):
        root = tmp_path / str(number)
        root.mkdir()
        made.update(Bench(root, writer).counts)
    assert set(CHANGING) - {"mkdir"} <= set(made)


def test_a_sample_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    bench = Bench(tmp_path, SAMPLE)
    wrong = [
        (call, one.number, one.wrong)
        for call in CHANGING
        for one in bench.every(call, EIO)
        if one.wrong
    ]
    assert not wrong


def in_place(_: Path, folder: Path) -> List[str]:
    """Write as one should not."""
    try:
        fd = os.open(folder / "m", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        os.pwrite(fd, b"new", 0)
        os.close(fd)
    except OSError as error:
        return [f"{folder}: {error.strerror} [FIL007]"]
    return []


def forgetful(_: Path, folder: Path) -> List[str]:
    """Leave a temporary file where the naming fails."""
    fd = os.open(folder / ".m", os.O_RDWR | os.O_CREAT)
    os.pwrite(fd, b"new", 0)
    os.close(fd)
    try:
        os.replace(folder / ".m", folder / "m")  # noqa: PTH105
    except OSError:
        return [f"{folder / 'm'}: something went wrong"]
    return []


@pytest.mark.parametrize(
    ("write", "call", "wrong"),
    [
        (in_place, "pwrite", "neither old nor new: m neither"),
        (forgetful, "replace", "temporary files are left: .m"),
        (forgetful, "replace", "the reason is not told"),
        (forgetful, "replace", "no rule is told"),
    ],
)
def test_what_a_careless_writer_leaves_is_seen(
    tmp_path: Path, write: object, call: str, wrong: str
) -> None:
    def prepare(folder: Path) -> None:
        (folder / "m").write_bytes(b"old")

    bench = Bench(tmp_path, Writer("careless", prepare, write))  # type: ignore[arg-type]
    (result,) = bench.every(call, EIO)
    assert any(one.startswith(wrong) for one in result.wrong), result.wrong


def test_calls_about_other_folders_go_well(tmp_path: Path) -> None:
    folder, other = tmp_path / "folder", tmp_path / "folder beside"
    folder.mkdir()
    other.mkdir()
    with Injector(str(folder), EIO, "open") as injector:
        (other / "a").write_bytes(b"a")
        os.close(os.open(other / "a", os.O_RDONLY))
        with pytest.raises(OSError, match="Input/output error"):
            os.open(folder / "a", os.O_RDWR | os.O_CREAT)
        os.close(os.open(folder / "a", os.O_RDWR | os.O_CREAT))
    assert injector.counts["open"] == 1
    assert os.open is not None


# What Python says of itself: every change in the folder, whoever makes it and through what.
AUDITED = """
import sys
from pathlib import Path
from tests.faults.injector import Fault, Injector
from tests.faults.writers import WRITERS, make_sources

root = Path(sys.argv[1])
kinds = {"os.link": "link", "os.rename": "replace", "os.remove": "unlink", "os.mkdir": "mkdir"}
seen = {}
looking = []

def hook(event, arguments):
    if not looking or not arguments or not isinstance(arguments[0], (str, bytes, Path)):
        return
    if not str(arguments[0]).startswith(looking[0]):
        return
    if event == "open" and arguments[2] & 3:
        seen["open"] = seen.get("open", 0) + 1
    elif event in kinds:
        seen[kinds[event]] = seen.get(kinds[event], 0) + 1
    elif event in ("os.truncate", "os.rmdir", "os.symlink", "shutil.move", "os.chmod"):
        raise SystemExit(f"{event} is not among the calls that are made to fail")

sys.addaudithook(hook)
for number, writer in enumerate(WRITERS):
    sources, folder = root / f"{number}s", root / f"{number}f"
    sources.mkdir()
    folder.mkdir()
    make_sources(sources)
    writer.prepare(folder)
    seen.clear()
    with Injector(str(folder), Fault("none"), number=-1) as injector:
        looking.append(str(folder))
        assert not writer.write(sources, folder)
        looking.clear()
    counts = {name: injector.counts[name] for name in ("link", "replace", "unlink", "mkdir")}
    counts = {name: count for name, count in counts.items() if count}
    opened = seen.pop("open")
    assert counts == seen, (writer.name, counts, seen)
    assert opened <= injector.counts["open"], writer.name
print("done")
"""


def test_nothing_changes_a_folder_beside_the_calls_that_are_made_to_fail(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", AUDITED, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.stdout, done.returncode) == ("done\n", 0), done.stderr
