"""For every rule something that makes it fire and something like it that leaves it quiet.

A family's cases are a table in a module of their own: code to (fires, quiet). ``test_rules.py``
walks the table of rules and fails on one that has no line here. Both sides are functions of an
empty folder that return what was found in what they put there.
"""

from __future__ import annotations

from typing import Dict

from tests.rule_cases import (
    against,
    containers,
    conversions,
    gate,
    locks,
    quantized,
    releases,
    weights,
)
from tests.rule_cases.runs import Case

CASES: Dict[str, Case] = {
    **containers.CASES,
    **weights.CASES,
    **quantized.CASES,
    **conversions.CASES,
    **releases.CASES,
    **gate.CASES,
    **locks.CASES,
    **against.CASES,
}
