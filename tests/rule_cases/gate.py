"""CFG: what the gate says of its own waivers."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any, Dict, Iterable

from ckpttool.findings import Finding
from ckpttool.policy import Policy, judge
from tests.builders.policies import TODAY, file_with, nan, waiver
from tests.rule_cases.runs import Case, Run


def waived(*codes: str, **fields: Any) -> Run:
    """Judge a file that has NaN with a waiver."""

    def run(_: Path) -> Iterable[Finding]:
        policy = Policy(waivers=(waiver(*codes, **fields),))
        return judge([file_with(nan())], policy, TODAY).findings

    return run


CASES: Dict[str, Case] = {
    "CFG001": Case(waived("NUM002"), waived("NUM001")),
    "CFG002": Case(waived(expires=date(2020, 1, 31)), waived(expires=TODAY)),
    "CFG003": Case(waived(fingerprint="ckpt1:" + "00" * 32), waived()),
}
