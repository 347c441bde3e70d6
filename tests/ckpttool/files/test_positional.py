"""What the system says of a destination becomes a message with a way out that works."""

from __future__ import annotations

import errno
import os

import pytest

from ckpttool.files.positional import unwritable
from ckpttool.findings.finding import finding_from


@pytest.mark.parametrize(
    ("number", "code", "fix"),
    [
        (errno.ENOSPC, "CVT106", "Make room"),
        (errno.EACCES, "FIL007", "Name a path in a folder that exists"),
        (errno.ENAMETOOLONG, "FIL007", "Choose a shorter name."),
        (errno.EFBIG, "FIL007", "larger files are allowed"),
    ],
)
def test_the_way_out_is_that_of_what_the_system_said(number: int, code: str, fix: str) -> None:
    found = finding_from(unwritable(OSError(number, os.strerror(number))))
    assert found.rule.code == code
    assert fix in (found.rule.fix if found.fix is None else found.fix)


def test_of_a_disk_that_fails_no_way_out_is_told() -> None:
    found = finding_from(unwritable(OSError(errno.EIO, "Input/output error")))
    assert (found.rule.code, found.fix) == ("FIL007", "")
