"""A stored result read back: what is rendered from it is what the run rendered, byte for byte."""

from __future__ import annotations

import json
from typing import Any, Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckpttool.findings import rules
from ckpttool.findings.errors import UsageError
from ckpttool.findings.finding import Verdict, finding
from ckpttool.findings.results import FileReport, Report, Waived
from ckpttool.reports import REPORTERS
from ckpttool.reports.machine.stored import read_report
from tests.builders import reports as built
from tests.builders.reports import rendered

Change = Callable[[Any], None]


def stored(report: Report) -> str:
    return rendered(report, "json")


@pytest.mark.parametrize("name", REPORTERS)
@pytest.mark.parametrize("specimen", built.SPECIMENS)
def test_what_is_read_back_renders_as_the_run_did(specimen: str, name: str) -> None:
    report = built.portable_from(built.SPECIMENS[specimen])
    again = read_report(stored(report), "result.json")
    assert rendered(again, name) == rendered(report, name)


def test_a_result_is_the_same_value_after_reading() -> None:
    report = built.portable_from(built.report(built.locked(), built.waived()))
    assert read_report(stored(report), "result.json") == report


def values_in(value: Any) -> Iterator[Any]:
    """A value and all that is in it."""
    yield value
    items = value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else ()
    for item in items:
        yield from values_in(item)


def test_specimens_have_every_field_that_a_result_can_have() -> None:
    """A new field without a specimen would pass every test above, and be lost in reading."""
    unseen: dict[tuple[str, str], bool] = {}
    for value in values_in(tuple(built.SPECIMENS.values())):
        for name, default in getattr(value, "_field_defaults", {}).items():
            key = (type(value).__name__, name)
            unseen[key] = unseen.get(key, True) and getattr(value, name) == default
    # the version is its own test, and what a rule's page says besides is the rule's
    ours = {key for key, missing in unseen.items() if missing and key[0] != "Rule"}
    # what a finding follows from is of use until it is judged, before there is a report
    assert ours == {("Report", "version"), ("Finding", "follows")}


TEXT = st.text(st.characters())  # halves of characters too


@given(TEXT, TEXT, st.lists(TEXT, max_size=3))
def test_any_text_survives(message: str, path: str, tensors: list[str]) -> None:
    found = finding(rules.NAN, message, tensors=tensors, expected=message, found=path, fix=message)
    file = FileReport(
        path,
        Verdict.FAIL,
        (found,),
        wrapper=path,
        unchecked=(message,),
        waived=(Waived(found, path),),
    )
    report = built.portable_from(Report((file,), (found,)))
    again = read_report(stored(report), "result.json")
    assert [rendered(again, name) for name in REPORTERS] == [
        rendered(report, name) for name in REPORTERS
    ]


def test_the_version_that_found_it_is_kept() -> None:
    report = built.report(built.encoder_only())._replace(version="0.0.9")
    assert json.loads(stored(read_report(stored(report), "x")))["version"] == "0.0.9"


def test_an_unknown_rule_is_readable() -> None:
    report = read_report(stored(built.report(built.newer())), "result.json")
    (found,) = report.files[0].findings
    assert (found.rule.code, found.rule.name) == ("QNT007", "not-yet-known")
    assert found.advice == "Wait."
    assert "QNT007 not-yet-known: something new" in rendered(report, "text")


def test_fields_that_are_not_known_are_passed_over() -> None:
    document = json.loads(stored(built.report(built.encoder_only())))
    document["mood"] = "good"
    document["files"][0]["findings"][0]["colour"] = "green"
    assert read_report(json.dumps(document), "x").verdict is Verdict.PASS


# --- what is refused -----------------------------------------------------------------------


def changed(change: Change) -> str:
    document = json.loads(stored(built.report(built.locked(), built.waived(), built.measured())))
    change(document)
    return json.dumps(document)


