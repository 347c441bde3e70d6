"""How many threads there are, and how they share one interpreter."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Iterator, List, Sequence, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future

Result = TypeVar("Result")

# More than this wait for the memory bus and the disk.
_MOST = 16


def processors() -> int:
    """Return how many threads to work with where nobody says so."""
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), _MOST)
    return min(os.cpu_count() or 1, _MOST)


def results_of(futures: Sequence[Future[Result]]) -> List[Result]:
    """Wait for all, and return what they give, in order.

    What one of them raises is raised as soon as it is known; the others are left to the caller.
    """
    from concurrent.futures import FIRST_EXCEPTION, wait  # late: 3 ms of every start

    wait(futures, return_when=FIRST_EXCEPTION)
    for future in futures:
        if future.done():
            future.result()
    return [future.result() for future in futures]


@contextmanager
def quick_switches() -> Iterator[None]:
    """Let a thread that waits for the interpreter's lock have it within half a millisecond.

    By default it is 5 ms. A thread that imports numpy or torch is busy with Python for long: others
    that read and hash, and need the lock only in between, would get a turn every 5 ms and spend
    most of the import waiting.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def without_blas() -> None:
    """Have numpy start no threads for linear algebra; to be called before it is loaded.

    They wait by turning, and take the time of those that read and compare. A user's own setting
    stays.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
