"""Byte sources: files and parts of files, read by position and never mapped.

A mapped file that another process truncates kills this one with SIGBUS; a positional read only
returns fewer bytes, which is an error with an offset.
"""

from __future__ import annotations

import os
import stat
from contextlib import closing, suppress
from threading import Lock
from typing import Iterable, NamedTuple, NoReturn, Protocol, Sequence, Tuple

from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError, UnreadableError, UsageError

#: Held while seeking and then reading or writing, where one call cannot do both (Windows).
SEEK_LOCK = Lock()

#: What one more read costs, in bytes that could have been copied in the same time: a call through
#: Python takes about 3 us, in which the page cache gives 16 kB.
READ_COST = 16 << 10


class Identity(NamedTuple):
    """What a file is known by: device, inode, size in bytes, two times in ns, and having a name.

    ``mtime_ns`` is when it was last written to, which any program may set back. ``ctime_ns`` is
    when it or its attributes last changed, which only the system's clock sets. ``nameless`` is
    a file that was removed, or replaced by another one, and that somebody has open.
    """

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int
    nameless: bool


class ByteSource(Protocol):
    """A run of bytes of known size that can be read at any position."""

    @property
    def name(self) -> str:
        """The name in messages; for a file, its path."""

    @property
    def size(self) -> int:
        """Size in bytes, fixed when the source was opened."""

    @property
    def identity(self) -> Identity | None:
        """What tells this file from others; ``None`` of bytes that are no file of this machine."""

    @property
    def is_far(self) -> bool:
        """Whether each read is a request to another machine, which costs as much as a megabyte."""

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill ``buffer`` with the bytes from ``offset``; raises UnreadableError if it cannot."""

    def check_unchanged(self) -> None:
        """Raise UnreadableError if the bytes are no longer those that were opened."""

    def rest(self) -> None:
        """Give back what few sources may hold at a time, such as a descriptor; reads still work."""

    def close(self) -> None:
        """Release the source; reading afterwards is an error."""


def read_bytes(source: ByteSource, offset: int, length: int) -> bytes:
    """Return ``length`` bytes from ``offset``. The caller has checked them against the size."""
    buffer = bytearray(length)
    source.read_into(offset, memoryview(buffer))
    return bytes(buffer)


#: Bytes to read: from where, from which offset on, into which memory.
Reading = Tuple[ByteSource, int, memoryview]


def read_together(readings: Sequence[Reading], scratch: memoryview) -> None:
    """Fill the memory of each reading; short ones that lie close together take one call.

    ``scratch`` holds what such a call reads; what was in it is lost. Raises UnreadableError.
    """
    first = 0
    while first < len(readings):
        source, begin, out = readings[first]
        last, end = first + 1, begin + len(out)
        while last < len(readings) and len(out) <= READ_COST:
            other, offset, out = readings[last]
            close = other is source and end <= offset <= end + READ_COST
            if not close or len(out) > READ_COST or offset + len(out) - begin > len(scratch):
                break
            last, end = last + 1, offset + len(out)
        if last == first + 1:
            source.read_into(begin, readings[first][2])
        else:
            run = scratch[: end - begin]
            source.read_into(begin, run)
            for _, offset, out in readings[first:last]:
                out[:] = run[offset - begin : offset - begin + len(out)]
        first = last


def check_all_unchanged(sources: Iterable[ByteSource]) -> None:
    """Raise UnreadableError if a source is no longer what was opened; each is asked once."""
    # by identity: thousands of extents lie in a few files, and a source need not be hashable
    for source in {id(source): source for source in sources}.values():
        source.check_unchanged()


def release(fd: int) -> None:
    """Close a file of which everything that matters is known to be read, or to be written."""
    with suppress(OSError):
        os.close(fd)


def unless_changed(source: ByteSource, error: CkpttoolError) -> CkpttoolError:
    """Return an error, or that the file changed: what was read may be of two versions then."""
    try:
        source.check_unchanged()
    except CkpttoolError as changed:
        changed.uses = error.uses
        return changed
    return error


class FileSource:
    """A regular file, opened once and read with ``pread``, from any thread.

    Raises:
        UnreadableError: the path is missing, not permitted, or no regular file. A FIFO,
            a device or a socket is refused without waiting for it. So is a file whose size is 0
            but that has bytes.
    """

    is_far = False

    def __init__(self, path: str) -> None:
        self.name = path
        self._rests = False
        self._fd, status = _open(path)
        self.identity = _identity(status)
        self.size = status.st_size
        if self.size == 0:
            self._require_no_bytes()

    def _require_no_bytes(self) -> None:
        """Refuse files like those of ``/proc``, whose size is 0 but which have bytes."""
        try:
            got = read_some(self._fd, memoryview(bytearray(1)), 0)
        except OSError as error:
            raise _unreadable(self.name, error, 0) from error
        if got:
            raise UnreadableError(
                "cannot be read: its size is 0, but it has bytes",
                rules.UNREADABLE,
                path=self.name,
                fix="Copy it to a file whose size the system knows.",
            )

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill ``buffer`` from ``offset``.

        Raises:
            UnreadableError: an I/O error, or the file ended early: it was cut while open.
        """
        if self._rests:
            fd = self._open_again()
            try:
                self._read_from(fd, offset, buffer)
            finally:
                release(fd)
            return
        self._check_open()
        self._read_from(self._fd, offset, buffer)

    def _read_from(self, fd: int, offset: int, buffer: memoryview) -> None:
        done = 0
        while done < len(buffer):
            try:
                got = read_some(fd, buffer[done:], offset + done)
            except OSError as error:
                raise _unreadable(self.name, error, offset + done) from error
            if got == 0:
                raise self._changed(offset + done, _status(fd, self.name))
            done += got

    def rest(self) -> None:
        """Close the descriptor; from now on each read opens the file for itself.

        For a checkpoint of more files than a process may have open. A file that replaced this one
        is noticed like any other change.
        """
        if self._fd >= 0:
            self._rests = True
            fd, self._fd = self._fd, -1  # first: a number that was given back may be another file's
            release(fd)

    def _open_again(self) -> int:
        fd, status = _open(self.name)
        if _identity(status) != self.identity:
            release(fd)
            raise self._changed(None, status)
        return fd

    def fileno(self) -> int:
        """Return the descriptor, for copying within the system; -1 while the source rests."""
        return self._fd

    def check_unchanged(self) -> None:
        """Raise UnreadableError if size or times differ from when it was opened."""
        if self._rests:
            release(self._open_again())
            return
        self._check_open()
        status = _status(self._fd, self.name)
        if _identity(status) != self.identity:
            raise self._changed(None, status)

    def _check_open(self) -> None:
        if self._fd < 0:
            raise UsageError(
                "the file is closed: nothing more can be read from it",
                path=self.name,
                fix="Read while the checkpoint is open, inside of its with block.",
            )

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._rests = False
        if self._fd >= 0:
            fd, self._fd = self._fd, -1  # first: a number that was given back may be another file's
            release(fd)

    def __del__(self) -> None:
        if getattr(self, "_fd", -1) >= 0:
            self.close()

    # A copy would close the descriptor a second time, when it may be that of another file.
    def __copy__(self) -> FileSource:
        return self

    def __deepcopy__(self, memo: object) -> FileSource:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("an open file cannot be pickled: pass its path, and open it there")

    def _changed(self, offset: int | None, status: os.stat_result) -> UnreadableError:
        return UnreadableError(
            "the file changed while it was being read",
            rules.CHANGED,
            path=self.name,
            offset=offset,
            expected=f"{self.size:,} bytes as when it was opened",
            found=_difference(self.identity, status),
            fix="Run again when nothing is writing to the file.",
        )


