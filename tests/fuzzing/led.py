"""Runs of libFuzzer as processes beside this one, which cannot survive them: what came of them."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from typing import List, NamedTuple

from tests.builders.repository import ROOT
from tests.fuzzing.inputs import SEED

_RUNS = re.compile(r"stat::number_of_executed_units: (\d+)")
#: Lines of libFuzzer that say what happened: the rest of them tell how far it is.
_LINES = 25


class Led(NamedTuple):
    """What came of inputs that were led by coverage.

    Attributes:
        inputs: how many there were.
        seconds: of all processes, with their start.
        findings: which oracle did not hold, in lines, one for each process that stopped at it.
    """

    inputs: int = 0
    seconds: float = 0.0
    findings: List[str] = []  # noqa: RUF012 (never changed in place)

    def __add__(self, more: Led) -> Led:  # type: ignore[override]  # not as tuples are added
        return Led(
            self.inputs + more.inputs,
            self.seconds + more.seconds,
            [*self.findings, *more.findings],
        )


def run(name: str, inputs: int, *, first: int = 0, processes: int = 1) -> Led:
    """Try so many inputs of a parser. ``first`` of them were tried before: it chooses the seed."""
    share = max(inputs // processes, 1)
    start = time.monotonic()
    running = [_start(name, share, SEED + first + n) for n in range(processes)]
    said = [(process.communicate()[0], process.returncode) for process in running]
    counts = [_RUNS.search(text) for text, _ in said]
    return Led(
        sum(int(count.group(1)) for count in counts if count),
        (time.monotonic() - start) * processes,
        ["\n".join(text.splitlines()[-_LINES:]) for text, code in said if code],
    )


def _start(name: str, runs: int, seed: int) -> subprocess.Popen[str]:
    program = [sys.executable, "-m", "tests.fuzzing.coverage_led", name]
    options = [f"-runs={runs}", f"-seed={seed}", "-verbosity=0"]
    return subprocess.Popen(
        [*program, *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
