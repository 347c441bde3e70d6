"""The facts under the findings of a file: what is wrong is never left out of its row."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest

from ckpttool.findings import rules
from ckpttool.findings.finding import finding
from ckpttool.findings.results import AgainstSummary, FileReport, LockSummary
from ckpttool.reports.terminal.facts import against_text
from ckpttool.reports.terminal.report import write
from ckpttool.reports.terminal.verdict import share_of
from tests.builders import reports as built

AGAINST = AgainstSummary("base.pth", None, "checkpoint", 9, 900, 9, 900, 9, 900, 0, "all")


def rows(file: FileReport) -> dict[str, str]:
    """The rows of a page by their labels."""
    stream = io.StringIO()
    write(built.report(file), stream)
    return dict(re.findall(r"^  ([a-z][a-z ]*?)  +(.*)$", stream.getvalue(), re.MULTILINE))


def with_values(**changes: Any) -> FileReport:
    file = built.encoder_only()
    assert file.values is not None
    return file._replace(values=file.values._replace(**changes))


def with_lock(**changes: Any) -> FileReport:
    summary = LockSummary("a", 294, 294, 1e-6, 1e-5)._replace(**changes)
    return built.encoder_only()._replace(lock="weights.lock", locked=summary)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "294 tensors read: no NaN, no infinity; 294 stored checksums right"),
        ({"nan": 1}, "294 tensors read: NaN in 1 tensor, no infinity; 294 stored"),
        ({"infinite": 2}, "294 tensors read: no NaN, infinity in 2 tensors; 294 stored"),
        ({"bad_checksums": 3}, "no NaN, no infinity; 3 of 294 stored checksums wrong"),
        ({"skipped": 6}, "294 of 300 tensors read: no NaN, no infinity; 294 stored"),
    ],
)
def test_the_values_say_what_was_read_and_what_is_wrong(changes: dict[str, Any], told: str) -> None:
    assert told in rows(with_values(**changes))["values"]


def test_a_position_table_is_told_where_no_finding_tells_it() -> None:
    file = built.encoder_only()
    assert rows(file)["positions"] == "pos_embed sin-cos at 14 x 14"
    wrong = finding(rules.POS_EMBED, "not the table", tensors=["pos_embed"])
    assert "positions" not in rows(file._replace(findings=(wrong,)))
    of_another = wrong._replace(tensors=("decoder_pos_embed",))
    assert "positions" in rows(file._replace(findings=(of_another,)))


def test_tensors_that_are_unexpected_are_counted_where_all_of_the_model_is_there() -> None:
    file = built.encoder_only()
    assert file.coverage is not None
    more = file._replace(coverage=file.coverage._replace(unexpected=("a", "b")))
    assert rows(more)["coverage"].endswith("; 2 tensors unexpected")


def test_outputs_that_are_not_finite_say_so() -> None:
    assert "features 1, NOT ALL FINITE" in rows(built.not_finite())["forward"]
    assert "NOT" not in rows(built.whole_model())["forward"]


def test_weights_that_no_input_uses_are_named() -> None:
    assert "; not used: my.models:Net" in rows(built.of_code())["forward"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "within the tolerance of 1e-05"),
        ({"distance": 1e-4}, "BEYOND the tolerance of 1e-05"),
        ({"distance": float("nan")}, "BEYOND the tolerance of 1e-05"),
        ({"distance": None}, "outputs not compared"),
        ({"same": 293}, "293 of 294 tensors as locked in weights.lock"),
    ],
)
def test_the_lock_says_what_differs(changes: dict[str, Any], told: str) -> None:
    assert told in rows(with_lock(**changes))["lock"]


def test_what_was_cast_or_compared_by_digests_is_said() -> None:
    assert str(against_text(AGAINST)) == (
        "base.pth: 9 of 9 tensors, 100.00 % of the parameters; the same 9, 100.00 %; demanded: all"
    )
    assert "; the same 9, 100.00 %, 4 of them cast" in str(against_text(AGAINST._replace(cast=4)))
    by_digests = AGAINST._replace(kind="digests", wrapper="model")
    assert str(against_text(by_digests)).startswith("base.pth, wrapper model: ")
    assert "; compared by their digests; " in str(against_text(by_digests))


def test_numbers_that_are_not_whole_are_red() -> None:
    whole, partial = built.encoder_only().coverage, built.incomplete().coverage
    assert whole is not None
    assert partial is not None
    styles = [[str(span.style) for span in share_of(one).spans] for one in (whole, partial)]
    assert styles == [["bold green"], ["bold red"]]
    texts = [against_text(one) for one in (AGAINST, AGAINST._replace(found=8))]
    assert [str(text.spans[0].style) for text in texts] == ["bold green", "bold red"]