class Part:
    """A run of bytes of another source, for example a file within a file. It closes nothing."""

    identity = None  # several parts of one file are not that file

    def __init__(self, source: ByteSource, offset: int, size: int) -> None:
        self.name = source.name
        self.size = size
        self.is_far = source.is_far
        self._source = source
        self._offset = offset

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill ``buffer`` from ``offset``; raises UnreadableError if that reaches outside."""
        if not 0 <= offset <= offset + len(buffer) <= self.size:
            raise UnreadableError("the bytes end early", rules.UNREADABLE, offset=offset)
        self._source.read_into(self._offset + offset, buffer)

    def check_unchanged(self) -> None:
        """Raise UnreadableError if the bytes are no longer those that were opened."""
        self._source.check_unchanged()

    def rest(self) -> None:
        """Nothing: the source belongs to whoever opened it."""

    def close(self) -> None:
        """Nothing: the source belongs to whoever opened it."""


class MemorySource:
    """Bytes in memory, for example a file within another."""

    identity = None
    is_far = False

    def __init__(self, data: bytes, name: str) -> None:
        self.name = name
        self.size = len(data)
        self._data = data

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill ``buffer`` from ``offset``; raises UnreadableError if that reaches outside."""
        end = offset + len(buffer)
        if not 0 <= offset <= end <= self.size:
            raise UnreadableError("the bytes end early", rules.UNREADABLE, offset=offset)
        buffer[:] = self._data[offset:end]

    def check_unchanged(self) -> None:
        """Nothing: bytes do not change."""

    def rest(self) -> None:
        """Nothing: there is nothing to give back."""

    def close(self) -> None:
        """Nothing: there is nothing to release."""


