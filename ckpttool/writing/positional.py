"""Writing and reading back at a position, from any thread, and copying inside the system."""

from __future__ import annotations

import errno
import os
from math import inf
from threading import Lock
from time import perf_counter
from typing import Callable, List

from ckpttool.findings import rules
from ckpttool.findings.errors import OutputError
from ckpttool.sources import FileSource
from ckpttool.tensors import Extent

# What says that this way of doing it will not do for these files, now or later.
_NOT_THIS_WAY = frozenset(
    getattr(errno, name, -1)
    for name in ("EXDEV", "ENOSYS", "EINVAL", "EOPNOTSUPP", "ENOTSUP", "EPERM", "EBADF", "ETXTBSY")
)

# (source, destination, length, offset in the source, offset in the destination) -> bytes copied
_Way = Callable[[int, int, int, int, int], int]

_seek_lock = Lock()

# Trials of both ways of writing, together, and the bytes from which on one counts.
_TRIALS = 32
_WORTH_TRYING = 64 << 10


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
            got = _read_some(fd, buffer[done:], offset + done)
            if got == 0:
                raise OutputError(
                    "what was written is not there", rules.NOT_AS_WRITTEN, offset=offset + done
                )
            done += got
    except OSError as error:
        raise unwritable(error, "be read back", offset=offset + done) from error


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


class Writer:
    """Puts bytes that were read from a source into the destination, by the faster of two ways.

    The system may copy them itself, from source to destination: on some file systems and
    networks that moves nothing at all, on others it costs more than writing what this process
    has in its cache. Both are tried a few times. Where nothing moves the system is faster by far,
    so that it must be twice as fast to be taken: other threads disturb the trials.
    """

    def __init__(self, destination: int) -> None:
        self._destination = destination
        self._system = SystemCopy(destination)
        self._trials = 0
        self._quickest = {True: inf, False: inf}

    def put(self, data: memoryview, offset: int, origin: Extent) -> None:
        """Write ``data``, which was read from ``origin``, at ``offset``.

        Raises:
            OutputError: as for :func:`write_at`.
        """
        worth = len(data) >= _WORTH_TRYING
        if not worth or self._trials >= _TRIALS:
            self._write(worth and self._is_system_faster(), data, offset, origin)
            return
        by_system = self._trials % 2 == 0
        self._trials += 1
        started = perf_counter()
        self._write(by_system, data, offset, origin)
        # A trial that another thread overwrites is one trial less, nothing worse.
        self._quickest[by_system] = min(self._quickest[by_system], perf_counter() - started)

    def _is_system_faster(self) -> bool:
        return self._quickest[True] < self._quickest[False] / 2

    def _write(self, by_system: bool, data: memoryview, offset: int, origin: Extent) -> None:
        source, start, length = origin
        copied = (
            by_system
            and isinstance(source, FileSource)
            and self._system.copy(source.fileno(), start, length, offset)
        )
        if not copied:
            write_at(self._destination, data, offset)


class SystemCopy:
    """Copies between files without a detour through this process, where the system can.

    A way that does not work for these files is not tried again. Trouble that may be on either
    side is not reported from here: whoever then reads and writes finds out on which.
    """

    def __init__(self, destination: int) -> None:
        self._destination = destination
        self._ways: List[_Way] = []
        if hasattr(os, "copy_file_range"):
            self._ways.append(_copy_file_range)
        if hasattr(os, "sendfile"):
            self._ways.append(_sendfile)

    def copy(self, source: int, offset: int, length: int, to: int) -> bool:
        """Copy ``length`` bytes from ``offset`` to position ``to``; whether all were copied."""
        for way in list(self._ways):
            try:
                return self._whole(way, source, offset, length, to)
            except OSError as error:
                if error.errno not in _NOT_THIS_WAY:
                    return False
                if way in self._ways:  # another thread may have found out too
                    self._ways.remove(way)
        return False

    def _whole(self, way: _Way, source: int, offset: int, length: int, to: int) -> bool:
        done = 0
        while done < length:
            got = way(source, self._destination, length - done, offset + done, to + done)
            if got == 0:
                return False
            done += got
        return True


def _copy_file_range(source: int, destination: int, length: int, offset: int, to: int) -> int:
    return os.copy_file_range(source, destination, length, offset, to)


def _sendfile(source: int, destination: int, length: int, offset: int, to: int) -> int:
    # It writes where the descriptor stands, so it needs one that no other thread moves.
    own = os.open(f"/proc/self/fd/{destination}", os.O_WRONLY)
    try:
        os.lseek(own, to, os.SEEK_SET)
        return os.sendfile(own, source, offset, length)
    finally:
        os.close(own)


if hasattr(os, "pwrite") and hasattr(os, "preadv"):

    def _write_some(fd: int, data: memoryview, offset: int) -> int:
        return os.pwrite(fd, data, offset)

    def _read_some(fd: int, buffer: memoryview, offset: int) -> int:
        return os.preadv(fd, [buffer], offset)

else:  # Windows has neither: seek and write under one lock

    def _write_some(fd: int, data: memoryview, offset: int) -> int:
        with _seek_lock:
            os.lseek(fd, offset, os.SEEK_SET)
            return os.write(fd, data)

    def _read_some(fd: int, buffer: memoryview, offset: int) -> int:
        with _seek_lock:
            os.lseek(fd, offset, os.SEEK_SET)
            data = os.read(fd, len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _fix(error: OSError) -> str | None:
    """Return what helps; ``None`` where it is the place, and nothing where that is not known."""
    if error.errno in _FULL:
        return "Make room on the disk, or write to another."
    return None if error.errno in _PLACE else _FIXES.get(error.errno or 0, "")
