"""AGN: checkpoints that are held against another one, with one thing done to them, and like it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Callable, Dict, Iterable

import torch

import ckpttool
from ckpttool.findings.finding import Finding
from tests.builders import held, pairs
from tests.rule_cases.runs import Case, Run


def against(name: str) -> Run:
    """Hold a file against what it was."""
    case = held.HELD[name]

    def run(folder: Path) -> Iterable[Finding]:
        source, path = held.written(folder, case)
        return found_in(path, source, **case.options)

    return run


def saved(before: Any, after: Any) -> Run:
    def run(folder: Path) -> Iterable[Finding]:
        source, path = pairs.save(folder, "a.pth", before), pairs.save(folder, "b.pth", after)
        return found_in(path, source)

    return run


def found_in(path: str, source: str, **options: Any) -> Iterable[Finding]:
    return ckpttool.verify(path, against=source, forward=False, **options).files[0].findings


class Touching:
    """Gives a file another time when the reading begins."""

    def __init__(self, path: str) -> None:
        self._path = path

    def start(self, _: int) -> None:
        os.utime(self._path, (1, 1))

    def advance(self, nbytes: int) -> None:
        """Do nothing."""


def touched(choose: Callable[[str, Path], str]) -> Run:
    """Touch a file while the other two are compared."""

    def run(folder: Path) -> Iterable[Finding]:
        source, path = held.written(folder, held.HELD["the same"])
        (folder / "elsewhere").touch()
        progress = Touching(choose(source, folder))
        return found_in(path, source, progress=progress)

    return run


def itself(folder: Path) -> Iterable[Finding]:
    source, _ = held.written(folder, held.HELD["the same"])
    return found_in(source, source)


SAME = against("the same")
SPARSE = {"w": torch.ones(2), "x": torch.eye(2).to_sparse()}
DENSE = {"w": torch.ones(2), "x": torch.eye(2)}

CASES: Dict[str, Case] = {
    "AGN001": Case(
        against("a tensor is missing"), against("a tensor is missing, which is allowed")
    ),
    "AGN002": Case(against("another shape"), SAME),
    "AGN003": Case(against("another dtype"), against("rounded")),
    "AGN004": Case(against("truncated"), against("rounded")),
    "AGN005": Case(against("one value"), against("merged")),
    "AGN006": Case(against("merged into no layer"), against("merged")),
    "AGN007": Case(saved(SPARSE, SPARSE), saved(DENSE, DENSE)),
    "AGN008": Case(
        touched(lambda source, _: source), touched(lambda _, folder: str(folder / "elsewhere"))
    ),
    "AGN009": Case(itself, SAME),
    "AGN010": Case(against("one more"), against("one more, which is allowed")),
    "AGN011": Case(against("rounded"), SAME),
    "AGN012": Case(against("a prefix"), SAME),
}
