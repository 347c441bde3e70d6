"""Writing files so that after any failure either the old files are intact or all new ones are.

Files are written under temporary names beside their final ones. When all are complete and
proven, they are synced and get their names, in the order in which they were created
(``files/naming``), while no other run does that in their folders (``files/turns``). The remains
of an earlier result are removed after that.

A symbolic link as destination is refused: replacing it would leave its target as it was, and
following it would write in a folder that the user did not name. A hard link is replaced like any
file; its other names keep the old content.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Iterable, List, Mapping

from ckpttool.files.leftovers import clean
from ckpttool.files.naming import Naming, exists
from ckpttool.files.positional import reserve, unwritable, write_parts
from ckpttool.files.room import require_room
from ckpttool.files.sources import ByteSource, release
from ckpttool.files.temporary import (
    Growing,
    create,
    folder_of,
    is_another,
    new_id,
    remove,
    repeated,
    temporary_path,
)
from ckpttool.files.turns import turns
from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError, OutputError, UsageError

if TYPE_CHECKING:
    from types import TracebackType

# Errors of file systems that cannot sync folders: some network ones, and those of other programs.
_NO_FOLDER_SYNC = frozenset(
    {errno.EINVAL, errno.EBADF, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}
)


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
        self._naming = Naming(self._run, force)
        self._cleaned: set[str] = set()
        self._keep_temporaries = False
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

    def clean(self, paths: Iterable[str]) -> None:
        """Remove what killed runs left beside ``paths``, and put back what they had replaced.

        Before anything is checked: it may take the room or the names that are needed.
        """
        for folder in sorted({folder_of(path) for path in paths} - self._cleaned):
            self._cleaned.add(folder)
            self.cleaned += [os.path.join(folder, name) for name in clean(folder)]  # noqa: PTH118

    def create(self, path: str, nbytes: int) -> Growing:
        """Create the file that will be ``path``, of ``nbytes`` zeros.

        Raises:
            OutputError, UsageError: as for :meth:`check`.
        """
        self.clean((path,))
        self._check_path(path)
        file = create(path, self._run, self._growing)
        try:
            reserve(file.fd, nbytes)
        except OutputError as error:
            error.path = path
            raise
        return file

    def write(self, path: str, content: bytes) -> None:
        """Create the file that will be ``path``, and write all of it.

        Raises:
            OutputError, UsageError: as for :meth:`create`, or other bytes are read back.
        """
        write_parts(self.create(path, len(content)).fd, path, [(0, content)])

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
        # all bytes before the first name: after a crash no name may lead to an empty file
        for file in self._growing:
            self._sync_file(file)
        folders = {folder_of(file.path) for file in self._growing}
        with turns(folders):
            try:
                for file in self._growing:
                    self._naming.give(file)
                # a name is on the disk once its folder is
                self._sync_folders(folders)
            except BaseException as error:
                self._undo(error)
                raise
            self._naming.done()
        published = {os.path.abspath(file.path) for file in self._growing}  # noqa: PTH100 (links)
        self._discard()
        return tuple(
            path
            for path in stale
            if os.path.abspath(path) not in published and not self._remove_stale(path)  # noqa: PTH100
        )

    def may_remove(self, path: str) -> bool:
        """Whether a file of an earlier result may be removed: a plain file, and no source."""
        try:
            status = repeated(os.lstat, path)
        except OSError:
            return True
        return stat.S_ISREG(status.st_mode) and not self._is_source(status)

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
        try:
            self._leave(error)
        except BaseException:  # a signal while that was done: it is done all the same
            self._leave(error)
            raise

    def _leave(self, error: BaseException | None) -> None:
        self._undo(error)
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
            status = repeated(os.lstat, path)  # of a link itself, which may lead to nothing
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            reason = error if isinstance(error, OSError) else OSError(errno.EINVAL, str(error))
            raise unwritable(reason, path=path) from error
        if self._is_source(_behind(path) if stat.S_ISLNK(status.st_mode) else status):
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
            raise exists(path)

    def _is_source(self, status: os.stat_result | None) -> bool:
        return status is not None and (status.st_dev, status.st_ino) in self._sources

    # --- giving names ----------------------------------------------------------------------

    def _sync_file(self, file: Growing) -> None:
        try:
            if self._sync:
                os.fsync(file.fd)
            else:
                # Closing is when network file systems write, and say that they cannot. A second
                # descriptor is closed, since the lock goes with the first.
                os.close(os.dup(file.fd))
        except OSError as error:
            raise unwritable(
                error, "be synced" if self._sync else "be written", path=file.path
            ) from error

    def _sync_folders(self, folders: Iterable[str]) -> None:
        if not self._sync or os.name == "nt":  # Windows cannot open folders
            return
        for folder in sorted(folders):
            try:
                fd = os.open(folder, os.O_RDONLY)
                try:
                    os.fsync(fd)
                finally:
                    release(fd)
            except OSError as error:
                if error.errno not in _NO_FOLDER_SYNC:
                    raise unwritable(error, "be synced", path=folder) from error

    # --- after -----------------------------------------------------------------------------

    def _undo(self, error: BaseException | None) -> None:
        """Take back the names that were given, unless all are."""
        kept = self._naming.end()
        if kept:
            # With its temporary files, as after a kill, so that the next run sees what to do.
            self._keep_temporaries = True
            if isinstance(error, CkpttoolError):
                error.fix = (
                    f"Not put back as it was: {', '.join(kept)}. The next run that writes into "
                    "this folder does that."
                )

    def _discard(self) -> None:
        """Remove the temporary names and close the files."""
        while self._growing:
            file = self._growing[-1]
            # not if the name was taken by another file meanwhile
            if not self._keep_temporaries and not is_another(file.fd, file.temporary):
                remove(file.temporary)
            self._growing.pop()
            release(file.fd)  # last, since it releases the lock

    def _remove_stale(self, path: str) -> bool:
        if not self.may_remove(path):
            return False
        remove(path)
        return not os.path.lexists(path)


def _behind(path: str) -> os.stat_result | None:
    """Return what a link leads to; ``None`` if that cannot be said."""
    try:
        return repeated(os.stat, path)
    except OSError:
        return None
