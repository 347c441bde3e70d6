"""docs/safety.md has what tools said of attacks and honest files, and it is of today's files."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest

import ckpttool
from benchmarks.comparison.hostile import RESULTS, SLOW_EVERY, asked, counted, written
from benchmarks.comparison.running import Said, alone, together
from benchmarks.comparison.samples import CHECKPOINTS, SHIPPED, Sample, attacks, honest
from benchmarks.comparison.tools import CKPTTOOL, ERROR, FOR_CODE, INSPECT, MODELAUDIT, OURS, Tool
from docs.make_hostile import PAGE, page
from tests.builders import reading_tools
from tests.builders.attacks import bare, call
from tests.builders.honest import HONEST
from tests.builders.torch_files import torch_zip

STORED = json.loads(RESULTS.read_text(encoding="utf-8"))
OURS_SAYS = CKPTTOOL.name
every_command = pytest.mark.parametrize("command", [INSPECT.name, CKPTTOOL.name])
#: The corpora differ between Pythons, and between torches.
_STORED_ON = pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="made with Python 3.11")


def test_the_tables_are_up_to_date() -> None:
    """Run ``make docs`` when this fails."""
    text = PAGE.read_text(encoding="utf-8")
    assert page(text, STORED) == text


@_STORED_ON
def test_all_files_were_given_to_the_tools() -> None:
    """Run ``python -m benchmarks.comparison.hostile`` when this fails."""
    for key, samples in (("attacks", attacks()), ("honest", honest())):
        stored = {name: row["files"] for name, row in STORED[key].items() if name != SHIPPED}
        assert stored == Counter(sample.group for sample in samples)


def test_all_tools_were_asked_as_they_are_now() -> None:
    assert STORED["commands"] == {tool.name: tool.shown() for tool in FOR_CODE}
    for row in [*STORED["attacks"].values(), *STORED["honest"].values()]:
        assert list(row["said"]) == list(STORED["commands"])


@every_command
def test_no_attack_passed_ckpttool(command: str) -> None:
    assert {name: row["said"][command] for name, row in STORED["attacks"].items()} == {
        name: {} for name in STORED["attacks"]
    }


@_STORED_ON
@every_command
def test_ckpttool_refused_no_honest_file_but_calls_of_unknown_code(command: str) -> None:
    unknown: Dict[str, List[str]] = {}
    for value in HONEST:
        if value.level == "error":
            unknown.setdefault(value.kind, []).append(value.what)
    found = {kind: row["said"][command].get("rejects") for kind, row in STORED["honest"].items()}
    assert {kind: names for kind, names in found.items() if names} == unknown


def _firsts() -> List[Sample]:
    """The first file of each row."""
    every = [*attacks(), *honest()]
    return list({sample.group: sample for sample in reversed(every)}.values())


@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")
@pytest.mark.parametrize("sample", _firsts(), ids=lambda sample: str(sample.group))
def test_our_verdict_is_the_stored_one(sample: Sample, tmp_path: Path) -> None:
    path = tmp_path / sample.name
    sample.write(path)
    row = STORED["attacks"].get(sample.group) or STORED["honest"][sample.group]
    refused = sample.group in STORED["attacks"]
    if sample.what in row["said"][OURS_SAYS].get("rejects", ()):
        refused = True
    assert ckpttool.verify(path).exit_code == refused


# How files are given to a tool ------------------------------------------------------------------


def _tool(function: Callable[[], int]) -> Tool:
    return CKPTTOOL._replace(entry=f"{function.__module__}:{function.__name__}", words=())


def _together(tool: Tool, samples: List[Sample], folder: Path) -> List[Said]:
    warm = folder / "warm" / "model.pth"
    warm.parent.mkdir()
    warm.write_bytes(torch_zip())
    programs = {OURS: Path(sys.executable).parent}
    return together(tool, written(samples, folder / "files"), programs, folder, warm)


def _pickle(path: str, *arguments: object) -> Sample:
    def write(file: Path) -> None:
        file.write_bytes(bare(call(path, *arguments))(str(file.parent / "payload-ran")))

    return Sample("", path, "model.pkl", write)


def test_a_batch_comes_to_what_the_command_line_comes_to(tmp_path: Path) -> None:
    samples = [_pickle("os:mkdir", "@marker@"), Sample("", "", "model.pth", honest()[-1].write)]
    batched = _together(INSPECT, samples, tmp_path)
    programs = {OURS: Path(sys.executable).parent}
    paths = written(samples, tmp_path / "again")
    single = [alone(INSPECT, path, programs) for path in paths]
    assert [one.exit for one in batched] == [one.exit for one in single] == [1, 0]


@pytest.mark.fires
def test_a_payload_that_runs_in_a_tool_is_noticed(tmp_path: Path) -> None:
    samples = [_pickle("os:mkdir", "@marker@"), _pickle("builtins:dict")]
    said = _together(_tool(reading_tools.unsafe), samples, tmp_path)
    assert [(one.exit, one.ran) for one in said] == [(0, True), (0, False)]


def test_a_tool_that_is_ended_by_a_file_has_not_scanned_it(tmp_path: Path) -> None:
    (said,) = _together(_tool(reading_tools.ended), [_pickle("builtins:dict")], tmp_path)
    assert (said.verdict, said.exit) == (ERROR, None)


def test_a_slow_tool_gets_the_first_of_each_row() -> None:
    samples = [Sample("a" if number < 7 else "b", str(number), "", print) for number in range(8)]
    assert SLOW_EVERY == 6
    assert [one.what for one in asked(MODELAUDIT, samples)] == ["0", "6", "7"]
    assert asked(CKPTTOOL, samples) == samples


def test_rows_hold_what_is_not_as_usual() -> None:
    samples = [Sample("a", what, "", print) for what in "uvw"]
    said: Any = {
        "all": {
            ("a", "u"): Said("rejects", 1, False),
            ("a", "v"): Said("accepts", 0, True),
            ("a", "w"): Said("error", 2, False),
        },
        "some": {("a", "u"): Said("rejects", 1, False)},
    }
    assert counted(samples, said, "rejects") == {
        "a": {
            "files": 3,
            "said": {
                "all": {"accepts": ["v"], "ran": ["v"], "error": ["w"]},
                "some": {"asked": 1},
            },
        }
    }


def test_checkpoints_of_the_tests_are_among_the_honest_files() -> None:
    assert CHECKPOINTS in {sample.group for sample in honest()}
