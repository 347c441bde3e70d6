"""What every command answered before the modules were put into rooms is what it answers now."""

from __future__ import annotations

import json
from math import isclose
from typing import Any, Dict, Iterator, List

import pytest

from tests.builders import results

# Sums of floats differ in their last digits between releases of numpy; six digits are stored.
_SUMS = 1e-5
OLD: Dict[str, Any] = json.loads(results.STORED.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def _in_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("runs")
    results.lay_out(folder)
    with results.at_work(folder):
        yield


def differences(old: Any, new: Any, place: str = "") -> List[str]:
    """A line for every place where two answers differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = sorted(set(old) | set(new))
        pairs = [(f"{place}.{key}", old.get(key, "absent"), new.get(key, "absent")) for key in keys]
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = [(f"{place}[{at}]", *two) for at, two in enumerate(zip(old, new))]
    elif isinstance(old, float) and isinstance(new, float) and isclose(old, new, rel_tol=_SUMS):
        return []
    else:
        return [] if old == new else [f"{place[1:]}: was {old!r}, is {new!r}"]
    return [line for at, left, right in pairs for line in differences(left, right, at)]


@pytest.mark.usefixtures("_in_place")
@pytest.mark.parametrize("name", results.RUNS)
def test_the_answers_of_every_command_are_what_they_were(name: str) -> None:
    told = differences(OLD[name], results.answers(name))
    if told:
        shown = "\n".join([*told[:20], f"and {len(told) - 20} more" if len(told) > 20 else ""])
        hint = "If this is meant, run python -m tests.builders.results and commit what differs."
        pytest.fail(f"{shown}\n{hint}", pytrace=False)


def test_every_stored_answer_is_of_a_run() -> None:
    assert sorted(OLD) == sorted(results.RUNS)


def test_a_difference_is_told_by_its_place_and_both_sides() -> None:
    old = {"files": [{"findings": [{"code": "FIL001"}], "size": 3}], "exit_code": 1}
    new = {"files": [{"findings": [{"code": "FIL002"}], "size": 3, "more": 1}], "exit_code": 1}

    assert differences(old, new) == [
        "files[0].findings[0].code: was 'FIL001', is 'FIL002'",
        "files[0].more: was 'absent', is 1",
    ]
