"""After a kill or Ctrl-C at any moment, the old files are whole, or all of the new ones are."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import List, Optional, Tuple

import pytest

from ckpttool.files.publishing import write_files
from tests.builders.processes import PATIENCE
from tests.faults.interrupting import InterruptedAt
from tests.faults.judging import Bench, content, hidden_in, is_new
from tests.faults.killing import spread
from tests.faults.writers import WRITERS, Writer

MOMENTS = {
    "shards, replaced": 100,
    "shards": 30,
    "pth with receipt and sidecar": 30,
    "reports, one replaced": 30,
}


@pytest.mark.parametrize("name", MOMENTS)
def test_after_a_kill_at_any_moment_the_old_or_the_new_is_whole(tmp_path: Path, name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.killing", str(tmp_path), name, str(MOMENTS[name])],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    killed = json.loads(done.stdout)
    assert len(killed) >= MOMENTS[name]
    assert [one for one in killed if one["wrong"]] == []
    # they were killed where it matters: before and after the last name, with files under way
    assert {one["state"] for one in killed} >= {"old", "new"}
    assert any(one["hidden"] for one in killed)


def test_moments_are_spread_over_a_run() -> None:
    assert spread(10, 5) == [0, 2, 4, 6, 8]
    assert spread(3, 5) == [0, 1, 2]


def _two_synced(_: Path, folder: Path) -> List[str]:
    write_files({str(folder / name): name.encode() * 100 for name in "ab"}, sync=True)
    return []


INTERRUPTED = [
    *(one for one in WRITERS if one.name == "reports, one replaced"),
    Writer("synced", lambda folder: (folder / "a").write_bytes(b"old"), _two_synced),
]


@pytest.fixture(scope="module", params=INTERRUPTED, ids=lambda writer: writer.name)
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("bench"), request.param)


def _interrupted(bench: Bench, number: int, again: Optional[int]) -> Optional[Tuple[bool, str]]:
    """Interrupt a run before one line; say whether it was, and what is wrong."""
    bench.reset()
    raised = False
    try:
        with InterruptedAt(number, again) as interrupted:
            bench.write()
    except KeyboardInterrupt:
        raised = True
    if not interrupted.has_interrupted:
        return None
    found = content(bench.folder)
    if not raised:
        return raised, "it went on"
    if hidden_in(found):
        return raised, f"left are {', '.join(hidden_in(found))}"
    if found != bench.old and not is_new(found, bench.old, bench.new):
        return raised, "neither old nor new"
    return raised, ""


@pytest.mark.parametrize("again", [None, 0, 3, 10])
def test_an_interruption_before_any_line_leaves_no_temporary_file(
    bench: Bench, again: Optional[int]
) -> None:
    wrong: List[Tuple[int, str]] = []
    for number in range(0, 5_000, 1 if again is None else 3):
        result = _interrupted(bench, number, again)
        if result is None:
            break
        if result[1]:
            wrong.append((number, result[1]))
    else:
        pytest.fail("there was no end to the lines")
    assert wrong == []
    assert number > 100


def test_a_writer_without_care_is_caught(tmp_path: Path) -> None:
    def prepare(folder: Path) -> None:
        (folder / "m").write_bytes(b"old")

    def write(_: Path, folder: Path) -> List[str]:
        from ckpttool.files.temporary import create, new_id

        growing = create(str(folder / "m"), new_id(), [])
        Path(growing.temporary).replace(folder / "m")
        return []

    careless = Bench(tmp_path, Writer("careless", prepare, write))
    found = [_interrupted(careless, number, None) for number in range(200)]
    assert any(one is not None and one[1].startswith("left are") for one in found)
