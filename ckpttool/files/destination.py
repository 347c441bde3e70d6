"""Writing files so that after any failure either the old files are intact or all new ones are.

Files are written under temporary names beside their final ones. When all are complete and
proven, they are synced and renamed, in the order in which they were created; the files that they
replace keep a second name until the last rename, so that any failure can be undone. The remains
of an earlier result are removed after that.

A symbolic link as destination is refused: replacing it would leave its target as it was, and
following it would write in a folder that the user did not name. A hard link is replaced like any
file; its other names keep the old content.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Iterable, List, Mapping, NamedTuple

from ckpttool.files.positional import reserve, unwritable
from ckpttool.files.room import require_room
from ckpttool.files.sources import ByteSource
from ckpttool.files.temporary import (
    Growing,
    clean,
    create,
    folder_of,
    new_id,
    remove,
    temporary_path,
)
from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError, OutputError, UsageError

if TYPE_CHECKING:
    from types import TracebackType

# Errors of file systems without hard links (FAT, some network ones), or with no more of them.
_NO_LINKS = frozenset({errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.EMLINK, errno.EXDEV})


class _Named(NamedTuple):
    """A file that was renamed, and the second name of the file that it replaced."""

    file: Growing
    old: str | None


class Destination:
    """Files that appear together. Use it in a ``with`` block, which removes unpublished ones.

    Args:
        sources: the files that are converted, which must not be replaced.
        force: whether existing files may be replaced.
        sync: whether the bytes must be on the disk before the files get their names.
    """

    def __init__(
        self, *, sources: Iterable[ByteSource] = (), force: bool = False, sync: bool = True
    ) -> None:
        self._sources = [
            (source.identity.device, source.identity.inode)
            for source in sources
            if source.identity is not None
        ]
        self._force = force
        self._sync = sync
        self._run = new_id()
        self._growing: List[Growing] = []
        self._named: List[_Named] = []
        #: Files that killed runs left and that were removed, or put back under their names.
        self.cleaned: List[str] = []

    def check(self, sizes: Mapping[str, int]) -> None:
        """Check that files can be written, without changing anything.

        Args:
            sizes: path to bytes, of all files that will be created.

        Raises:
            OutputError: a path is taken, of another kind than a file, or one of the sources;
                a folder is missing; there is not enough room.
            UsageError: a path is ``-`` or empty.
        """
        for path in sizes:
            self._check_path(path)
        require_room(sizes)

    def create(self, path: str, nbytes: int) -> Growing:
        """Create the file that will be ``path``, of ``nbytes`` zeros.

        Leftovers of killed runs in its folder are removed first: they may take the room needed.

        Raises:
            OutputError, UsageError: as for :meth:`check`.
        """
        self._check_path(path)
        folder = folder_of(path)
        self.cleaned += [os.path.join(folder, name) for name in clean(folder)]  # noqa: PTH118
        file = create(path, self._run)
        self._growing.append(file)
        try:
            reserve(file.fd, nbytes)
        except OutputError as error:
            error.path = path
            raise
        return file

    def publish(self, stale: Iterable[str] = ()) -> tuple[str, ...]:
        """Rename all files to their final names, in the order of their creation, or none.

        Args:
            stale: files of an earlier result to remove afterwards, except sources and files that
                are no plain ones.

        Returns:
            Those of ``stale`` that are still there.

        Raises:
            OutputError: an I/O error, or a name that was taken meanwhile. Everything is then
                as it was before.
        """
        try:
            # all bytes before the first name: after a crash no name may lead to an empty file
            for file in self._growing:
                self._sync_file(file)
            for file in self._growing:
                self._name(file)
            # a rename is on the disk once its folder is
            self._sync_folders()
        except BaseException:
            self._undo()
            raise
        named, self._named = self._named, []
        published = {os.path.abspath(file.path) for file in self._growing}  # noqa: PTH100 (links)
        for one in named:
            if one.old is not None:
                remove(one.old)
        self._discard()
        return tuple(
            path
            for path in stale
            if os.path.abspath(path) not in published and not self._remove_stale(path)  # noqa: PTH100
        )

    def may_remove(self, path: str) -> bool:
        """Whether a file of an earlier result may be removed: a plain file, and no source."""
        try:
            plain = stat.S_ISREG(os.lstat(path).st_mode)
        except OSError:
            return True
        return plain and not self._is_source(path)

    def __enter__(self) -> Destination:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # the result that would have listed them is lost
        if isinstance(error, CkpttoolError):
            error.cleaned += tuple(self.cleaned)
        self._undo()
        self._discard()

    # --- before ----------------------------------------------------------------------------

    def _check_path(self, path: str) -> None:
        if path in ("", "-"):
            raise UsageError(
                "a checkpoint cannot be written to a pipe: the proof needs a file",
                fix="Name a file.",
            )
        temporary_path(path, self._run, "tmp")
        try:
            status = os.lstat(path)  # of a link itself, which may lead to nothing
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            reason = error if isinstance(error, OSError) else OSError(errno.EINVAL, str(error))
            raise unwritable(reason, path=path) from error
        if self._is_source(path):
            raise OutputError(
                "the destination is the source",
                rules.DESTINATION_SOURCE,
                path=path,
                fix="Name another file.",
            )
        if not stat.S_ISREG(status.st_mode):
            raise OutputError(
                "the destination is a symbolic link"
                if stat.S_ISLNK(status.st_mode)
                else "the destination is no regular file",
                rules.DESTINATION_KIND,
                path=path,
                fix="Name a plain file: a link is neither followed nor replaced."
                if stat.S_ISLNK(status.st_mode)
                else "Name a plain file, or a path that does not exist.",
            )
        if not self._force:
            raise _exists(path)

    def _is_source(self, path: str) -> bool:
        try:
            status = os.stat(path)  # noqa: PTH116 (through links, whatever their kind)
        except OSError:
            return False
        return (status.st_dev, status.st_ino) in self._sources

    # --- giving names ----------------------------------------------------------------------

    def _sync_file(self, file: Growing) -> None:
        if not self._sync:
            return
        try:
            os.fsync(file.fd)
        except OSError as error:
            raise unwritable(error, "be synced", path=file.path) from error

    def _sync_folders(self) -> None:
        if not self._sync or os.name == "nt":  # Windows cannot open folders
            return
        for folder in sorted({folder_of(file.path) for file in self._growing}):
            try:
                fd = os.open(folder, os.O_RDONLY)
                try:
                    os.fsync(fd)
                finally:
                    os.close(fd)
            except OSError as error:
                if error.errno != errno.EINVAL:  # some network file systems cannot
                    raise unwritable(error, "be synced", path=folder) from error

    def _name(self, file: Growing) -> None:
        try:
            if self._force:
                # Recorded before it is done: a signal may come between, and _undo skips what is
                # not there.
                old = temporary_path(file.path, self._run, "old")
                self._named.append(_Named(file, old))
                _keep(file.path, old)
                os.replace(file.temporary, file.path)  # noqa: PTH105
            else:
                self._named.append(_Named(file, None))
                _claim(file)
        except FileExistsError as error:
            raise _exists(file.path) from error
        except OSError as error:
            raise unwritable(error, "get its name", path=file.path) from error

    # --- after -----------------------------------------------------------------------------

    def _undo(self) -> None:
        """Undo every rename, the last one first."""
        while self._named:
            file, old = self._named.pop()
            if old is not None and os.path.lexists(old):
                try:
                    os.replace(old, file.path)  # noqa: PTH105
                except OSError:
                    continue  # the new file is there then, complete and proven
                remove(old)  # rename keeps both where two names are of one file
            elif _is_file(file.path, file.fd):
                remove(file.path)

    def _discard(self) -> None:
        """Close the files and remove their temporary names."""
        while self._growing:
            file = self._growing.pop()
            # not if the name was taken by another file meanwhile
            if _is_file(file.temporary, file.fd):
                remove(file.temporary)
            os.close(file.fd)  # last, since it releases the lock

    def _remove_stale(self, path: str) -> bool:
        if not self.may_remove(path):
            return False
        remove(path)
        return not os.path.lexists(path)


def _keep(path: str, old: str) -> None:
    """Give the file at ``path`` a second name, if there is one."""
    try:
        os.link(path, old)  # unlike a rename, without a moment in which nothing is at path
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        os.replace(path, old)  # noqa: PTH105


def _claim(file: Growing) -> None:
    """Give a file its name unless it is taken: of two runs that try at once, one fails."""
    try:
        # rename would replace the other's file; link fails where the name exists
        os.link(file.temporary, file.path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        _claim_without_links(file)


def _claim_without_links(file: Growing) -> None:
    # the name is taken by an empty file first, which fails where it exists
    os.close(os.open(file.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    try:
        os.replace(file.temporary, file.path)  # noqa: PTH105
    except BaseException:
        remove(file.path)
        raise


def _is_file(path: str, fd: int) -> bool:
    try:
        return os.path.samestat(os.lstat(path), os.fstat(fd))
    except OSError:
        return False


def _exists(path: str) -> OutputError:
    return OutputError(
        "the destination exists",
        rules.DESTINATION_EXISTS,
        path=path,
        fix="Use --force to replace it, or name another file.",
    )
