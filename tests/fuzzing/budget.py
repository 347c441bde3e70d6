"""How much one input may cost: processor time and memory, which the system itself limits."""

from __future__ import annotations

import resource
import signal
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator

#: Seconds of processor time that one input of at most :data:`LARGEST` bytes may take.
SECONDS = 2.0
#: The same in the tests, which run on slower machines as well: there it finds what has no end.
PATIENT_SECONDS = 20.0
#: Bytes of address space that it may take beyond what the process has.
MEMORY = 256 * 2**20
#: Bytes of the largest input.
LARGEST = 10 * 10**6

_PAGE = resource.getpagesize()


class TooSlowError(BaseException):
    """The processor time is used up. No ``except Exception`` of a reader may take it."""


class Budget:
    """The limits of one process; ``seconds`` are those of processor time for each input."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._limits_memory = sys.platform == "linux"
        self._hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        self.slowest = 0.0

    @contextmanager
    def spent(self) -> Iterator[None]:
        """Limit what the block takes.

        Raises:
            TooSlowError: it took longer.
            MemoryError: it wanted more.
        """
        before = signal.signal(signal.SIGPROF, _stop)
        if self._limits_memory:
            # what the process has at this time: the reference of an input before may have left much
            most = _address_space() + MEMORY
            resource.setrlimit(resource.RLIMIT_AS, (most, self._hard))
        start = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, self._seconds)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            self.slowest = max(self.slowest, time.process_time() - start)
            if self._limits_memory:
                resource.setrlimit(resource.RLIMIT_AS, (self._hard, self._hard))
            signal.signal(signal.SIGPROF, before)


def _stop(*_: Any) -> None:
    raise TooSlowError("the processor time is used up")


def _address_space() -> int:
    """Return the size of this process in bytes, as RLIMIT_AS counts it."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * _PAGE
