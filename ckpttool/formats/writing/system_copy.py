"""Copying inside the system, where that is faster than reading and writing."""

from __future__ import annotations

import os
from math import inf
from time import perf_counter
from typing import Callable, List

from ckpttool.files.positional import NOT_THIS_WAY, write_at
from ckpttool.files.sources import FileSource
from ckpttool.tensors.catalogue import Extent

# (source, destination, length, offset in the source, offset in the destination) -> bytes copied
_Way = Callable[[int, int, int, int, int], int]

# Trials of both ways of writing, together, and the bytes from which on one counts.
_TRIALS = 32
_WORTH_TRYING = 64 << 10


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
                if error.errno not in NOT_THIS_WAY:
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
