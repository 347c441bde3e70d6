from __future__ import annotations

from pathlib import Path

from tests.fuzzing import results
from tests.fuzzing.led import Led
from tests.fuzzing.results import NONE, Run, added
from tests.fuzzing.running import Tally

TALLY = Tally(
    inputs=10,
    read={"accepted": 4, "refused": 6},
    compared={"same": 4, "refused here": 6},
    findings=[{"input": 3, "what": "differs"}],
    seconds=1.5,
    slowest=0.5,
)
RUN = Run("abc", "a processor", "2026-11-26", 0, 10)


def test_counts_of_runs_add_up() -> None:
    slower = TALLY._replace(slowest=0.75, read={"accepted": 10})
    one = added(added(NONE, TALLY, RUN), slower, RUN._replace(first=10, last=20))
    assert one.tally.inputs == 20
    assert one.tally.read == {"accepted": 14, "refused": 6}
    assert one.tally.compared == {"same": 8, "refused here": 12}
    assert one.tally.seconds == 3
    assert one.tally.slowest == 0.75


def test_the_next_run_begins_behind_the_last_one() -> None:
    assert NONE.next == 0
    assert added(NONE, TALLY, RUN).next == 10


def test_runs_of_one_commit_in_a_row_are_one_run() -> None:
    one = added(added(NONE, TALLY, RUN), TALLY, RUN._replace(first=10, last=20))
    assert one.runs == [RUN._replace(last=20)]
    other = added(one, TALLY, RUN._replace(first=20, last=30, commit="def"))
    assert len(other.runs) == 2


def test_what_was_stored_is_read_back(tmp_path: Path) -> None:
    stored = {"header": added(NONE, TALLY, RUN)._replace(led=Led(5, 2.0, ["finding"]))}
    results.save(stored, 1, tmp_path / "r.json")
    assert results.load(tmp_path / "r.json") == stored
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]


def test_without_a_file_there_are_no_results(tmp_path: Path) -> None:
    assert results.load(tmp_path / "r.json") == {}
