"""Temporary files beside a destination, and cleaning up those of killed runs.

``.NAME.ckpttool-ID.tmp`` is a file that is being written, ``.NAME.ckpttool-ID.old`` a second name
for the file that was at NAME; one run has one ID. A run holds a lock on each file that it writes,
which the system releases when the process ends in any way. So a file of that name that is not
locked was left by a killed run.
"""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING, NamedTuple

from ckpttool.files.positional import unwritable
from ckpttool.findings import rules
from ckpttool.findings.errors import OutputError

if TYPE_CHECKING:
    from types import ModuleType

_locks: ModuleType | None
try:
    import fcntl
except ImportError:  # Windows: leftovers cannot be told from files of a running process
    _locks = None
else:
    _locks = fcntl

_NAME = re.compile(r"\.(?P<name>.+)\.ckpttool-(?P<id>[0-9a-f]{16})\.(?P<kind>tmp|old)", re.DOTALL)
_LONGEST_NAME = 255  # bytes; the limit of every common file system
_TRIES = 100  # each needs another run that cleans up in the same instant

# Links are not followed, since another user may have made one, and opening a FIFO does not wait.
_READ_WRITE = (
    os.O_RDWR
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_NONBLOCK", 0)
)


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


def new_id() -> str:
    """Return a random ID for the files of one run."""
    # random, not the process's number: containers that share a folder have the same numbers
    return os.urandom(8).hex()


def temporary_path(path: str, run: str, kind: str) -> str:
    """Return the name beside ``path`` of a file of this run; ``kind`` is ``tmp`` or ``old``.

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


def create(path: str, run: str) -> Growing:
    """Create the file that will be ``path``, exclusively and locked.

    Raises:
        OutputError: the folder is missing or cannot be written to.
    """
    temporary = temporary_path(path, run, "tmp")
    for _ in range(_TRIES):
        try:
            # 0o666: the umask decides, as for any file that the user creates
            fd = os.open(temporary, _READ_WRITE | os.O_CREAT | os.O_EXCL, 0o666)
        except (OSError, ValueError) as error:
            raise _not_created(error, path) from error
        # Until it is locked it looks like a leftover, and another run may have removed it.
        if lock(fd) and _is_still(fd, temporary):
            return Growing(path, temporary, fd)
        os.close(fd)
        remove(temporary)
    raise OutputError("another run keeps removing the file", rules.UNWRITABLE, path=path)


def lock(fd: int) -> bool:
    """Lock an open file until it is closed; return ``False`` if another process has the lock."""
    if _locks is None:
        return True
    try:
        _locks.flock(fd, _locks.LOCK_EX | _locks.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks, where nothing is cleaned up either
        return True
    return True


def clean(folder: str) -> list[str]:
    """Remove the files that killed runs left in ``folder``; return their names.

    If a run was killed while it renamed a set of files, the old set is restored.
    """
    if _locks is None:
        return []
    try:
        names = sorted(name for name in os.listdir(folder) if _NAME.fullmatch(name))  # noqa: PTH208 (no Path needed)
    except OSError:
        return []  # creating a file there will raise the error
    growing = [name for name in names if name.endswith(".tmp")]
    # Locks are held until the files are removed, so that two runs that clean up do not interfere.
    dead = {name: fd for name in growing for fd in _lock_of_dead(os.path.join(folder, name))}  # noqa: PTH118
    try:
        unfinished = {_id(name) for name in dead}
        alive = {_id(name) for name in growing if name not in dead}
        gone = []
        for name in names:
            # With a temporary file left, its run had not renamed all of them: restore. Without
            # one, the set was complete and only the old names remained to be removed.
            if name.endswith(".old") and _id(name) in unfinished - alive:
                gone += _put_back(folder, name)
            elif name in dead or (name.endswith(".old") and _id(name) not in alive):
                gone += _removed(folder, name)
    finally:
        for fd in dead.values():
            os.close(fd)
    return gone


def remove(path: str) -> None:
    """Remove a file if it exists; one that cannot be removed stays a leftover."""
    with contextlib.suppress(OSError):
        os.unlink(path)  # noqa: PTH108


def _lock_of_dead(path: str) -> list[int]:
    """Return the descriptor of a killed run's file, opened and locked; none for a running one's."""
    assert _locks is not None  # noqa: S101 (the caller looked)
    try:
        fd = os.open(path, _READ_WRITE)
    except OSError:
        return []
    try:
        _locks.flock(fd, _locks.LOCK_EX | _locks.LOCK_NB)
    except OSError:
        os.close(fd)
        return []
    return [fd]


def _put_back(folder: str, name: str) -> list[str]:
    match = _NAME.fullmatch(name)
    assert match is not None  # noqa: S101 (the caller looked)
    try:
        os.replace(os.path.join(folder, name), os.path.join(folder, match["name"]))  # noqa: PTH105, PTH118
    except OSError:
        return []
    # rename does nothing, and keeps both, where two names are of one file already
    remove(os.path.join(folder, name))  # noqa: PTH118
    return [name]


def _removed(folder: str, name: str) -> list[str]:
    try:
        os.unlink(os.path.join(folder, name))  # noqa: PTH108, PTH118
    except OSError:
        return []
    return [name]


def _id(name: str) -> str:
    match = _NAME.fullmatch(name)
    return match["id"] if match else ""


def _is_still(fd: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.lstat(path))
    except OSError:
        return False


def _not_created(error: Exception, path: str) -> OutputError:
    if isinstance(error, OSError):
        return unwritable(error, "be created", path=path)
    return OutputError(f"cannot be created: {error}", rules.UNWRITABLE, path=path)
