"""Threads that share the tasks of one pass over a file's bytes.

The statistics of verify, the numbers of diff, the copying of convert and the sums of whole files
run here. Reading, hashing and numpy release the interpreter's lock, so threads suffice and no bytes
go between processes.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any, Callable, Generic, Iterator, Protocol, Sequence, TypeVar

from ckpttool.findings.arguments import check_executor, check_workers
from ckpttool.findings.errors import UsageError

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

Task = TypeVar("Task")
Memory = TypeVar("Memory")
Result = TypeVar("Result")

# More threads than this only wait for memory bandwidth and the disk.
_MOST = 16


class Progress(Protocol):
    """Told how far a pass is; the calls of ``advance`` come from several threads."""

    def start(self, total: int) -> None:
        """The pass begins; ``total`` is in bytes."""

    def advance(self, nbytes: int) -> None:
        """So many bytes more are done."""


def enter(progress: Progress | None, phase: str) -> None:
    """Tell what is being done from here on: reading, comparing, writing; the pass starts later.

    A progress with a method ``phase`` is told; a caller's own need not have it.
    """
    told = getattr(progress, "phase", None)
    if callable(told):
        told(phase)


class Worker(Generic[Memory]):
    """What a task is given besides itself.

    Attributes:
        memory: scratch memory that no other thread touches, the same from task to task.
    """

    def __init__(self, work: Work[Any, Memory, Any], memory: Memory) -> None:
        self.memory = memory
        self._work = work

    def check(self) -> None:
        """Leave the task if the work has ended. Call it before each chunk."""
        if self._work.ended:
            raise _Stopped

    def advance(self, nbytes: int) -> None:
        """Report that so many more bytes are done."""
        if self._work.progress is not None:
            self._work.progress(nbytes)


class Work(Generic[Task, Memory, Result]):
    """One call for each task, on several threads that start at once.

    Each thread takes the next task when it has finished one. Results are in the order of the
    tasks, so they do not depend on the number of threads. The first error ends the work; of
    several errors, that of the earliest task is raised.

    Args:
        call: does a task; called with it and its thread's :class:`Worker`.
        tasks: started in this order.
        memory: makes a thread's scratch memory, before its first task.
        workers: how many tasks are done at once; ``None`` for one per processor, at most 16.
        executor: runs them, in this process; it is left running. ``None`` for threads of our own.
        progress: called with how many more bytes are done, from any of the threads.

    Attributes:
        ended: whether the work failed or was cancelled, so that no result is needed any more.

    Raises:
        UsageError: fewer than one worker, or an executor of other processes or that was shut down.
    """

    def __init__(
        self,
        call: Callable[[Task, Worker[Memory]], Result],
        tasks: Sequence[Task],
        memory: Callable[[], Memory],
        *,
        workers: int | None = None,
        executor: Executor | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        check_workers(workers)
        check_executor(executor)
        self.progress = progress
        self.ended = False
        self._call = call
        self._memory = memory
        self._tasks = tasks
        self._waiting = deque(range(len(tasks)))
        self._results: dict[int, Result] = {}
        self._errors: dict[int, BaseException] = {}
        self._futures: list[Future[None]] = []
        self._pool: Executor | None = None
        count = min(workers or processors(), len(tasks))
        if executor is None and count:
            from concurrent.futures import ThreadPoolExecutor  # late: 3 ms of every start

            executor = self._pool = ThreadPoolExecutor(count, thread_name_prefix="ckpttool")
        try:
            while executor is not None and len(self._futures) < count:
                self._futures.append(executor.submit(self._share))
        except BaseException:
            self.cancel()
            raise

    def results(self) -> list[Result]:
        """Wait for all tasks, and return the results in their order.

        Raises:
            BaseException: raised by a task, or while waiting.
        """
        if self._futures:
            from concurrent.futures import FIRST_COMPLETED, wait

            try:
                # The first thread to finish found no task left to start. A busy executor may not
                # have begun the other calls, which have nothing to do then: _close cancels them.
                if not self._took_a_place():
                    wait(self._futures, return_when=FIRST_COMPLETED)
                self._close()
            except BaseException:
                self.cancel()
                raise
        if self._errors:
            raise self._errors[min(self._errors)]
        if len(self._results) < len(self._tasks):
            raise UsageError("the executor was shut down before the work was done")
        return [self._results[number] for number in range(len(self._tasks))]

    def _took_a_place(self) -> bool:
        """Do tasks on this thread if the caller's executor has not begun a call: it may be busy."""
        # This thread may even be the only one that it has, and would wait for itself.
        if self._pool is None:
            for future in self._futures:
                if not future.cancelled() and future.cancel():
                    self._share()
                    return True
        return False

    def cancel(self) -> None:
        """End the work and wait for the threads, which leave their tasks at the next chunk."""
        self._end()
        self._close()

    def _close(self) -> None:
        from concurrent.futures import wait

        # Calls that a busy executor has not begun are cancelled, not waited for.
        wait([future for future in self._futures if not future.cancel()])
        if self._pool is not None:
            self._pool.shutdown()

    def _share(self) -> None:
        """Do one task after another until none is left."""
        worker: Worker[Memory] | None = None
        while True:
            try:
                # Not "while self._waiting": another thread may take the last one in between.
                number = self._waiting.popleft()
            except IndexError:
                return
            try:
                # In the try block, because there may not be enough memory for it.
                worker = worker or Worker(self, self._memory())
                self._results[number] = self._call(self._tasks[number], worker)
            except _Stopped:
                return
            except BaseException as error:  # noqa: BLE001 (raised where the results are awaited)
                self._errors[number] = error
                self._end()
                return

    def _end(self) -> None:
        self.ended = True
        self._waiting.clear()


class _Stopped(Exception):  # noqa: N818 (not an error: the way out of a task)
    """The work has ended while the task ran."""


def processors() -> int:
    """Return the number of threads to use by default."""
    # The affinity, because a container or batch system may allow fewer than the machine has.
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), _MOST)
    return min(os.cpu_count() or 1, _MOST)


class _QuickSwitches:
    """The interval of the process, and how many blocks want it short: they overlap in threads."""

    lock = Lock()
    blocks = 0
    before = 0.0


@contextmanager
def quick_switches() -> Iterator[None]:
    """Let a thread that waits for the interpreter's lock have it within half a millisecond."""
    with _QuickSwitches.lock:
        if not _QuickSwitches.blocks:
            _QuickSwitches.before = sys.getswitchinterval()
            # The default is 5 ms. While one thread imports numpy or torch, which is mostly Python,
            # threads that read and hash need the lock only briefly and would spend most of the
            # import waiting.
            sys.setswitchinterval(0.0005)
        _QuickSwitches.blocks += 1
    try:
        yield
    finally:
        with _QuickSwitches.lock:
            _QuickSwitches.blocks -= 1
            if not _QuickSwitches.blocks:
                sys.setswitchinterval(_QuickSwitches.before)


def without_blas() -> None:
    """Keep numpy from starting threads for linear algebra. Call it before numpy is loaded."""
    # Idle BLAS threads spin, which takes time from those that read and compare. A user's own
    # setting stays.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
