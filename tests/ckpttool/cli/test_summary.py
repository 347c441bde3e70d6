"""The last line on standard error."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ckpttool.cli.console import one_terminal
from ckpttool.cli.summary import conclude, duration, summary_of
from ckpttool.findings import rules
from ckpttool.findings.finding import finding
from ckpttool.findings.results import Report, Waived
from tests.builders import checkpoints as built
from tests.builders import reports
from tests.builders.commands import invoke

# torch 2.0 warns of its own use of a class when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")

MISSING = finding(rules.MISSING_ENCODER, "missing")
UNEXPECTED = finding(rules.UNEXPECTED, "unexpected")
LINE = re.compile(r"(PASS|FAIL|CANNOT TELL) .* \(([\d.]+ k?B, )?[\d.]+ s\) - exit [012]")


def test_it_counts_what_counts_and_what_was_waived() -> None:
    file = reports.incomplete()._replace(
        findings=(MISSING, MISSING, UNEXPECTED), waived=(Waived(MISSING, "known"),) * 3
    )
    assert summary_of(Report((file,)), 0.94) == (
        "FAIL 2 errors, 1 warning, 3 waived in 1 file (1.21 GB, 0.9 s) - exit 1"
    )


def test_it_counts_notes_and_findings_on_the_run() -> None:
    report = Report((reports.encoder_only(), reports.encoder_only()), (UNEXPECTED,))
    assert summary_of(report, 65.2) == (
        "PASS 0 errors, 1 warning, 2 notes in 2 files (2.43 GB, 1 min 5 s) - exit 0"
    )


def test_it_says_no_size_where_nothing_could_be_read() -> None:
    assert summary_of(Report((reports.unreadable(),)), 0.0) == (
        "CANNOT TELL 1 error, 0 warnings in 1 file (0.0 s) - exit 2"
    )


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.04, "0.0 s"), (59.94, "59.9 s"), (59.96, "1 min 0 s")]
)
def test_a_duration_is_said_as_people_say_it(seconds: float, said: str) -> None:
    assert duration(seconds) == said


@pytest.mark.parametrize("content", [built.sound, built.encoder_block_missing, built.no_tensor])
def test_verify_says_it_last(tmp_path: Path, tiny: str, content: built.Content) -> None:
    done = invoke("verify", "--model", tiny, "--no-forward", built.saved(tmp_path, content))
    assert LINE.fullmatch(done.last)
    assert done.last.endswith(f"exit {done.code}")


@pytest.mark.parametrize(
    ("shown", "terminal", "said"),
    [
        pytest.param(True, True, "1.21 GB in 0.9 s\n", id="the report stands above it"),
        pytest.param(True, False, "PASS 0 errors", id="the streams go elsewhere"),
        pytest.param(False, True, "PASS 0 errors", id="another format, or none"),
    ],
)
def test_where_the_report_stands_above_it_only_what_is_new_is_said(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    shown: bool,
    terminal: bool,
    said: str,
) -> None:
    monkeypatch.setattr("ckpttool.cli.summary.one_terminal", lambda: terminal)
    conclude(Report((reports.encoder_only(),)), 0.94, shown)
    assert capsys.readouterr().err.startswith(said)


def test_streams_that_are_closed_or_captured_are_no_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert not one_terminal()
    monkeypatch.setattr("sys.stdout", reports.Terminal())
    monkeypatch.setattr("sys.stderr", reports.Terminal())
    assert one_terminal()
    monkeypatch.setattr("sys.stderr", None)
    assert not one_terminal()


def test_no_time_stands_in_the_report(tmp_path: Path, tiny: str) -> None:
    path = built.saved(tmp_path, built.sound)
    done = [invoke("verify", "--model", tiny, "--format", "json", path) for _ in range(2)]
    assert done[0].out == done[1].out
    assert json.loads(done[0].out)["exit_code"] == 0
