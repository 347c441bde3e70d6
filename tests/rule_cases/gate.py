"""CFG: what the gate says of its own waivers."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any, Dict, Iterable

from ckpttool.findings.finding import Finding
from ckpttool.inputs.accounting import account_for, findings_on_run
from ckpttool.inputs.paths import SearchOptions, targets_of
from ckpttool.verification.policy import Policy, judge
from tests.builders.policies import TODAY, file_with, nan, waiver
from tests.rule_cases.runs import Case, Run


def waived(*codes: str, **fields: Any) -> Run:
    """Judge a file that has NaN with a waiver."""

    def run(_: Path) -> Iterable[Finding]:
        policy = Policy(waivers=(waiver(*codes, **fields),))
        return judge([file_with(nan())], policy, TODAY).findings

    return run


def excluded(pattern: str) -> Run:
    """Search a folder of two files, of which one is called ``a.onnx``."""

    def run(folder: Path) -> Iterable[Finding]:
        for name in ("a.onnx", "m.pth"):
            (folder / name).write_bytes(b"")
        return searched(folder, SearchOptions((pattern,)))

    return run


def searched(folder: Path, choice: SearchOptions = SearchOptions()) -> Iterable[Finding]:  # noqa: B008
    """Return what is said of the search of a folder as a whole."""
    found = targets_of([str(folder)], choice=choice)
    inventory = account_for(found, [file_with() for _ in found.targets]).inventory
    return findings_on_run(found, inventory)


CASES: Dict[str, Case] = {
    "CFG001": Case(waived("NUM002"), waived("NUM001")),
    "CFG002": Case(waived(expires=date(2020, 1, 31)), waived(expires=TODAY)),
    "CFG003": Case(waived(fingerprint="ckpt1:" + "00" * 32), waived()),
    "CFG004": Case(excluded("*.onx"), excluded("*.onnx")),
}
