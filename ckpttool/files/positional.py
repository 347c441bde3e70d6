"""Writing and reading back at a position, from any thread."""

from __future__ import annotations

import errno
import os
from typing import Callable, Iterable

from ckpttool.files.sources import SEEK_LOCK, read_some
from ckpttool.findings import rules
from ckpttool.findings.errors import OutputError

# Errors by which a file system says that it cannot allocate blocks in advance, or set a size.
_NOT_THIS_WAY = frozenset(
    getattr(errno, name, -1)
    for name in ("EXDEV", "ENOSYS", "EINVAL", "EOPNOTSUPP", "ENOTSUP", "EPERM", "EBADF", "ETXTBSY")
)

# Bytes of one call that writes: up to a multiple of it in the file. The system puts them into pages
# that lie together in memory. Runs of 512 kB are rare where memory has been in use for a while, or
# must be got back from the host of a virtual machine, and then take three times as long.
_AT_ONCE = 128 << 10

_FULL = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)})
# Errors about the place, for which the rule's own advice fits: name another one.
_PLACE = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM, errno.EROFS}
)
_ELSEWHERE = (
    "This file system lacks what it takes to write safely. Write to a local disk, and copy the "
    "result there."
)
_FIXES = {
    errno.ENOSYS: _ELSEWHERE,
    errno.EOPNOTSUPP: _ELSEWHERE,
    errno.ENOTSUP: _ELSEWHERE,
    errno.ENAMETOOLONG: "Choose a shorter name.",
    errno.EFBIG: "Write to a place where larger files are allowed, or raise the limit (ulimit -f).",
}


def reserve(fd: int, nbytes: int) -> None:
    """Make a new file ``nbytes`` long, of zeros, with its blocks allocated where that is possible.

    A full disk is noticed before anything is copied, and writing into allocated blocks is faster.

    Raises:
        OutputError: no room, a limit on the size of files, or another error of the system.
    """
    if nbytes and hasattr(os, "posix_fallocate"):  # which refuses a length of 0
        _if_possible(os.posix_fallocate, fd, 0, nbytes)
    # Where neither is possible, what is written makes the file as long as it gets.
    _if_possible(os.ftruncate, fd, nbytes)


def _if_possible(call: Callable[..., None], *arguments: int) -> None:
    try:
        call(*arguments)
    except OSError as error:
        if error.errno not in _NOT_THIS_WAY:
            raise unwritable(error) from error


def write_at(fd: int, data: memoryview, offset: int) -> None:
    """Write all of ``data`` at ``offset``.

    Raises:
        OutputError: no room, an I/O error, or another error of the system.
    """
    done = 0
    try:
        # one call may write less: Linux stops at 2 GiB, and a disk that is nearly full earlier
        while done < len(data):
            end = done + _AT_ONCE - (offset + done) % _AT_ONCE
            wrote = _write_some(fd, data[done:end], offset + done)
            if not wrote:  # some file systems of other programs do; again would be for ever
                raise OSError(errno.EIO, "the system wrote nothing")
            done += wrote
    except OSError as error:
        raise unwritable(error, offset=offset + done) from error


def read_back(fd: int, buffer: memoryview, offset: int) -> None:
    """Fill ``buffer`` with the bytes of the file from ``offset``.

    Raises:
        OutputError: it cannot be read, or the file is shorter.
    """
    done = 0
    try:
        while done < len(buffer):
            got = read_some(fd, buffer[done:], offset + done)
            if got == 0:
                raise OutputError(
                    "written bytes are missing",
                    rules.NOT_AS_WRITTEN,
                    offset=offset + done,
                )
            done += got
    except OSError as error:
        raise unwritable(error, "be read back", offset=offset + done) from error


def write_parts(fd: int, path: str, parts: Iterable[tuple[int, bytes]]) -> None:
    """Write bytes at their offsets, and compare each with what is read back.

    Args:
        fd: open for reading and writing.
        path: the name in messages.
        parts: offsets, and what is written there.

    Raises:
        OutputError: as for :func:`write_at`, or other bytes are read back.
    """
    try:
        for offset, data in parts:
            write_at(fd, memoryview(data), offset)
            written = bytearray(len(data))
            read_back(fd, memoryview(written), offset)
            if written != data:
                raise not_as_written(offset)
    except OutputError as error:
        error.path = path
        raise


def not_as_written(offset: int, tensor: str | None = None) -> OutputError:
    """Return the error for bytes at ``offset`` that differ from those written there."""
    return OutputError(
        "the bytes read back differ from those written",
        rules.NOT_AS_WRITTEN,
        tensor=tensor,
        offset=offset,
        fix="Write to another disk: a failing disk or failing memory can do this.",
    )


def unwritable(
    error: OSError, what: str = "be written", *, path: str | None = None, offset: int | None = None
) -> OutputError:
    """Return the error for an error of the system about a destination."""
    full = error.errno in _FULL
    return OutputError(
        f"cannot {what}: {error.strerror or error}",
        rules.NO_SPACE if full else rules.UNWRITABLE,
        path=path,
        offset=offset,
        fix=_fix(error),
    )


if hasattr(os, "pwrite"):

    def _write_some(fd: int, data: memoryview, offset: int) -> int:
        return os.pwrite(fd, data, offset)

else:  # pragma: no cover (Windows)

    def _write_some(fd: int, data: memoryview, offset: int) -> int:
        with SEEK_LOCK:
            os.lseek(fd, offset, os.SEEK_SET)
            return os.write(fd, data)


def _fix(error: OSError) -> str | None:
    """Return the advice: ``None`` for that of the rule, empty if none is known."""
    if error.errno in _FULL:
        return "Make room on the disk, or write to another."
    return None if error.errno in _PLACE else _FIXES.get(error.errno or 0, "")
