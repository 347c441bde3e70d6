"""Fuzz the parsers: ``python -m tests.fuzzing [PARSER ...]``.

Each parser gets inputs 0, 1, 2, ... up to ``--count``, of which those that the stored results have
are not tried again. ``--input`` tries one of them and shows what came of it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import List

from benchmarks import processor
from tests.builders.repository import ROOT
from tests.fuzzing import results
from tests.fuzzing.budget import Budget
from tests.fuzzing.inputs import SEED, numbered
from tests.fuzzing.judging import outcome_of
from tests.fuzzing.parsers.table import PARSERS
from tests.fuzzing.results import Run
from tests.fuzzing.running import Tally, run_in_processes, warm

#: Inputs after which the results are stored and the next parser has its turn.
_TURN = 20_000


def main() -> int:
    """Run; return 1 where an oracle did not hold."""
    given = _arguments()
    names = given.parsers or list(PARSERS)
    if given.input is not None:
        return _show(names, given.input, given.seed)
    return _go_on(names, given)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzzing", description=__doc__)
    parser.add_argument("parsers", nargs="*", choices=[*PARSERS, []], metavar="PARSER")
    parser.add_argument("--count", type=int, default=100_000, help="inputs of each parser")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after these")
    parser.add_argument("--results", type=Path, help="a file to go on with and to store them in")
    parser.add_argument("--input", type=int, help="try this one alone, and show it")
    return parser.parse_args()


def _show(names: List[str], number: int, seed: int) -> int:
    failed = False
    for name in names:
        parser = PARSERS[name]
        warm(parser)
        content = numbered(parser, number, seed)
        outcome = outcome_of(parser, content, Budget())
        kept = Path(f"{name}-{seed}-{number}.bin")
        kept.write_bytes(content)
        print(f"{name}: {len(content):,} bytes, in {kept}\n{outcome.read}, {outcome.compared}")  # noqa: T201
        print(outcome.finding)  # noqa: T201
        failed |= bool(outcome.finding)
    return int(failed)


def _go_on(names: List[str], given: argparse.Namespace) -> int:
    stored = results.load(given.results) if given.results else {}
    end = time.monotonic() + given.minutes * 60
    waiting = list(names)
    failed = False
    while waiting and time.monotonic() < end:
        name = waiting.pop(0)
        known = stored.get(name, results.NONE)
        numbers = range(known.next, min(known.next + _TURN, given.count))
        if not numbers:
            continue
        start = time.monotonic()
        tally = run_in_processes(PARSERS[name], numbers, seed=given.seed, processes=given.processes)
        _say(name, numbers, tally, time.monotonic() - start)
        failed |= bool(tally.findings)
        stored[name] = results.added(known, tally, _run(numbers))
        if given.results:
            results.save(stored, given.seed, given.results)
        waiting.append(name)
    return int(failed)


def _say(name: str, numbers: range, tally: Tally, seconds: float) -> None:
    read = ", ".join(f"{number:,} {word}" for word, number in tally.read.items())
    print(f"{name} {numbers[0]:,} to {numbers[-1]:,}: {read}; {seconds:.1f} s", flush=True)  # noqa: T201
    for found in tally.findings[:20]:
        print(f"  input {found['input']}: {found['what']}", flush=True)  # noqa: T201


def _run(numbers: range) -> Run:
    git = ["git", "rev-parse", "--short=12", "HEAD"]
    done = subprocess.run(git, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    date = datetime.now(timezone.utc).date().isoformat()
    return Run(done.stdout.strip(), processor.describe(), date, numbers[0], numbers[-1] + 1)


if __name__ == "__main__":
    sys.exit(main())
