"""Fuzz the parsers: ``python -m tests.fuzzing [PARSER ...]``.

Each parser gets inputs 0, 1, 2, ... up to ``--count``, of which those that the stored results have
are not tried again, and ``--led`` inputs that are led by coverage (needs the extra ``fuzz``).
``--input`` tries one of the numbered ones, keeps it in a file and shows what came of it; ``--file``
tries such a file, also with code of another time.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Callable, Dict, List

from benchmarks import processor
from tests.builders.repository import ROOT
from tests.fuzzing import led, results
from tests.fuzzing.budget import Budget
from tests.fuzzing.inputs import SEED, numbered
from tests.fuzzing.judging import outcome_of
from tests.fuzzing.parsers.table import PARSERS
from tests.fuzzing.results import Results, Run
from tests.fuzzing.running import Tally, run_in_processes, warm

#: Inputs after which the results are stored and the next parser has its turn.
_TURN = 20_000
#: The same for those led by coverage, whose processes take seconds to start.
_LED_TURN = 200_000


def main() -> int:
    """Run; return 1 where an oracle did not hold."""
    given = _arguments()
    names = given.parsers or list(PARSERS)
    if given.input is not None:
        return _try_number(names, given.input, given.seed)
    if given.file is not None:
        return _show(names[0], given.file.read_bytes())
    return _Fuzzing(names, given).run()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzzing", description=__doc__)
    parser.add_argument("parsers", nargs="*", choices=[*PARSERS, []], metavar="PARSER")
    parser.add_argument("--count", type=int, default=100_000, help="inputs of each parser")
    parser.add_argument("--led", type=int, default=0, help="and inputs led by coverage")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after these")
    parser.add_argument("--results", type=Path, help="a file to go on with and to store them in")
    parser.add_argument("--commit", default=None, help="of this code, where git cannot tell")
    parser.add_argument("--input", type=int, help="try this one alone, and show it")
    parser.add_argument("--file", type=Path, help="try the content of a file, and show it")
    return parser.parse_args()


def _try_number(names: List[str], number: int, seed: int) -> int:
    failed = 0
    for name in names:
        content = numbered(PARSERS[name], number, seed)
        kept = Path(f"{name}-{seed}-{number}.bin")
        kept.write_bytes(content)
        print(f"{kept}: {len(content):,} bytes")  # noqa: T201
        failed |= _show(name, content)
    return failed


def _show(name: str, content: bytes) -> int:
    warm(PARSERS[name])
    outcome = outcome_of(PARSERS[name], content, Budget())
    print(f"{name}: {outcome.read}, {outcome.compared}\n{outcome.finding}")  # noqa: T201
    return int(bool(outcome.finding))


class _Fuzzing:
    """A run: the parsers take turns, so that one which is stopped tried as much of each."""

    def __init__(self, names: List[str], given: argparse.Namespace) -> None:
        self._names, self._given = names, given
        self._stored: Dict[str, Results] = results.load(given.results) if given.results else {}
        self._end = time.monotonic() + given.minutes * 60
        self._commit = given.commit or _commit()
        self._failed = False

    def run(self) -> int:
        """Try what is left; return 1 where an oracle did not hold."""
        self._take_turns(self._numbered)
        self._take_turns(self._led)
        return int(self._failed)

    def _take_turns(self, turn: Callable[[str, Results], Results | None]) -> None:
        waiting = list(self._names)
        while waiting and time.monotonic() < self._end:
            name = waiting.pop(0)
            more = turn(name, self._stored.get(name, results.NONE))
            if more is None:
                continue
            waiting.append(name)
            self._stored[name] = more
            if self._given.results:
                results.save(self._stored, self._given.seed, self._given.results)

    def _numbered(self, name: str, known: Results) -> Results | None:
        numbers = range(known.next, min(known.next + _TURN, self._given.count))
        if not numbers:
            return None
        start = time.monotonic()
        tally = run_in_processes(
            PARSERS[name], numbers, seed=self._given.seed, processes=self._given.processes
        )
        _say(name, numbers, tally, time.monotonic() - start)
        self._failed |= bool(tally.findings)
        date = datetime.now(timezone.utc).date().isoformat()
        run = Run(self._commit, processor.describe(), date, numbers[0], numbers[-1] + 1)
        return results.added(known, tally, run)

    def _led(self, name: str, known: Results) -> Results | None:
        count = min(_LED_TURN, self._given.led - known.led.inputs)
        if count <= 0:
            return None
        more = led.run(name, count, first=known.led.inputs, processes=self._given.processes)
        print(f"{name}: {more.inputs:,} led by coverage; {more.seconds:.1f} s", flush=True)  # noqa: T201
        for finding in more.findings:
            print(finding, flush=True)  # noqa: T201
        self._failed |= bool(more.findings)
        # with nothing tried there would be no end
        return known._replace(led=known.led + more) if more.inputs else None


def _say(name: str, numbers: range, tally: Tally, seconds: float) -> None:
    read = ", ".join(f"{number:,} {word}" for word, number in tally.read.items())
    print(f"{name} {numbers[0]:,} to {numbers[-1]:,}: {read}; {seconds:.1f} s", flush=True)  # noqa: T201
    for found in tally.findings[:20]:
        print(f"  input {found['input']}: {found['what']}", flush=True)  # noqa: T201


def _commit() -> str:
    git = ["git", "rev-parse", "--short=12", "HEAD"]
    done = subprocess.run(git, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
