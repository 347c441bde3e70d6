"""Giving several files their names so that all of it can be undone until the last has its own.

The file that stood at a name keeps a second one, and so does the new one, until all are done. So
what a run that was killed meanwhile left can be told (``files/leftovers``), and at no moment is
there nothing at the name. Where there are no hard links, files are renamed in place of that: then
there is such a moment, and a run that is killed in it leaves the name to the next one.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from typing import List

from ckpttool.files.positional import unwritable
from ckpttool.files.sources import release
from ckpttool.files.temporary import Growing, is_still, remove, repeated, temporary_path
from ckpttool.findings import rules
from ckpttool.findings.errors import OutputError

# Errors of file systems without hard links (FAT, some network ones, shared folders of phones and
# virtual machines), or with no more of them, or where those of other users' files are forbidden.
_NO_LINKS = frozenset(
    {
        *(errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP),
        *(errno.EMLINK, errno.EXDEV),
    }
)


class _Named:
    """A file that gets its name, and what is known of the one that it replaces."""

    def __init__(self, file: Growing, old: str, new: str) -> None:
        self.file = file
        self.old = old
        self.new = new
        self.has_old = False


class Naming:
    """Gives files their names.

    Args:
        run: the ID of the run.
        force: whether a file that stands at a name is replaced.
    """

    def __init__(self, run: str, force: bool) -> None:
        self._run = run
        self._force = force
        self._named: List[_Named] = []
        self._is_done = False

    def give(self, file: Growing) -> None:
        """Give a file its name.

        Raises:
            OutputError: an I/O error, or a name that is taken and may not be replaced.
        """
        one = _Named(
            file,
            temporary_path(file.path, self._run, "old"),
            temporary_path(file.path, self._run, "new"),
        )
        # Recorded before it is done: a signal may come between. Undoing skips what is not there.
        self._named.append(one)
        try:
            stands = self._force and _keep(one)
            if not stands:
                try:
                    _claim(file, self._force)
                except FileExistsError:  # with force, what has just appeared there is replaced
                    stands = self._force and _keep(one)
                    if not stands:
                        raise
            if stands:
                _replace(one)
        except FileExistsError as error:
            raise exists(file.path) from error
        except OSError as error:
            raise unwritable(error, "get its name", path=file.path) from error

    def done(self) -> None:
        """Call it good: what was replaced goes."""
        self._is_done = True
        self._forget()

    def end(self) -> List[str]:
        """Finish what is done, or undo the rest; a second call goes on where one was broken off.

        Returns:
            The names at which that was not possible.
        """
        if self._is_done:
            self._forget()
            return []
        failed = []
        while self._named:
            one = self._named[-1]
            if not _put_back(one):
                failed.append(one.file.path)
            self._named.pop()
        return failed

    def _forget(self) -> None:
        while self._named:
            remove(self._named[-1].old)
            remove(self._named[-1].new)
            self._named.pop()


def exists(path: str) -> OutputError:
    """Return the error for a name that is taken."""
    return OutputError(
        "the destination exists",
        rules.DESTINATION_EXISTS,
        path=path,
        fix="Use --force to replace it, or name another file.",
    )


def _keep(one: _Named) -> bool:
    """Give the file at the name a second one; return ``False`` if there is none."""
    path = one.file.path
    try:
        _keep_as(path, one.old)
    except FileNotFoundError:
        return False
    one.has_old = True
    return True


def _keep_as(path: str, old: str) -> None:
    try:
        # unlike a rename, without a moment in which nothing is at path
        repeated(os.link, path, old)
    except OSError as error:
        # the answer of a server may be lost, and the second try finds that it was done
        if _are_same(path, old):
            return
        if error.errno not in _NO_LINKS:
            raise
        repeated(os.replace, path, old)


def _replace(one: _Named) -> None:
    file, source = one.file, one.new
    try:
        repeated(os.link, file.temporary, one.new)
    except OSError as error:
        if not is_still(file.fd, one.new):
            if error.errno not in _NO_LINKS:
                raise
            source = file.temporary
    _rename(source, file)


def _rename(source: str, file: Growing) -> None:
    try:
        repeated(os.replace, source, file.path)
    except OSError:
        if not is_still(file.fd, file.path):
            raise


def _claim(file: Growing, force: bool) -> None:
    """Give a file its name unless it is taken: of two runs that try at once, one fails."""
    try:
        # rename would replace the other's file; link fails where the name exists
        repeated(os.link, file.temporary, file.path)
    except OSError as error:
        if is_still(file.fd, file.path):
            return
        if error.errno not in _NO_LINKS:
            raise
        if not force:
            # the name is taken by an empty file first, which fails where it exists
            release(os.open(file.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        try:
            _rename(file.temporary, file)
        except BaseException:
            if not force:
                remove(file.path)
            raise


def _put_back(one: _Named) -> bool:
    """Undo what :meth:`Naming.give` did of one file; return ``False`` if that cannot be done."""
    file = one.file
    remove(one.new)
    if os.path.lexists(one.old):
        if not (is_still(file.fd, file.path) or not os.path.lexists(file.path)):
            remove(one.old)  # the old file is at its name still, or another run's
            return True
        try:
            repeated(os.replace, one.old, file.path)
        except OSError:
            _mark(file)
            return False
        remove(one.old)  # rename keeps both where two names are of one file
    elif not one.has_old and is_still(file.fd, file.path):
        return remove(file.path)
    return True


def _mark(file: Growing) -> None:
    """See to it that there is a temporary file, by which the next run sees that it must undo."""
    with suppress(OSError):
        release(os.open(file.temporary, os.O_WRONLY | os.O_CREAT, 0o666))


def _are_same(path: str, other: str) -> bool:
    try:
        return os.path.samestat(os.lstat(path), os.lstat(other))
    except OSError:
        return False
