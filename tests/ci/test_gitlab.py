"""The sample job for GitLab, run as its runner does."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.builders import checkpoints as built
from tests.builders.ci_files import loaded
from tests.builders.programs import ran

pytestmark = [
    # torch 2.0 warns of its own use of a class when it saves.
    pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning"),
    pytest.mark.skipif(os.name == "nt", reason="a shell of POSIX systems"),
]


JOB = loaded("docs/examples/gitlab-ci.yml")["verify-checkpoint"]
REPORTS = JOB["artifacts"]["reports"]


def job(workspace: Path, path: str) -> subprocess.CompletedProcess[str]:
    """Run the script of the job, but not what installs ckpttool before it."""
    script = "\n".join(["set -eo pipefail", *JOB["script"]])
    return ran(workspace, ["bash", "-c", script], **{**JOB["variables"], "CHECKPOINTS": path})


def failures(workspace: Path) -> int:
    """Read the JUnit report where the job says that it lies."""
    suites = ET.parse(workspace / REPORTS["junit"]).getroot()  # noqa: S314 (our own)
    return len(list(suites.iter("failure")))


def degradations(workspace: Path) -> list[dict[str, Any]]:
    """Read the code quality report where the job says that it lies."""
    found: list[dict[str, Any]] = json.loads((workspace / REPORTS["codequality"]).read_text())
    return found


def test_the_job_passes(locked: Path) -> None:
    done = job(locked, "good.pth")
    assert done.returncode == 0, done.stderr
    assert failures(locked) == 0
    assert done.stderr.startswith("PASS ")


def test_the_job_fails_and_both_reports_say_why(locked: Path) -> None:
    built.saved(locked, built.retrained, "good.pth")
    done = job(locked, "good.pth")
    assert done.returncode == 1
    assert failures(locked) > 0
    changed = [one for one in degradations(locked) if one["check_name"] == "DIF001"]
    assert {"description", "fingerprint", "severity", "location"} <= set(changed[0])
    assert changed[0]["location"]["path"] == "ckpttool.lock"


def test_a_path_with_blanks_stays_one(locked: Path) -> None:
    (locked / "good.pth").rename(locked / "a good one.pth")
    assert job(locked, "a good one.pth").returncode == 0
