"""A stored result that somebody wrote by hand, to be rendered: hostile in every text of it."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path
from typing import Any, Callable, Dict, Iterator

import pytest

from ckpttool.findings.errors import UsageError
from ckpttool.findings.json_fields import report_document
from ckpttool.findings.results import Report
from ckpttool.reports import FORMATS
from ckpttool.reports.machine.stored import read_report
from tests.builders import hostile_names as hostile
from tests.builders import inert
from tests.builders import reports as built
from tests.builders.commands import invoke
from tests.ckpttool.reports.names.rendering import wrong_with

#: Fields with words that a stored result must have as they are.
_WORDS = (
    "verdict severity standing fail_on code rule tool command original masked restored pasted"
).split()
#: Fields with objects whose keys are names.
_NAMED = "groups lock_lines pos_embed_errors position_tables outputs random".split()
Document = Dict[str, Any]


def document() -> Document:
    """All that a result may have, with findings of a rule that this version does not know."""
    files = (built.locked(), built.waived(), built.measured(), built.of_code(), built.pictured())
    report = Report(
        (*files, built.newer(), built.unreadable()),
        (built.run_finding(),),
        inventory=built.inventory(),
    )
    return dict(json.loads(json.dumps(report_document(report))))


def odd(name: Callable[[int], str]) -> Document:
    """The same with names in place of its texts, but for words that tell what it is."""
    return dict(_with_names(document(), map(name, count()), ""))


def _with_names(value: Any, names: Iterator[str], field: str) -> Any:
    if isinstance(value, dict):
        keys = [f"{at}{next(names)}" if field in _NAMED else key for at, key in enumerate(value)]
        # below a name, what the fields are called is known again
        inner = (_with_names(value[key], names, "" if field in _NAMED else key) for key in value)
        return dict(zip(keys, inner))
    if isinstance(value, list):
        return [_with_names(item, names, field) for item in value]
    numbers = ("NaN", "Infinity", "-Infinity")
    is_name = isinstance(value, str) and field not in _WORDS and value not in numbers
    return next(names) if is_name else value


@pytest.mark.parametrize("start", range(0, len(hostile.ALL), 11))
def test_whatever_texts_it_has_they_come_out_inert(start: int) -> None:
    names = hostile.ALL[start:] + hostile.ALL[:start]
    text = json.dumps(odd(lambda number: names[number % len(names)]))
    assert list(wrong_with("Report", read_report(text, "stored.json"))) == []


@pytest.mark.parametrize("name", FORMATS["Report"])
def test_the_command_renders_it_inert(name: str, tmp_path: Path) -> None:
    stored = tmp_path / "stored.json"
    stored.write_text(json.dumps(odd(lambda number: f"{number} {hostile.SHORT}")))
    done = invoke("report", str(stored), "--to", name)
    assert done.out, done.err
    assert list(inert.READERS[name](done.out)) == []
    assert list(inert.in_a_log(done.err)) == []


@pytest.mark.parametrize("name", [hostile.SHORT, "NUM1", "num001", "NUM001\n", "", "../NUM001"])
def test_a_code_is_three_letters_and_three_digits(name: str) -> None:
    wrong = document()
    wrong["files"][0]["findings"][0]["code"] = name
    with pytest.raises(UsageError, match=r"findings\[0\]\.code"):
        read_report(json.dumps(wrong), "stored.json")


@pytest.mark.parametrize("name", [hostile.SHORT, "A name", "a_b", "a-", "", "shape\n"])
def test_the_name_of_a_rule_is_of_small_letters_and_hyphens(name: str) -> None:
    wrong = document()
    wrong["files"][0]["findings"][0]["rule"] = name
    with pytest.raises(UsageError, match=r"findings\[0\]\.rule"):
        read_report(json.dumps(wrong), "stored.json")


def test_what_is_wrong_with_it_is_said_inertly(tmp_path: Path) -> None:
    stored = tmp_path / "stored.json"
    wrong = document()
    wrong["files"][0]["findings"][0]["code"] = hostile.SHORT
    for content in (json.dumps(wrong), hostile.SHORT.replace("\ud800", ""), '{"\\u001b": 1}'):
        stored.write_text(content)
        done = invoke("report", str(stored), "--debug")
        assert done.code == 2
        assert list(inert.in_a_log(done.err)) == []


def test_parts_that_do_not_belong_together_are_shown_even_so() -> None:
    file = built.encoder_only()
    assert file.loading is not None
    random = file.loading._replace(random={"another part": 3}, filled=3)
    assert list(wrong_with("Report", Report((file._replace(loading=random),)))) == []
