"""Every kind of file is told in its first line, and the error that counts is the first."""

from __future__ import annotations

from pathlib import Path

import pytest

from ckpttool.findings.rules import Severity
from ckpttool.verification.options import VerifyOptions
from ckpttool.verification.run import verify_file
from tests.builders import checkpoints
from tests.builders.kinds import CASES, KindCase

# torch 2.0 warns of its own use of a class when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.title))
def test_a_file_is_told_what_it_is(tmp_path: Path, case: KindCase) -> None:
    path = checkpoints.saved(tmp_path, case.content)
    report = verify_file(path, VerifyOptions())
    assert report.diagnosis is not None
    assert (report.diagnosis.kind, report.diagnosis.text) == (case.kind, case.text)
    telling = [
        one.rule.code
        for one in report.findings
        if one.severity is Severity.ERROR or one.rule.undecided
    ]
    assert telling[:1] == ([case.code] if case.code else [])
