"""The same work in several processes, for work that keeps waiting for the interpreter's lock.

A thread that computes with numpy gives the lock back for each call and has to wait for it after
most: handing it over takes 30 us, as long as a call on a block that fits into the caches. Copies
of the process have a lock each. They are made by forking, which is safe while the process has no
second thread that could hold something for ever in the copy; where it has one, or cannot fork,
:func:`can_fork` says no and threads have to do.
"""

from __future__ import annotations

import os
import pickle
import select
import signal
import sys
from contextlib import suppress
from typing import Any, Callable, List, Sequence, TypeVar

from ckpttool import rules
from ckpttool.errors import UnreadableError

Task = TypeVar("Task")
Result = TypeVar("Result")


def can_fork() -> bool:
    """Whether copies of this process can be made, and nothing in them would be locked for ever."""
    if sys.platform != "linux":  # macOS can fork, but its libraries do not bear it
        return False
    try:
        return len(os.listdir("/proc/self/task")) == 1  # noqa: PTH208 (names are enough)
    except OSError:
        return False


def in_processes(call: Callable[[Task], Result], tasks: Sequence[Task], count: int) -> List[Result]:
    """Return what ``call`` gives for each task, in order; to be used where :func:`can_fork`.

    This process works too. What ``call`` raises is raised here, and ends all work.

    Args:
        call: gives a result that can be pickled. What else it changes is lost with the copy.
        tasks: shared out in turn.
        count: processes, this one included.

    Raises:
        UnreadableError: a copy did not live to give its results.
        OSError: no copy could be made.
    """
    copies: List[_Copy] = []
    try:
        for number in range(1, count):
            copies.append(_Copy(call, tasks[number::count]))
        own = []
        for task in tasks[::count]:
            own.append(call(task))
            for copy in copies:
                copy.raise_early()
        shares = [own, *(copy.results() for copy in copies)]
    finally:
        for copy in copies:
            copy.end()
    return [shares[number % count][number // count] for number in range(len(tasks))]


class _Copy:
    """A copy of this process that works on its share and is gone."""

    def __init__(self, call: Callable[[Any], Any], tasks: Sequence[Any]) -> None:
        parent = os.getpid()
        self._found: Any = None
        self._reading, writing = os.pipe()
        self._id = os.fork()
        if self._id == 0:
            _work(call, tasks, writing, parent)
        os.close(writing)

    def raise_early(self) -> None:
        """Raise what went wrong, if that is known by now."""
        if self._found is None and select.select([self._reading], [], [], 0)[0]:
            self.results()

    def results(self) -> List[Any]:
        """Wait for the results, or raise what ended the work."""
        if self._found is None:
            with open(self._reading, "rb", closefd=False) as stream:
                told = stream.read()
            if not told:
                raise UnreadableError(
                    "a process that shared the work was killed, most likely to get its memory",
                    rules.LIMIT,
                    fix="Use --workers 1, or stop what else needs memory.",
                )
            self._found = pickle.loads(told)  # noqa: S301 (a copy of this very process wrote it)
        succeeded, found = self._found
        if not succeeded:
            raise found
        results: List[Any] = found
        return results

    def end(self) -> None:
        """Let nothing of it live on."""
        os.close(self._reading)
        with suppress(ProcessLookupError):
            os.kill(self._id, signal.SIGKILL)
        os.waitpid(self._id, 0)


def _work(call: Callable[[Any], Any], tasks: Sequence[Any], writing: int, parent: int) -> None:
    """Do a copy's share and never return."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is told too, and ends this
        told = _told(call, tasks, parent)
        while told:
            told = told[os.write(writing, told) :]
    finally:
        os._exit(0)


def _told(call: Callable[[Any], Any], tasks: Sequence[Any], parent: int) -> bytes:
    results = []
    try:
        for task in tasks:
            if os.getppid() != parent:
                return b""  # nobody waits for it any more
            results.append(call(task))
        return pickle.dumps((True, results))
    except Exception as error:  # noqa: BLE001 (raised where somebody can tell of it)
        with suppress(Exception):
            return pickle.dumps((False, error))
        return pickle.dumps((False, RuntimeError(f"{type(error).__name__}: {error}")))
