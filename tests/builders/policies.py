"""Policies and waivers, by what is odd about them."""

from __future__ import annotations

from datetime import date
from typing import Any

from ckpttool.findings import rules
from ckpttool.findings.finding import Finding, Verdict, finding
from ckpttool.findings.results import Coverage, FileReport
from ckpttool.verification.waivers import Waiver

TODAY = date(2026, 11, 25)
FINGERPRINT = "ckpt1:" + "ab" * 32


def nan(*tensors: str) -> Finding:
    """An error about some tensors."""
    return finding(rules.NAN, "NaN", tensors=tensors or ("norm.weight",))


def untrained() -> Finding:
    """A warning about no tensor in particular."""
    return finding(rules.LAYERNORM_INITIAL, "all LayerNorms are exactly 1 and 0")


def file_with(*findings: Finding, path: str = "data/weights.pth") -> FileReport:
    """A file that was read to its end, with such findings."""
    return FileReport(
        path,
        Verdict.FAIL,
        findings,
        fingerprint=FINGERPRINT,
        coverage=Coverage("tiny", {}, ()),
    )


def unreadable(path: str = "data/gone.pth") -> FileReport:
    """A file of which only the error is known."""
    found = finding(rules.UNREADABLE, "no such file")
    return FileReport(path, Verdict.CANNOT_TELL, (found,))


def waiver(code: str = "NUM001", **fields: Any) -> Waiver:
    """A waiver for NaN, with a reason."""
    return Waiver(
        **{"code": code, "reason": "known", "place": "waiver 1 of ckpttool.toml", **fields}
    )
