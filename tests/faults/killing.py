"""A writer is killed at a moment, or interrupted, and what it left is judged.

Run as a program it kills one of the writers at many moments, each in a process that was forked
after all modules had been imported: ``python -m tests.faults.killing FOLDER NAME MOMENTS``.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Callable, Iterator, List, NamedTuple

from ckpttool.files.leftovers import clean
from tests.faults.injector import Fault, Injector
from tests.faults.judging import Bench, Content, content, hidden_in, is_new
from tests.faults.writers import WRITERS


class Killed(NamedTuple):
    """What a killed run left.

    Attributes:
        moment: calls that it had made, or seconds.
        state: ``old`` or ``new``, once that was cleaned up.
        hidden: how many hidden files it left.
        wrong: what does not hold; empty if all does.
    """

    moment: float
    state: str
    hidden: int
    wrong: List[str]


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kill_at_call(bench: Bench, calls: int, cleans: bool) -> Killed:
    """Kill a run just before its next call, once it has made some."""

    def write() -> None:
        with Injector(str(bench.folder), Fault("killed", once=_die), number=calls):
            bench.write()

    bench.reset()
    _fork(write)
    return judged(bench, calls, cleans)


def kill_after(bench: Bench, seconds: float, cleans: bool) -> Killed:
    """Kill a run after a time, wherever it is."""

    def write() -> None:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(
            signal.ITIMER_REAL, seconds
        )  # whose signal ends the process as a kill does
        bench.write()

    bench.reset()
    _fork(write)
    return judged(bench, seconds, cleans)


def _fork(write: Callable[[], None]) -> None:
    child = os.fork()
    if not child:
        try:
            write()
        finally:
            os._exit(0)
    os.waitpid(child, 0)


def judged(bench: Bench, moment: float, cleans: bool) -> Killed:
    """Judge what is in the folder, and what the next run does.

    With ``cleans``, what cleaning up makes of it is looked at before; else the next run has to do
    that by itself.
    """
    left = content(bench.folder)
    wrong = list(_partial(bench, left))
    state = "not looked at"
    if cleans:
        clean(str(bench.folder))
        cleaned = content(bench.folder)
        state = "new" if is_new(cleaned, bench.old, bench.new) else "old"
        if hidden_in(cleaned) or (state == "old" and cleaned != bench.old):
            wrong.append(f"cleaned up, neither old nor new: {sorted(cleaned)}")
    told = bench.write()
    found = content(bench.folder)
    if hidden_in(found) or not (found == bench.twice or is_new(found, bench.old, bench.new)):
        wrong.append(f"after the next run: {sorted(found)}")
    # without --force it is refused where all is there already
    if told and (state == "old" or not all("[CVT103]" in one for one in told)):
        wrong.append(f"the next run fails: {told}")
    return Killed(moment, state, len(hidden_in(left)), wrong)


def _partial(bench: Bench, left: Content) -> Iterator[str]:
    """Yield each file that is neither as it was nor as it should become."""
    for name, data in left.items():
        if not name.startswith(".") and data not in (bench.old.get(name), bench.new.get(name)):
            yield f"{name} is neither old nor new"
    for name in set(bench.old) & set(bench.new) - set(left):
        yield f"nothing is at {name}"


def spread(count: int, moments: int) -> List[int]:
    """Return so many numbers below a count, evenly."""
    return sorted({count * number // moments for number in range(moments)})


def main(root: str, name: str, moments: str) -> None:
    """Kill a writer at many moments, and print what came of each as JSON."""
    (writer,) = (one for one in WRITERS if one.name == name)
    bench = Bench(Path(root), writer)
    calls = sum(bench.counts.values())
    numbers = spread(calls, int(moments))
    killed = [kill_at_call(bench, one, bool(turn % 2)) for turn, one in enumerate(numbers)]
    killed += [kill_after(bench, 0.002 * turn, bool(turn % 2)) for turn in range(1, 6)]
    sys.stdout.write(json.dumps([one._asdict() for one in killed]))


if __name__ == "__main__":
    main(*sys.argv[1:])
