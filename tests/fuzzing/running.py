"""Many inputs, shared out to processes that may die: a crash is a finding like any other."""

from __future__ import annotations

import json
import mmap
import os
import signal
import struct
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, NamedTuple, Sequence

import torch

from ckpttool.findings.errors import CkpttoolError
from tests.fuzzing.budget import SECONDS, Budget
from tests.fuzzing.inputs import SEED, numbered
from tests.fuzzing.judging import outcome_of

if TYPE_CHECKING:
    from tests.fuzzing.parser import Parser

#: Seconds without progress after which a process is ended: a reference may hang, too.
_PATIENCE = 60
#: How often a process looks at the clock and the parent at its processes, in seconds.
_BEAT = 0.2
#: Findings that are kept of a run: after these, the run goes on counting.
_KEPT = 200


class Tally(NamedTuple):
    """What came of many inputs.

    Attributes:
        inputs: how many there were.
        read: how many were accepted, refused, failed.
        compared: how many by what the reference answered.
        findings: number of the input, and which oracle did not hold.
        seconds: of processor time, with the references'.
        slowest: seconds of processor time that reading one input took at most.
    """

    inputs: int
    read: Dict[str, int]
    compared: Dict[str, int]
    findings: List[Dict[str, Any]]
    seconds: float
    slowest: float


def run(parser: Parser, numbers: Sequence[int], *, seconds: float = SECONDS) -> Tally:
    """Try inputs one after the other, in this process; ``seconds`` is the budget of each."""
    warm(parser)
    return _tally(parser, numbers, SEED, Budget(seconds), None)


def run_in_processes(
    parser: Parser, numbers: range, *, seed: int = SEED, processes: int = 1
) -> Tally:
    """Do the same in several processes, each with every n-th number."""
    torch.set_num_threads(1)  # its threads would not be there in a process that is forked
    warm(parser)  # what is imported and built once is shared
    shares = [numbers[n::processes] for n in range(processes)]
    workers = [_Worker(parser, share, seed) for share in shares if share]
    try:
        while any([worker.goes_on() for worker in workers]):  # noqa: C419 (all are to be asked)
            time.sleep(_BEAT)
    finally:
        for worker in workers:
            worker.end()
    return joined([tally for worker in workers for tally in worker.tallies])


def joined(tallies: Sequence[Tally]) -> Tally:
    """Return what came of all of them."""
    read: Counter[str] = Counter()
    compared: Counter[str] = Counter()
    for tally in tallies:
        read.update(tally.read)
        compared.update(tally.compared)
    return Tally(
        inputs=sum(tally.inputs for tally in tallies),
        read=dict(sorted(read.items())),
        compared=dict(sorted(compared.items())),
        findings=[found for tally in tallies for found in tally.findings][:_KEPT],
        seconds=sum(tally.seconds for tally in tallies),
        slowest=max((tally.slowest for tally in tallies), default=0.0),
    )


def warm(parser: Parser) -> None:
    """Load what is loaded late, so that no input is charged for it."""
    for content in parser.seeds():
        try:
            parser.compare(content, parser.read(content))
        except CkpttoolError as error:
            parser.compare(content, error)


def _tally(
    parser: Parser,
    numbers: Sequence[int],
    seed: int,
    budget: Budget,
    at: mmap.mmap | None,
) -> Tally:
    read: Counter[str] = Counter()
    compared: Counter[str] = Counter()
    findings: List[Dict[str, Any]] = []
    start = time.process_time()
    for place, number in enumerate(numbers):
        if at is not None:
            at[:8] = struct.pack("<q", place)
        outcome = outcome_of(parser, numbered(parser, number, seed), budget)
        read[outcome.read] += 1
        compared[outcome.compared] += 1
        if outcome.finding and len(findings) < _KEPT:
            findings.append({"input": number, "what": outcome.finding})
    seconds = time.process_time() - start
    total = sum(read.values())
    return Tally(total, dict(read), dict(compared), findings, seconds, budget.slowest)


class _Worker:
    """A process at work on numbers, and again on what is left of them when it dies."""

    def __init__(self, parser: Parser, numbers: range, seed: int) -> None:
        self._parser, self._numbers, self._seed = parser, numbers, seed
        self._at = mmap.mmap(-1, 8)  # the place in the numbers, which outlives the process
        self._answer = tempfile.NamedTemporaryFile(suffix=".json")  # noqa: SIM115 (closed in end)
        self.tallies: List[Tally] = []
        self._process = 0
        self._begin()

    def _begin(self) -> None:
        self._moved, self._last = time.monotonic(), -1
        self._at[:8] = struct.pack("<q", 0)
        self._answer.truncate(0)
        self._process = os.fork()
        if not self._process:
            self._work()

    def _work(self) -> None:
        """Do the work of the child, which never returns."""
        try:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            tally = _tally(self._parser, self._numbers, self._seed, Budget(), self._at)
            Path(self._answer.name).write_text(json.dumps(tally), encoding="utf-8")
            os._exit(0)
        finally:
            os._exit(1)

    def goes_on(self) -> bool:
        """Look after the process; return whether there is work left."""
        if not self._process:
            return False
        process, status = os.waitpid(self._process, os.WNOHANG)
        place = struct.unpack("<q", self._at[:8])[0]
        if not process:
            self._watch(place)
            return True
        self._process = 0
        if status == 0:
            answer = json.loads(Path(self._answer.name).read_text(encoding="utf-8"))
            self.tallies.append(Tally(*answer))
            return False
        self._record_death(place, status)
        return bool(self._process)

    def _watch(self, place: int) -> None:
        if place != self._last:
            self._last, self._moved = place, time.monotonic()
        elif time.monotonic() - self._moved > _PATIENCE:
            os.kill(self._process, signal.SIGKILL)

    def _record_death(self, place: int, status: int) -> None:
        """Note the input that ended the process, and begin again behind it.

        What came of the inputs before it is lost with the process: these are not counted.
        """
        found = {"input": self._numbers[place], "what": f"the process ended: status {status}"}
        self.tallies.append(Tally(1, {"failed": 1}, {"": 1}, [found], 0.0, 0.0))
        print(f"{self._parser.NAME}: {found}", file=sys.stderr)  # noqa: T201
        self._numbers = self._numbers[place + 1 :]
        if self._numbers:
            self._begin()

    def end(self) -> None:
        """End the process and give everything back."""
        if self._process:
            os.kill(self._process, signal.SIGKILL)
            os.waitpid(self._process, 0)
        self._answer.close()
        self._at.close()
