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
from contextlib import contextmanager, suppress
from typing import Any, Callable, Iterator, List, Sequence, TypeVar

from ckpttool.findings import rules
from ckpttool.findings.errors import UnreadableError

Task = TypeVar("Task")
Result = TypeVar("Result")


def can_fork() -> bool:
    """Whether copies of this process can be made, and nothing in them would be locked for ever.

    Where somebody else looks after children that end, or nobody is told of them, there are none
    either: the number of one that is gone may be that of a stranger.
    """
    if sys.platform != "linux":  # macOS can fork, but its libraries do not bear it
        return False
    if signal.getsignal(signal.SIGCHLD) != signal.SIG_DFL:
        return False
    try:
        return len(os.listdir("/proc/self/task")) == 1  # noqa: PTH208 (names are enough)
    except OSError:
        return False


def in_processes(call: Callable[[Task], Result], tasks: Sequence[Task], count: int) -> List[Result]:
    """Return what ``call`` gives for each task, in order; to be used where :func:`can_fork`.

    This process works too, and does alone what it can make no copies for. What ``call`` raises
    is raised here, and ends all work.

    Args:
        call: gives a result that can be pickled. What else it changes is lost with the copy.
        tasks: shared out in turn.
        count: processes, this one included.

    Raises:
        UnreadableError: a copy did not live to give its results.
    """
    copies: List[_Copy] = []
    results: List[Any] = [None] * len(tasks)
    try:
        with suppress(OSError):  # no room for another one
            for number in range(1, count):
                with _uninterrupted():
                    copies.append(_Copy(call, tasks[number::count]))
        for number, task in enumerate(tasks):
            if not 1 <= number % count <= len(copies):
                results[number] = call(task)
                for copy in copies:
                    copy.raise_early()
        for number, copy in enumerate(copies, 1):
            results[number::count] = copy.results()
    finally:
        for copy in copies:
            copy.end()
    return results


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let signals wait: a copy must not act on one as if it were this process."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Copy:
    """A copy of this process that works on its share and is gone."""

    def __init__(self, call: Callable[[Any], Any], tasks: Sequence[Any]) -> None:
        parent = os.getpid()
        self._found: Any = None
        self._reading, writing = os.pipe()
        try:
            self._id = os.fork()
            if self._id == 0:
                # Else the pipe would have a reader when the parent is gone: itself, waiting for
                # room to write.
                os.close(self._reading)
                _work(call, tasks, writing, parent)
        except OSError:
            os.close(self._reading)
            raise
        finally:
            os.close(writing)
        self._news = select.poll()  # select.select knows no descriptors beyond 1023
        self._news.register(self._reading)

    def raise_early(self) -> None:
        """Raise what went wrong, if that is known by now."""
        if self._found is None and self._news.poll(0):
            self.results()

    def results(self) -> List[Any]:
        """Wait for the results, or raise what ended the work."""
        if self._found is None:
            with open(self._reading, "rb", closefd=False) as stream:
                told = stream.read()
            try:
                self._found = pickle.loads(told)  # noqa: S301 (a copy of this process wrote it)
            except (EOFError, pickle.UnpicklingError) as error:  # nothing, or not all of it
                raise UnreadableError(
                    "a process that shared the work was killed, most likely to get its memory",
                    rules.LIMIT,
                    fix="Use --workers 1, or stop what else needs memory.",
                ) from error
        succeeded, found = self._found
        if not succeeded:
            raise found
        results: List[Any] = found
        return results

    def end(self) -> None:
        """Let nothing of it live on."""
        os.close(self._reading)
        # gone already where this process was started to ignore the end of its children
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(self._id, signal.SIGKILL)
            os.waitpid(self._id, 0)


def _work(call: Callable[[Any], Any], tasks: Sequence[Any], writing: int, parent: int) -> None:
    """Do a copy's share and never return."""
    try:
        _forget_handlers()
        told = _told(call, tasks, parent)
        while told:
            told = told[os.write(writing, told) :]
    finally:
        os._exit(0)


def _forget_handlers() -> None:
    """Die of signals, whatever the program does about them: they are for the parent to act on."""
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is told too, and ends this
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


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
            told = pickle.dumps((False, error))
            pickle.loads(told)  # noqa: S301 (what was just written: not all can be read)
            return told
        return pickle.dumps((False, RuntimeError(f"{type(error).__name__}: {error}")))
