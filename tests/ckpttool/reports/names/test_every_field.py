"""Every text in every result may be a hostile name, and comes out of every report inert.

``python -m tests.ckpttool.reports.names`` puts one in each field in turn, and many more names in
all of them at once.
"""

from __future__ import annotations

import json
import sys
from typing import Any, Iterator, List

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from ckpttool.findings.finding import Verdict
from ckpttool.findings.json_fields import report_document
from ckpttool.findings.results import FileReport, Report
from ckpttool.reports import FORMATS
from tests.builders import hostile_names as hostile
from tests.builders import inert, planted
from tests.builders import reports as built
from tests.builders.every_field import KINDS, made
from tests.ckpttool.reports.names.rendering import (
    SPARED,
    at_once,
    rendered,
    wrong_on_terminals,
    wrong_with,
)

pytestmark = pytest.mark.skipif(
    sys.version_info < (3, 10), reason="types of fields are read as the code spells them"
)

every_kind = pytest.mark.parametrize("kind", KINDS)
every_format = pytest.mark.parametrize("name", FORMATS["Report"])


@every_kind
def test_a_result_of_every_kind_has_a_text_in_every_field(kind: str) -> None:
    found = {place for result in made(kind) for place in planted.places(result)}
    assert len(found) > 90


@every_kind
def test_a_result_with_plain_texts_is_reported(kind: str) -> None:
    for result in made(kind):
        assert list(wrong_with(kind, result)) == []


@every_kind
def test_the_worst_names_come_out_inert_in_every_field(kind: str) -> None:
    # each field has another of the names, and by and by several of them
    results = made(kind)
    for number, start in enumerate(range(0, len(hostile.ALL), 6)):
        names = hostile.ALL[start:] + hostile.ALL[:start]
        assert list(wrong_with(kind, at_once(results[number % len(results)], names))) == []


@every_kind
def test_the_worst_names_come_out_inert_on_terminals_of_any_width(kind: str) -> None:
    for result in made(kind)[:1]:
        assert list(wrong_on_terminals(kind, at_once(result, hostile.ALL))) == []


@every_kind
@settings(max_examples=8, deadline=None, derandomize=True, phases=[Phase.generate])
@given(names=st.lists(hostile.names(), min_size=12, max_size=12))
def test_names_of_any_pieces_come_out_inert_in_every_field(kind: str, names: List[str]) -> None:
    for result in made(kind)[:1]:
        assert list(wrong_with(kind, at_once(result, names))) == []


@pytest.mark.parametrize("specimen", built.SPECIMENS)
def test_reports_of_every_shape_stay_inert(specimen: str) -> None:
    report = at_once(built.SPECIMENS[specimen], hostile.ALL)
    assert list(wrong_with("Report", report)) == []


# --- and they are recognised ----------------------------------------------------------------


def run_of(*paths: str) -> Report:
    """A run of files that all lack a tensor, of the name of the file."""
    whole = built.incomplete()
    return Report(
        tuple(
            whole._replace(
                path=path, findings=(whole.findings[0]._replace(tensors=(f"{path}T",), fix=None),)
            )
            for path in paths
        )
    )


@pytest.mark.parametrize("name", [told.name for told in hostile.TOLD])
def test_json_has_the_exact_names(name: str) -> None:
    report = run_of(name, f"{name}2")
    document = json.loads(rendered("Report", report, "json"))
    assert document == json.loads(json.dumps(report_document(report)))
    assert [file["path"] for file in document["files"]] == [name, f"{name}2"]
    assert document["files"][0]["findings"][0]["tensors"] == [f"{name}T"]


def places_in(text: str) -> List[str]:
    """The paths in a report in SARIF or for GitLab, where tools look files up."""
    document = json.loads(text)
    if isinstance(document, list):
        return [issue["location"]["path"] for issue in document]
    places = (one["locations"][0]["physicalLocation"] for one in document["runs"][0]["results"])
    return [inert.path_in(place["artifactLocation"]["uri"]) for place in places]


@pytest.mark.parametrize("name", ["sarif", "gitlab"])
def test_tools_that_look_files_up_get_the_exact_paths(name: str) -> None:
    paths = [told.name for told in hostile.TOLD]
    assert places_in(rendered("Report", run_of(*paths), name)) == paths


@every_format
def test_different_names_stay_different(name: str) -> None:
    alike = [
        "a\u202eb",
        "a\u202db",
        "a\x1bb",
        "a\x9bb",
        "a\ud800b",
        "ab",
        "a b",
        "A\u200bb",
        "<b>a",
    ]
    for one, other in zip(alike, alike[1:]):
        assert rendered("Report", run_of(one), name) != rendered("Report", run_of(other), name)


@every_format
@pytest.mark.parametrize("what", hostile.WORST)
def test_what_a_name_has_of_plain_letters_is_there_to_read(name: str, what: str) -> None:
    for one in hostile.WORST[what]:
        text = rendered("Report", run_of(f"first-{one}-last"), name)
        assert "first-" in text.replace("&#45;", "-")
        assert "-last" in text.replace("&#45;", "-")


def test_a_long_name_is_cut_in_every_report_but_those_for_tools() -> None:
    file = FileReport("x" * 100_000, Verdict.CANNOT_TELL, built.unreadable().findings)
    sizes = {name: len(rendered("Report", Report((file,)), name)) for name in FORMATS["Report"]}
    exact = {name for name, size in sizes.items() if size > 80_000}
    assert exact == {"json", "sarif", "gitlab"}


# --- the walk -------------------------------------------------------------------------------


def test_a_name_is_put_in_one_place_or_in_all() -> None:
    file = built.incomplete()
    odd = planted.at(file, "findings[].message", "!")
    assert {one.message for one in odd.findings} == {f"N{at}N!" for at in range(4)}
    assert odd._replace(findings=file.findings) == file
    everything: Any = planted.everywhere(file, lambda number: f"{number}!", SPARED)
    assert all(text.endswith("!") for place, text in _texts(everything) if ".rule." not in place)
    assert everything.coverage.core.missing != file.coverage.core.missing  # type: ignore[union-attr]


def _texts(value: Any) -> Iterator[tuple[str, str]]:
    return iter(planted.places(value).items())
