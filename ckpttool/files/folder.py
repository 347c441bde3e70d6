"""Opening files beside a checkpoint by name, and no other file of this machine.

These are the shards of an index, the config.json and the model card of a release. They must be in
the folder of the checkpoint, or of the file that it is a link to: the hub's cache keeps all of
them as links into one folder of blobs. A link to anywhere else is refused, since a downloaded
checkpoint must not choose which files of this machine are read.
"""

from __future__ import annotations

import errno
import os
from functools import partial
from typing import TYPE_CHECKING, Protocol

from ckpttool.files.sources import FileSource, unless_changed
from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError, UnreadableError, UnsupportedError
from ckpttool.findings.text import printable

if TYPE_CHECKING:
    from contextlib import ExitStack

    from ckpttool.files.sources import ByteSource

SHOWN = 20  # offenders that are named; the others are counted


class Siblings(Protocol):
    """What lies beside a source; the attributes are those of :class:`Folder`."""

    missing: list[str]
    links: list[str]
    offenders: list[str]

    def names(self) -> list[str]:
        """Return the names of all files, sorted."""

    def open(self, file: str) -> ByteSource | None:
        """Open a plain name; ``None`` if it is missing or refused."""


def siblings_of(source: ByteSource, opened: ExitStack) -> Siblings:
    """Return what opens files beside a source; ``opened`` closes them.

    Raises:
        UnsupportedError: it is no file of this machine, and nothing is known of what lies beside.
    """
    if isinstance(source, FileSource):
        return Folder(source, opened)
    raise UnsupportedError(
        "it names other files, and only those beside a file of this machine are opened",
        rules.UNSUPPORTED,
    )


class Folder:
    """The folder of an index (or another checkpoint), from which shards are opened.

    Attributes:
        missing: the files that do not exist.
        links: links out of the folder, which are not followed.
        offenders: one line for each file that exists and was not opened.
    """

    def __init__(self, index: FileSource, opened: ExitStack) -> None:
        self._folder, own_name = os.path.split(index.name)
        self._allowed = {
            os.path.realpath(self._folder or os.curdir),
            os.path.split(os.path.realpath(index.name))[0],
        }
        self._seen = {index.identity[:2]: own_name}
        self._opened = opened
        self.missing: list[str] = []
        self.links: list[str] = []
        self.offenders: list[str] = []

    def names(self) -> list[str]:
        """Return the names of all files, sorted.

        Raises:
            UnreadableError: the folder cannot be listed.
        """
        folder = self._folder or os.curdir
        try:
            return sorted(os.listdir(folder))  # noqa: PTH208 (names)
        except OSError as error:
            raise UnreadableError(
                f"the folder cannot be listed: {error.strerror}", rules.UNREADABLE, path=folder
            ) from error

    def open(self, file: str) -> FileSource | None:
        """Open the shard ``file``; ``None`` if it is missing or refused.

        It is a plain name, or a path of plain names below the folder.

        Raises:
            UnreadableError: it exists but cannot be opened.
        """
        path = os.path.join(self._folder, file)  # noqa: PTH118 (keeps the caller's spelling)
        if not os.path.exists(path):  # noqa: PTH110 (a name too long is an error in pathlib)
            self.missing.append(file)
            return None
        if not self._is_inside(os.path.realpath(path), os.path.split(file)[0]):
            self.links.append(file)
            self._refuse(file, "is a link that leads out of the folder")
            return None
        source = _open(path)
        self._opened.callback(source.close)
        self._opened.push(partial(_told_if_changed, source))
        identity = source.identity[:2]
        other = self._seen.get(identity)
        # by device and inode: a second name would count its tensors twice
        if other is not None:
            self._refuse(file, f"is the same file as {printable(other)}")
            return None
        self._seen[identity] = file
        return source

    def _is_inside(self, path: str, below: str) -> bool:
        """Whether a file lies in an allowed folder, or just where its path says below one."""
        folder = os.path.split(path)[0]
        if folder in self._allowed:
            return True
        return any(folder == os.path.normpath(f"{one}/{below}") for one in self._allowed)

    def _refuse(self, file: str, why: str) -> None:
        self.offenders.append(f"{printable(file)} {why}")


def _told_if_changed(
    source: FileSource, _: object, error: BaseException | None, __: object
) -> None:
    """Raise that a file changed, in place of any error that it could be the reason of."""
    if isinstance(error, CkpttoolError):
        told = unless_changed(source, error)
        if told is not error:
            raise told from error


def _open(path: str) -> FileSource:
    try:
        return FileSource(path)
    except UnreadableError as error:
        cause = error.__cause__
        if isinstance(cause, OSError) and cause.errno in (errno.EMFILE, errno.ENFILE):
            error.fix = "Allow more open files (ulimit -n): up to a hundred shards stay open."
        raise
