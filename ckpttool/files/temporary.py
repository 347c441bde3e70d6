"""Temporary files beside a destination.

``.NAME.ckpttool-ID.tmp`` is a file that is being written, ``.NAME.ckpttool-ID.new`` a second name
of it that becomes NAME, and ``.NAME.ckpttool-ID.old`` a second name for the file that was at NAME;
one run has one ID. A run holds a lock on each file that it writes, by which ``files/leftovers``
tells them from those that a killed run left.
"""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING, Any, Callable, List, NamedTuple, TypeVar

from ckpttool.files.positional import unwritable
from ckpttool.files.sources import release
from ckpttool.findings import rules
from ckpttool.findings.errors import OutputError

if TYPE_CHECKING:
    from types import ModuleType

_locks: ModuleType | None
try:
    import fcntl
# leftovers cannot be told from files of a running process there
except ImportError:  # pragma: no cover (Windows)
    _locks = None
else:
    _locks = fcntl

_NAME = re.compile(r"\.(.+)\.ckpttool-([0-9a-f]{16})\.(tmp|new|old)", re.DOTALL)
_LONGEST_NAME = 255  # bytes; the limit of every common file system
_TRIES = 100  # each needs another run that cleans up, or a signal, in the same instant

#: Flags of every opening. Links are not followed, since another user may have made one, and opening
#: a FIFO does not wait.
OPEN = (
    getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_NONBLOCK", 0)
)


_T = TypeVar("_T")


class Growing(NamedTuple):
    """A file that is being written.

    Attributes:
        path: its final name.
        temporary: its name until then, in the same folder.
        fd: open for reading and writing.
    """

    path: str
    temporary: str
    fd: int


class HiddenName(NamedTuple):
    """What a hidden name says: the final name, the run's ID, and ``tmp``, ``new`` or ``old``."""

    name: str
    run: str
    kind: str


def parsed_name(name: str) -> HiddenName | None:
    """Return what a name in a folder says; ``None`` if it is none of ours."""
    match = _NAME.fullmatch(name)
    return HiddenName(*match.groups()) if match else None


def new_id() -> str:
    """Return a random ID for the files of one run."""
    # random, not the process's number: containers that share a folder have the same numbers
    return os.urandom(8).hex()


def temporary_path(path: str, run: str, kind: str) -> str:
    """Return the name beside ``path`` of a file of this run; for ``kind`` see above.

    Raises:
        OutputError: it would be too long for a file system.
    """
    # in the same folder, since a rename is atomic only within one file system
    folder, name = os.path.split(path)
    hidden = f".{name}.ckpttool-{run}.{kind}"
    if len(os.fsencode(hidden)) > _LONGEST_NAME:
        raise OutputError(
            "the name is too long", rules.UNWRITABLE, path=path, fix="Choose a shorter name."
        )
    return os.path.join(folder, hidden)  # noqa: PTH118 (keeps the caller's spelling)


def folder_of(path: str) -> str:
    """Return the folder of ``path``, in the caller's spelling."""
    return os.path.dirname(path) or os.curdir  # noqa: PTH120


def create(path: str, run: str, growing: List[Growing]) -> Growing:
    """Create the file that will be ``path``, exclusively and locked, and add it to ``growing``.

    Raises:
        OutputError: the folder is missing or cannot be written to.
    """
    temporary = temporary_path(path, run, "tmp")
    fd = -1
    for _ in range(_TRIES):
        try:
            # 0o666: the umask decides, as for any file that the user creates
            fd = os.open(temporary, os.O_RDWR | OPEN | os.O_CREAT | os.O_EXCL, 0o666)
            # Until it is locked it looks like a leftover, and another run may have removed it.
            if lock(fd) and is_still(fd, temporary):
                growing.append(Growing(path, temporary, fd))
                return growing[-1]
        except OSError as error:
            raise unwritable(error, "be created", path=path) from error
        except BaseException:  # a signal; what is in the list, its owner removes
            if not (growing and growing[-1].fd == fd):
                _drop(temporary, fd)
            raise
        _drop(temporary, fd)
        fd = -1
    raise OutputError("another run keeps removing the file", rules.UNWRITABLE, path=path)


def _drop(temporary: str, fd: int) -> None:
    remove(temporary)
    if fd >= 0:
        release(fd)


def has_locks() -> bool:
    """Whether the system has locks by which files of a running process are told from leftovers."""
    return _locks is not None


def lock(fd: int) -> bool:
    """Lock an open file until it is closed; return ``False`` if another process has the lock."""
    if _locks is None:  # pragma: no cover (Windows)
        return True
    try:
        _locks.flock(fd, _locks.LOCK_EX | _locks.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks, where nothing is cleaned up either
        return True
    return True


def lock_now(path: str) -> int | None:
    """Open and lock a file that nobody has locked; ``None`` if that cannot be done."""
    if _locks is None:  # pragma: no cover (Windows)
        return None
    try:
        fd = os.open(path, os.O_RDWR | OPEN)
    except OSError:
        return None
    try:
        _locks.flock(fd, _locks.LOCK_EX | _locks.LOCK_NB)
    except OSError:
        release(fd)
        return None
    except BaseException:
        release(fd)
        raise
    return fd


def remove(path: str) -> bool:
    """Remove a file; return ``False`` if there is none, or it stays as a leftover."""
    try:
        repeated(os.unlink, path)
    except OSError:
        return False
    return True


def is_still(fd: int, path: str) -> bool:
    """Whether a name is that of an open file."""
    try:
        return os.path.samestat(os.fstat(fd), repeated(os.lstat, path))
    except OSError:
        return False


def is_another(fd: int, path: str) -> bool:
    """Whether a name is known to be that of another file than the open one."""
    try:
        return not os.path.samestat(os.fstat(fd), repeated(os.lstat, path))
    except OSError:
        return False


def repeated(call: Callable[..., _T], *arguments: Any) -> _T:
    """Call the system again as long as a signal breaks the call off.

    Python does so for reading, writing and syncing (PEP 475). Calls about names are broken off by
    file systems of networks and of other programs only.
    """
    for _ in range(_TRIES):
        with contextlib.suppress(InterruptedError):
            return call(*arguments)
    return call(*arguments)