def _open(path: str) -> tuple[int, os.stat_result]:
    # O_NONBLOCK: opening a FIFO that nobody writes to would hang. It has no effect on files.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        # Checked before opening, because opening some devices acts on them (a tape rewinds), and
        # again on the descriptor, because the path may lead to another file by then.
        _require_regular(os.stat(path), path)  # noqa: PTH116 (one call, no Path needed)
        fd = os.open(path, flags | getattr(os, "O_CLOEXEC", 0))
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    try:
        status = _status(fd, path)
        _require_regular(status, path)
    except BaseException:
        release(fd)
        raise
    return fd, status


def _status(fd: int, path: str) -> os.stat_result:
    try:
        return os.fstat(fd)
    except OSError as error:
        raise _unreadable(path, error) from error


def _identity(status: os.stat_result) -> Identity:
    # A new hard link or mode changes ctime and not the content. But mtime alone can be put back
    # by whoever writes to the file, so that what was read at two times would pass as one file.
    return Identity(
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_nlink == 0,
    )


def _difference(before: Identity, status: os.stat_result) -> str:
    """Say what tells a file from the one that was opened, and no more than that."""
    now = _identity(status)
    if now.size != before.size:
        return f"{now.size:,} bytes"
    if now[:2] != before[:2]:
        return "another file under its name"
    if now.nameless and not before.nameless:
        return "a file that has no name any more: it was removed or replaced"
    if now.mtime_ns != before.mtime_ns:
        return "another time of its last writing"
    return (
        "another time of change: it was written to and its time put back, or got other attributes"
    )


def _require_regular(status: os.stat_result, path: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableError(
            f"not a regular file but {_kind(status.st_mode)}",
            rules.UNREADABLE,
            path=path,
            fix="Name a checkpoint file.",
        )


def _kind(mode: int) -> str:
    kinds = {
        stat.S_IFDIR: "a directory",
        stat.S_IFIFO: "a FIFO",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a character device",
        stat.S_IFBLK: "a block device",
    }
    return kinds.get(stat.S_IFMT(mode), "a special file")


def _unreadable(path: str, error: Exception, offset: int | None = None) -> UnreadableError:
    if isinstance(error, FileNotFoundError):
        from ckpttool.files.missing import missing  # late: for errors only

        told = missing(path)
        return UnreadableError(told.reason, rules.UNREADABLE, path=path, fix=told.fix)
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return UnreadableError(f"cannot be read: {reason}", rules.UNREADABLE, path=path, offset=offset)


if hasattr(os, "preadv"):

    def read_some(fd: int, buffer: memoryview, offset: int) -> int:
        """Read into the buffer from a position on, and return how many bytes came: 0 at the end."""
        return os.preadv(fd, [buffer], offset)

elif hasattr(os, "pread"):  # pragma: no cover (macOS before 11)

    def read_some(fd: int, buffer: memoryview, offset: int) -> int:
        """Read as above, with a copy."""
        data = os.pread(fd, len(buffer), offset)
        buffer[: len(data)] = data
        return len(data)

else:  # pragma: no cover (Windows)

    def read_some(fd: int, buffer: memoryview, offset: int) -> int:
        """Read as above, one thread at a time."""
        with SEEK_LOCK:
            os.lseek(fd, offset, os.SEEK_SET)
            data = os.read(fd, len(buffer))
        buffer[: len(data)] = data
        return len(data)


def beginning_of(path: str, most: int) -> bytes:
    """Return the first bytes of a file; none of what is not there or no regular file."""
    try:
        with closing(FileSource(path)) as source:
            return read_bytes(source, 0, min(most, source.size))
    except CkpttoolError:
        return b""