def set_in(*place: str | int, to: object) -> Change:
    def change(document: Any) -> None:
        for key in place[:-1]:
            document = document[key]
        document[place[-1]] = to

    return change


def removed(*place: str | int) -> Change:
    def change(document: Any) -> None:
        for key in place[:-1]:
            document = document[key]
        del document[place[-1]]

    return change


def with_other_bins(document: Any) -> None:
    blocks = document["files"][2]["statistics"]["blocks"]
    one = blocks[0]
    blocks.append({**one, "block": 7, "histogram": {**one["histogram"], "counts": [1]}})


FINDING = ("files", 0, "findings", 0)
BLOCKS = ("files", 2, "statistics", "blocks")
COUNTS = (*BLOCKS, 0, "histogram", "counts")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(set_in("tool", to="pip"), "not a result of ckpttool.", id="another tool"),
        pytest.param(removed("tool"), "not a result of ckpttool.", id="no tool"),
        pytest.param(
            set_in("schema_version", to=2), "schema version (expected 1, found 2)", id="schema"
        ),
        pytest.param(
            set_in("command", to="diff"), "results of verify can be rendered", id="command"
        ),
        pytest.param(set_in("files", to={}), "files (expected a list of objects", id="no list"),
        pytest.param(
            set_in(*FINDING, "severity", to="fatal"),
            "files[0].findings[0].severity (expected error or warning or note, found fatal)",
            id="severity",
        ),
        pytest.param(
            removed(*FINDING, "code"),
            "files[0].findings[0].code (expected text, found nothing)",
            id="missing field",
        ),
        pytest.param(
            set_in(*FINDING, "tensors", to=["a", 1]),
            "files[0].findings[0].tensors[1] (expected text, found 1)",
            id="number among texts",
        ),
        pytest.param(
            set_in("files", 0, "size", to=True),
            "files[0].size (expected a whole number, found true)",
            id="true is no number",
        ),
        pytest.param(
            set_in("files", 0, "size", to=1 << 128),
            "files[0].size (expected a number below 2^128",
            id="huge number",
        ),
        pytest.param(
            set_in(*COUNTS, 0, to=-1),
            "files[2].statistics.blocks[0].histogram.counts (expected at least one count",
            id="count below zero",
        ),
        pytest.param(set_in(*COUNTS, to=[]), "counts (expected at least one count", id="no counts"),
        pytest.param(
            with_other_bins,
            "files[2].statistics.blocks (expected histograms with the same bins",
            id="bins of blocks",
        ),
        pytest.param(
            set_in("files", 0, "coverage", "groups", "decoder", to=None),
            "files[0].coverage.groups.decoder (expected an object, found null)",
            id="no decoder",
        ),
        pytest.param(
            set_in("files", 0, "lock_lines", "cls_token", to="12"),
            "files[0].lock_lines.cls_token (expected a whole number, found 12)",
            id="line",
        ),
        pytest.param(
            set_in("verdict", to="pass"), "verdict (expected fail, which follows", id="verdict"
        ),
        pytest.param(set_in("exit_code", to=0), "exit_code (expected 1, that of", id="exit code"),
    ],
)
def test_a_wrong_field_is_named(change: Change, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_report(changed(change), "result.json")
    assert str(caught.value).startswith("result.json: ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "not a JSON document", id="empty"),
        pytest.param("{", "not a JSON document", id="cut short"),
        pytest.param("[1]", "the document (expected an object, found a list)", id="list"),
        pytest.param('{"tool": NaN}', "NaN is not JSON", id="NaN"),
        pytest.param('{"a": 1, "a": 2}', "keys occur twice in one object: a", id="twice"),
        pytest.param("[" * 100_000, "nested too deeply", id="deep"),
        pytest.param("\ufeff{}", "not a JSON document", id="byte order mark"),
    ],
)
def test_what_is_no_result_is_told_so(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_report(text, "result.json")
    assert message in str(caught.value)
