"""Markdown and the HTML page say all that a person relies on: held to the results of real runs."""

from __future__ import annotations

import html
import re
from typing import Iterator

import pytest

from ckpttool.findings import rules
from ckpttool.findings.finding import Verdict, finding
from ckpttool.findings.results import FileReport, Report
from ckpttool.findings.text import printable
from ckpttool.reports.details import LONG, details_of
from tests.builders import reports as built
from tests.builders.verified import Results

_TAG = re.compile(r"<[^>]*>")
formats = pytest.mark.parametrize("name", ["markdown", "html"])


def read(report: Report, name: str) -> str:
    """What a reader sees of a report, on one line."""
    text = built.rendered(report, name)
    return " ".join(html.unescape(_TAG.sub("", text)).split())


def missing(file: FileReport, page: str) -> Iterator[str]:
    """What a reader must find of a file and does not."""
    texts = [printable(text, LONG) for text in (file.path, *file.unchecked)]
    for one in file.findings:
        texts += [one.rule.code, printable(one.message, LONG), *details_of(one).values()]
    for waived in file.waived:
        texts += [waived.finding.rule.code, printable(waived.reason, LONG)]
    return (text for text in texts if " ".join(text.split()) not in page)


@formats
def test_a_file_is_told_in_full(results: Results, name: str) -> None:
    for file in [*results.values(), built.waived()]:
        page = read(Report((file,)), name)
        assert not list(missing(file, page)), file.path
        assert file.verdict.name.replace("_", " ") in page


@formats
def test_of_a_run_what_fails_is_told_in_full(results: Results, name: str) -> None:
    files = [file for file in results.values() if file.verdict is Verdict.PASS]
    wrong = finding(rules.NAN, "3 numbers are not", tensors=["cls_token"])
    failing = files[0]._replace(path="last.pth", verdict=Verdict.FAIL, findings=(wrong,))
    page = read(Report((*files, failing)), name)
    assert not list(missing(failing, page))


@formats
def test_findings_on_the_run_are_told(name: str) -> None:
    page = read(built.SPECIMENS["the run itself"], name)
    assert "the waiver of NUM001 covers nothing" in page
