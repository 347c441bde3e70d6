"""Temporary names beside a destination, and what a killed run left under them.

``.NAME.ckpttool-ID.tmp`` is a file that grows, ``.NAME.ckpttool-ID.old`` another name for what
stood at NAME; one run has one ID. A run holds a lock on every file that it grows, which goes
when it ends, however it ends. So a growing file that nobody has locked is a leftover.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from typing import TYPE_CHECKING, NamedTuple

from ckpttool.files.positional import unwritable
from ckpttool.findings import rules
from ckpttool.findings.errors import OutputError

if TYPE_CHECKING:
    from types import ModuleType

_locks: ModuleType | None
try:
    import fcntl
except ImportError:  # Windows: nothing can be told about leftovers, so they are left alone
    _locks = None
else:
    _locks = fcntl

_NAME = re.compile(r"\.(?P<name>.+)\.ckpttool-(?P<id>[0-9a-f]{16})\.(?P<kind>tmp|old)", re.DOTALL)
_LONGEST_NAME = 255  # bytes; of every file system in use
_TRIES = 100

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
        path: what it will be called.
        temporary: what it is called until then, in the same folder.
        fd: open for reading and writing.
    """

    path: str
    temporary: str
    fd: int


def new_id() -> str:
    """Return what tells one run's files from another's."""
    return secrets.token_hex(8)


def temporary_path(path: str, run: str, kind: str) -> str:
    """Return the name beside ``path`` of a file of this run; ``kind`` is ``tmp`` or ``old``.

    Raises:
        OutputError: it would be longer than names can be.
    """
    folder, name = os.path.split(path)
    hidden = f".{name}.ckpttool-{run}.{kind}"
    if len(os.fsencode(hidden)) > _LONGEST_NAME:
        raise OutputError(
            "the name is too long", rules.UNWRITABLE, path=path, fix="Choose a shorter name."
        )
    return os.path.join(folder, hidden)  # noqa: PTH118 (keeps the caller's spelling)


def folder_of(path: str) -> str:
    """Return the folder that ``path`` lies in, in the caller's spelling."""
    return os.path.dirname(path) or os.curdir  # noqa: PTH120


def create(path: str, run: str) -> Growing:
    """Create the file that will be ``path``, exclusively and locked.

    Raises:
        OutputError: the folder is missing or cannot be written to.
    """
    temporary = temporary_path(path, run, "tmp")
    for _ in range(_TRIES):
        try:
            fd = os.open(temporary, _READ_WRITE | os.O_CREAT | os.O_EXCL, 0o666)
        except (OSError, ValueError) as error:
            raise _not_created(error, path) from error
        # Between creating and locking it looks like a leftover, and may have been taken for one.
        if lock(fd) and _is_still(fd, temporary):
            return Growing(path, temporary, fd)
        os.close(fd)
        remove(temporary)
    raise OutputError("another run keeps taking the file away", rules.UNWRITABLE, path=path)


def lock(fd: int) -> bool:
    """Lock an open file for as long as it stays open; whether nobody else had."""
    if _locks is None:
        return True
    try:
        _locks.flock(fd, _locks.LOCK_EX | _locks.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: leftovers there cannot be told either
        return True
    return True


def clean(folder: str) -> list[str]:
    """Remove what killed runs left in ``folder``; return the names that are gone.

    A set of files that was only half in place is put back as it was before that run.
    """
    if _locks is None:
        return []
    try:
        names = sorted(name for name in os.listdir(folder) if _NAME.fullmatch(name))  # noqa: PTH208 (no Path needed)
    except OSError:
        return []  # creating a file there will say what is wrong
    growing = [name for name in names if name.endswith(".tmp")]
    # Their locks are held until they are gone, so that no new run can take one for its own.
    dead = {name: fd for name in growing for fd in _lock_of_dead(os.path.join(folder, name))}  # noqa: PTH118
    try:
        unfinished = {_id(name) for name in dead}
        alive = {_id(name) for name in growing if name not in dead}
        gone = []
        for name in names:
            if name.endswith(".old") and _id(name) in unfinished - alive:
                gone += _put_back(folder, name)
            elif name in dead or (name.endswith(".old") and _id(name) not in alive):
                gone += _removed(folder, name)
    finally:
        for fd in dead.values():
            os.close(fd)
    return gone


def remove(path: str) -> None:
    """Remove a file if it is there; a file that cannot be removed stays a leftover."""
    with contextlib.suppress(OSError):
        os.unlink(path)  # noqa: PTH108


def _lock_of_dead(path: str) -> list[int]:
    """Open and lock a growing file that belongs to no run any more; nothing for another."""
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
    remove(os.path.join(folder, name))  # noqa: PTH118 (two names of one file: replacing kept both)
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
