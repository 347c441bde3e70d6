"""The first line on a file claims no more than was established."""

from __future__ import annotations

import io
from typing import Any

import pytest

from ckpttool.findings import rules
from ckpttool.findings.finding import finding
from ckpttool.findings.results import (
    Coverage,
    Diagnosis,
    FileReport,
    ForwardSummary,
    GroupCoverage,
    LockSummary,
    Waived,
)
from ckpttool.findings.rules import Rule, Severity
from ckpttool.reports.terminal.report import write
from tests.builders import reports as built


def first_line(file: FileReport) -> str:
    return page(file).splitlines()[0]


def page(file: FileReport) -> str:
    stream = io.StringIO()
    write(built.report(file), stream)
    return stream.getvalue()


def computed(**changes: Any) -> FileReport:
    """A whole model whose forward pass went as the changes say."""
    file = built.whole_model()
    assert file.forward is not None
    return file._replace(forward=file.forward._replace(**changes))


def with_error(file: FileReport, rule: Rule) -> FileReport:
    return file._replace(findings=(finding(rule, "told"),))


def waiving(file: FileReport, rule: Rule) -> FileReport:
    return file._replace(waived=(Waived(finding(rule, "told"), "known"),))


def locked(**changes: Any) -> FileReport:
    summary = LockSummary("weights.pth", 294, 294, 0.0, 1e-5)
    return built.encoder_only()._replace(locked=summary._replace(**changes))


def of_schema(**matched: int) -> FileReport:
    """A file against a schema that has two tensors of each of these modules."""
    groups = {
        name: GroupCoverage(2, number, ("x",) * (2 - number), (), 8, 4 * number)
        for name, number in matched.items()
    }
    coverage = Coverage("own.json", groups, ())
    return built.encoder_only()._replace(diagnosis=None, coverage=coverage, loading=None)


# --- tensors ----------------------------------------------------------------------------


def test_a_module_that_is_absent_counts_where_a_schema_demands_it() -> None:
    assert "own.json · 2/2 model, 0/2 head tensors · " in first_line(of_schema(model=2, head=0))
    assert "own.json · 4/6 tensors · " in first_line(of_schema(a=2, b=0, c=2))
    assert "own.json · 6/6 tensors · " in first_line(of_schema(a=2, b=2, c=2))


def test_a_decoder_that_is_absent_does_not_count() -> None:
    assert " · 294/294 tensors · " in first_line(built.encoder_only())


def test_a_part_whose_sizes_are_not_known_has_no_number_of_tensors() -> None:
    part = Diagnosis("part", None, "a part of a model, without its core")
    guessed = built.encoder_only()._replace(diagnosis=part, loading=None)
    assert "  a part of a model · forward ok" in first_line(guessed)
    assert " · 294/294 tensors · " in first_line(built.encoder_only()._replace(diagnosis=part))


def test_what_may_be_either_of_two_models_is_called_both() -> None:
    text = "a DeiT, or an AST of spectrograms, with a second token: for features"
    file = built.encoder_only()._replace(diagnosis=Diagnosis("other", "DeiT", text))
    assert "  a DeiT, or an AST of spectrograms · " in first_line(file)


# --- the forward pass -------------------------------------------------------------------


def test_the_forward_pass_is_ok_where_nothing_speaks_against_it() -> None:
    assert " · forward ok" in first_line(computed())
    assert " · forward ok" in first_line(with_error(computed(), rules.NAN))
    assert " · forward not run" in first_line(computed(status="not-run", reason="no torch"))


@pytest.mark.parametrize(
    "file",
    [
        with_error(computed(), rules.FORWARD_SHAPE),
        waiving(computed(), rules.FORWARD_BLIND),
        computed(loss=float("inf")),
        computed(loss=float("nan")),
        built.not_finite(),
    ],
)
def test_the_forward_pass_is_wrong_where_an_error_or_a_number_says_so(file: FileReport) -> None:
    assert " · forward wrong" in first_line(file)


@pytest.mark.parametrize("difference", [0.0, 1e-4, 1e-3])
def test_outputs_that_hardly_depend_on_the_image_are_not_ok(difference: float) -> None:
    # where an error explains it, no finding of the forward pass is left
    told = page(with_error(computed(difference=difference), rules.ALL_ZERO))
    assert " · forward nearly the same for two images · error: all zero" in told
    assert "nearly the SAME for the two test images" in told


def test_a_difference_that_is_not_finite_says_nothing_of_the_images() -> None:
    told = page(computed(difference=float("nan")))
    assert "SAME" not in told
    assert "different for the two test images" not in told


def test_a_pass_of_one_part_is_not_called_one_of_all() -> None:
    both = built.incomplete()._replace(findings=())
    ran = ForwardSummary("run", None, "encoder", "cpu", 50, {}, 3.0)
    assert " · encoder forward ok" in first_line(both._replace(forward=ran))
    assert " · forward ok" in first_line(both._replace(forward=ran._replace(scope="full")))
    assert " · forward ok" in first_line(built.encoder_only()._replace(forward=ran))


# --- the lock file ----------------------------------------------------------------------


def test_a_file_is_as_locked_where_nothing_differs() -> None:
    assert " · as locked" in first_line(locked())
    # that the outputs were not compared is a note
    open_one = with_error(locked(distance=None, tolerance=None), rules.LOCK_FORWARD_OPEN)
    assert " · as locked" in first_line(open_one)


@pytest.mark.parametrize(
    "file",
    [
        locked(same=293),
        locked(distance=1.0),
        locked(distance=float("nan")),
        with_error(locked(), rules.LOCK_ADDED),
        with_error(locked(), rules.LOCK_SCHEMA),
        waiving(locked(), rules.LOCK_ADDED),
    ],
)
def test_a_file_is_not_as_locked_where_anything_differs(file: FileReport) -> None:
    assert " · not as locked" in first_line(file)


def test_outputs_that_are_not_the_locked_ones_may_be_right() -> None:
    told = first_line(with_error(locked(distance=1.0), rules.LOCK_FORWARD))
    assert " · forward ok · not as locked · error: lock forward" in told


# --- findings ---------------------------------------------------------------------------


def test_notes_are_named_where_they_fail_the_file() -> None:
    strict = built.encoder_only()._replace(fail_on=Severity.NOTE)
    assert first_line(strict).endswith(" · forward ok · note: decoder absent")
    assert first_line(built.encoder_only()).endswith(" · forward ok")
