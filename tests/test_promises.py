"""docs/promises.md has a section for every verdict; its tests, and SECURITY.md's, are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from ckpttool.comparison.result import Outcome
from ckpttool.findings.finding import Verdict
from ckpttool.proof.result import ProofOutcome

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "promises.md").read_text(encoding="utf-8")
SECURITY = (TESTS.parent / "SECURITY.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`([\w/]+\.py(?:::\w+)?)`", PAGE + SECURITY)))


@pytest.mark.parametrize("named", [one for one in NAMED if one != "test_promises.py"])
def test_what_is_said_to_hold_a_promise_is_there(named: str) -> None:
    file, _, test = named.partition("::")
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert test in names if test else any(name.startswith("test_") for name in names)


@pytest.mark.parametrize(
    "word", [one.value for kind in (Verdict, Outcome, ProofOutcome) for one in kind]
)
def test_every_verdict_is_explained(word: str) -> None:
    assert re.search(rf"\b{word.replace('-', ' ').upper()}\b", PAGE)


def test_every_section_names_a_test() -> None:
    for section in PAGE.split("\n## ")[1:]:
        assert ".py" in section, section.splitlines()[0]
