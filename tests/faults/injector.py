"""Lets the n-th call of a kind fail, of those that concern one folder."""

from __future__ import annotations

import errno
import fcntl
import os
from collections import Counter
from typing import TYPE_CHECKING, Any, Callable, Dict, List, NamedTuple, Optional, Tuple

if TYPE_CHECKING:
    from types import TracebackType

#: The calls that writing makes, by kind: those that change something, and those that only look.
CHANGING = (
    *("open", "mkdir", "posix_fallocate", "ftruncate", "pwrite", "fsync", "dup", "close"),
    *("link", "replace", "unlink"),
)
LOOKING = ("stat", "lstat", "fstat", "statvfs", "listdir", "preadv", "flock", "posix_fadvise")
CALLS = tuple(
    name for name in (*CHANGING, *LOOKING) if hasattr(fcntl if name == "flock" else os, name)
)
#: Those that Python itself repeats if a signal breaks them off (PEP 475).
REPEATED_BY_PYTHON = frozenset(
    "open posix_fallocate ftruncate pwrite fsync preadv flock posix_fadvise".split()
)


class Fault(NamedTuple):
    """What becomes of a call.

    Attributes:
        name: of the fault, for a table.
        error: the error of the system; ``None`` if there is none.
        much: of the bytes of a read or a write, which share is done; ``None`` for all of them.
        is_done: whether the call does its work and fails nevertheless, as if an answer was lost.
        for_good: whether every later call that changes something fails as well.
        once: called in place of the call, for what is no error of the system.
    """

    name: str
    error: Optional[int] = None
    much: Optional[float] = None
    is_done: bool = False
    for_good: bool = False
    once: Optional[Callable[[], None]] = None

    def fits(self, call: str) -> bool:
        """Whether this can happen to a call."""
        if self.much is not None:
            return call in ("pwrite", "preadv")
        if self.error == errno.EINTR:
            return call not in REPEATED_BY_PYTHON
        if self.is_done:
            return call in ("link", "replace", "unlink", "close", "fsync", "ftruncate")
        return True


class Injector:
    """Counts calls about the files in a folder, and lets one of them fail.

    Args:
        folder: the folder; calls about anything else are neither counted nor touched.
        fault: what becomes of the call.
        call: its kind; ``""`` for any.
        number: how many calls of the kind go well before it.
    """

    def __init__(self, folder: str, fault: Fault, call: str = "", number: int = 0) -> None:
        self._folder = os.path.realpath(folder)
        self._fault, self._call, self._number = fault, call, number
        self._descriptors: Dict[int, str] = {}
        self._real: Dict[str, Callable[..., Any]] = {}
        #: How many calls of each kind there were.
        self.counts: Counter[str] = Counter()
        self.has_failed = False

    def __enter__(self) -> Injector:
        for name in CALLS:
            module = fcntl if name == "flock" else os
            self._real[name] = getattr(module, name)
            setattr(module, name, self._instead_of(name))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for name, real in self._real.items():
            setattr(fcntl if name == "flock" else os, name, real)

    def _instead_of(self, name: str) -> Callable[..., Any]:
        real = self._real[name]

        def call(*arguments: Any, **options: Any) -> Any:
            if not self._concerns(arguments):
                return real(*arguments, **options)
            if self._fails(name):
                return self._failed(name, real, arguments, options)
            return self._noted(name, arguments, real(*arguments, **options))

        return call

    def _concerns(self, arguments: Tuple[Any, ...]) -> bool:
        subject = arguments[0] if arguments else None
        if isinstance(subject, int):
            return subject in self._descriptors
        if not isinstance(subject, (str, bytes, os.PathLike)):
            return False
        path = os.path.abspath(os.fsdecode(subject))  # noqa: PTH100 (without links of its own)
        return path == self._folder or path.startswith(self._folder + os.sep)

    def _fails(self, name: str) -> bool:
        if self.has_failed:
            return self._fault.for_good and name in CHANGING and name != "close"
        wanted = self._call in ("", name)
        self.counts[name] += 1
        at = self.counts[name] if self._call else sum(self.counts.values())
        self.has_failed = wanted and at == self._number + 1
        return self.has_failed

    def _failed(
        self,
        name: str,
        real: Callable[..., Any],
        arguments: Tuple[Any, ...],
        options: Dict[str, Any],
    ) -> Any:
        fault = self._fault
        if fault.once is not None:
            fault.once()
        if fault.much is not None:
            return self._shortened(name, real, arguments, fault.much)
        if fault.is_done or name == "close":  # a descriptor is gone, whatever close says of it
            self._noted(name, arguments, real(*arguments, **options))
        if fault.error is None:
            return None
        raise OSError(fault.error, os.strerror(fault.error))

    def _shortened(
        self, name: str, real: Callable[..., Any], arguments: Tuple[Any, ...], much: float
    ) -> int:
        fd, data, offset = arguments
        if not much:
            return 0
        if name == "preadv":
            (buffer,) = data
            return int(real(fd, [buffer[: max(1, int(len(buffer) * much))]], offset))
        return int(real(fd, data[: max(1, int(len(data) * much))], offset))

    def _noted(self, name: str, arguments: Tuple[Any, ...], result: Any) -> Any:
        if name == "open":
            self._descriptors[result] = os.fsdecode(arguments[0])
        elif name == "dup":
            self._descriptors[result] = self._descriptors[arguments[0]]
        elif name == "close":
            self._descriptors.pop(arguments[0], None)
        return result


def names_of(faults: List[Fault]) -> List[str]:
    """Return the names of faults, for the names of tests."""
    return [fault.name for fault in faults]
