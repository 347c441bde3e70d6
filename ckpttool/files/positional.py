"""Writing and reading back at a position, from any thread."""

from __future__ import annotations

import errno
import os
from typing import Iterable

from ckpttool.files.sources import SEEK_LOCK, read_some
from ckpttool.findings import rules
from ckpttool.findings.errors import OutputError

# What says that room cannot be set aside on this file system, now or later.
_NOT_THIS_WAY = frozenset(
    getattr(errno, name, -1)
    for name in ("EXDEV", "ENOSYS", "EINVAL", "EOPNOTSUPP", "ENOTSUP", "EPERM", "EBADF", "ETXTBSY")
)

_FULL = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)})
# What the system says of a place where no file can be created.
_PLACE = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM, errno.EROFS}
)
_FIXES = {
    errno.ENAMETOOLONG: "Choose a shorter name.",
    errno.EFBIG: "Write to a place where larger files are allowed, or raise the limit (ulimit -f).",
}


def reserve(fd: int, nbytes: int) -> None:
    """Make a new file ``nbytes`` long, with room on the disk for all of them where that is known.

    A disk that is full then says so before anything is copied, and writing into room that was
    set aside costs less. The bytes are zeros until they are written.

    Raises:
        OutputError: no room, a limit on the size of files, or whatever else the system says.
    """
    try:
        if nbytes and hasattr(os, "posix_fallocate"):
            try:
                os.posix_fallocate(fd, 0, nbytes)
            except OSError as error:
                if error.errno not in _NOT_THIS_WAY:
                    raise
        os.ftruncate(fd, nbytes)
    except OSError as error:
        raise unwritable(error) from error


def write_at(fd: int, data: memoryview, offset: int) -> None:
    """Write all of ``data`` at ``offset``.

    Raises:
        OutputError: no room, an I/O error, or whatever else the system says.
    """
    done = 0
    try:
        while done < len(data):
            done += _write_some(fd, data[done:], offset + done)
    except OSError as error:
        raise unwritable(error, offset=offset + done) from error


def read_back(fd: int, buffer: memoryview, offset: int) -> None:
    """Fill ``buffer`` with what was written at ``offset``.

    Raises:
        OutputError: it cannot be read, or the file is shorter.
    """
    done = 0
    try:
        while done < len(buffer):
            got = read_some(fd, buffer[done:], offset + done)
            if got == 0:
                raise OutputError(
                    "what was written is not there", rules.NOT_AS_WRITTEN, offset=offset + done
                )
            done += got
    except OSError as error:
        raise unwritable(error, "be read back", offset=offset + done) from error


def write_parts(fd: int, parts: Iterable[tuple[int, bytes]]) -> None:
    """Write bytes at their offsets, and prove each by reading it back.

    Raises:
        OutputError: as for :func:`write_at`, or what was read back is something else.
    """
    for offset, data in parts:
        write_at(fd, memoryview(data), offset)
        written = bytearray(len(data))
        read_back(fd, memoryview(written), offset)
        if written != data:
            raise not_as_written(offset)


def not_as_written(offset: int, tensor: str | None = None) -> OutputError:
    """Return the error for bytes at ``offset`` that are not those that were written there."""
    return OutputError(
        "what was read back is not what was written",
        rules.NOT_AS_WRITTEN,
        tensor=tensor,
        offset=offset,
        fix="A failing disk or failing memory can do this.",
    )


def unwritable(
    error: OSError, what: str = "be written", *, path: str | None = None, offset: int | None = None
) -> OutputError:
    """Return the error for what the system said about a destination."""
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

else:

    def _write_some(fd: int, data: memoryview, offset: int) -> int:
        with SEEK_LOCK:
            os.lseek(fd, offset, os.SEEK_SET)
            return os.write(fd, data)


def _fix(error: OSError) -> str | None:
    """Return what helps; ``None`` where it is the place, and nothing where that is not known."""
    if error.errno in _FULL:
        return "Make room on the disk, or write to another."
    return None if error.errno in _PLACE else _FIXES.get(error.errno or 0, "")
