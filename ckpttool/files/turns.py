"""One run at a time names its files in a folder.

Two runs that replace the same set of files would otherwise leave a mix of both. Whoever has the
turn holds a lock on a hidden file. It is called like a temporary file (``files/temporary``), so
that one which a killed run left is removed like these. Where the system or the file system has no
locks, everybody has a turn at once.
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack, contextmanager
from typing import Iterable, Iterator

from ckpttool.files.positional import unwritable
from ckpttool.files.sources import release
from ckpttool.files.temporary import OPEN, has_locks, is_still, lock, remove
from ckpttool.findings import rules
from ckpttool.findings.errors import OutputError

#: The file that is locked; the ID is none that a run has.
NAME = ".naming.ckpttool-0000000000000000.tmp"

# A turn takes milliseconds, unless the disk is busy with the names.
_PAUSE = 0.01
_PATIENCE = 60.0


@contextmanager
def turns(folders: Iterable[str]) -> Iterator[None]:
    """Have the turn in each of the folders.

    Raises:
        OutputError: another run has had it for a minute, or no file can be created there.
    """
    with ExitStack() as held:
        # in the same order for all, so that no two wait for each other
        places = {os.path.realpath(folder): folder for folder in folders}
        for place in sorted(places):
            _wait(places[place], held)
        yield


@contextmanager
def turn_now(folder: str) -> Iterator[bool]:
    """Have the turn in a folder unless another run has it, or no file can be created there."""
    with ExitStack() as held:
        try:
            ours = _take(folder, held)
        except OSError:
            ours = False
        yield ours


def _wait(folder: str, held: ExitStack) -> None:
    end = time.monotonic() + _PATIENCE
    try:
        while not _take(folder, held):
            if time.monotonic() > end:
                raise OutputError(
                    "another run is giving files their names and does not end",
                    rules.UNWRITABLE,
                    path=folder,
                    fix="Stop it, and run again.",
                )
            time.sleep(_PAUSE)
    except OSError as error:
        raise unwritable(error, path=folder) from error


def _take(folder: str, held: ExitStack) -> bool:
    """Take the turn if nobody has it; ``held`` gives it back."""
    if not has_locks():
        return True
    turn = _Turn(os.path.join(folder, NAME))  # noqa: PTH118
    with ExitStack() as own:
        for _ in range(3):  # a signal may break one off, and an impatient second the next
            own.callback(turn.end)
        if not turn.begin():
            return False
        held.callback(own.pop_all().close)
    return True


class _Turn:
    """The file that is locked."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1
        self._is_ours = False

    def begin(self) -> bool:
        """Lock the file; return ``False`` if another run has it, or has just removed it."""
        flags = os.O_RDONLY | OPEN
        try:
            # Existing first: where a folder is for all, Linux refuses to create another user's.
            self._fd = os.open(self._path, flags)
        except FileNotFoundError:
            try:
                self._fd = os.open(self._path, flags | os.O_CREAT | os.O_EXCL, 0o666)
            except FileExistsError:
                return False
        self._is_ours = lock(self._fd) and is_still(self._fd, self._path)
        return self._is_ours

    def end(self) -> None:
        """Remove the file if it is ours; a second call goes on where a signal broke one off."""
        if self._fd >= 0:
            # It is closed last: whoever gets the lock then sees that its file has no name any more.
            if self._is_ours or (lock(self._fd) and is_still(self._fd, self._path)):
                remove(self._path)
            release(self._fd)
            self._fd = -1
