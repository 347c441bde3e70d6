"""docs/comparison.md has the stored results, and ours are what the tool says now."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import ckpttool
from benchmarks.comparison.cases import CASES, Case
from docs.make_comparison import PAGE, RESULTS, page

STORED = json.loads(RESULTS.read_text(encoding="utf-8"))


def test_the_table_is_up_to_date() -> None:
    """Run ``make docs`` when this fails."""
    text = PAGE.read_text(encoding="utf-8")
    assert page(text, STORED) == text


def test_all_files_were_compared() -> None:
    """Run ``python -m benchmarks.comparison`` when this fails."""
    assert [(one["what"], one["suffix"], one["good"]) for one in STORED["files"]] == [
        (case.what, case.suffix, case.good) for case in CASES
    ]


@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")
@pytest.mark.parametrize(
    ("case", "stored"),
    list(zip(CASES, STORED["files"])),
    ids=[f"{case.what} {case.suffix}" for case in CASES],
)
def test_our_verdict_is_the_stored_one(tmp_path: Path, case: Case, stored: Any) -> None:
    path = tmp_path / f"model{case.suffix}"
    case.write(path)
    report = ckpttool.verify(path)
    errors = {one.rule.code for one in report.findings if one.severity.value == "error"}
    said = stored["said"]["ckpttool verify"]
    assert (report.exit_code, sorted(errors)) == (said["exit"], said["found"])
