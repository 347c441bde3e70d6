"""Every file below a folder, once: those in hidden folders and behind links too.

Nothing is opened here. Links are followed wherever they lead, and marked if they leave the folder.
A folder is entered once, so that links in a circle come to an end.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import deque
from pathlib import Path
from typing import Iterator, NamedTuple, Sequence, Tuple

from ckpttool.findings.patterns import matches_glob

#: Folders of tools, which are listed as a whole and not entered: they hold no release.
TOOLS = frozenset(
    ".git .hg .svn .bzr .tox .nox .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis".split()
)
#: Files that links out of the folder may lead to: a link to ``/`` leads to the whole machine.
MOST_OUTSIDE = 100_000


class FoundFile(NamedTuple):
    """A path below the folder.

    Attributes:
        path: beginning with the folder as it was named; a folder's ends in ``/``.
        status: of the file, or of a link's target; ``None`` if it is not known.
        link: the target of a link that leaves the folder.
        same: the path under which the same file was found first.
        excluded: the pattern that excludes it.
        error: why it cannot be listed or followed.
    """

    path: str
    status: os.stat_result | None = None
    link: str | None = None
    same: str | None = None
    excluded: str | None = None
    error: OSError | None = None


def search(folder: str, exclude: Sequence[str] = ()) -> list[FoundFile]:
    """Return all files below a folder, sorted by folders; a second path of a file says so.

    A file goes by its own name rather than by a link to it. The exception is the cache of the
    Hugging Face hub, whose ``snapshots`` are links to ``blobs``: there the links have the names.

    Args:
        folder: as the caller named it.
        exclude: globs for paths from the folder, for paths as reports print them, or for names.
            A folder that one matches is listed and not entered.
    """
    everything = sorted(
        _FolderWalk(folder, exclude).everything(), key=lambda one: by_folders(one.found.path)
    )
    first: dict[_Identity, str] = {}
    for one in sorted(everything, key=lambda one: one.rank):
        if one.identity is not None:
            first.setdefault(one.identity, one.found.path)
    return [_marked(one, first) for one in everything]


def matching(patterns: Sequence[str], below: str) -> str | None:
    """Return the first glob that matches a path from the folder, or the name at its end."""
    name = below.rpartition("/")[2]
    for pattern in patterns:
        # as people write folders, "./logs/" say
        plain = pattern.replace(os.sep, "/").rstrip("/")
        plain = plain[2:] if plain.startswith("./") else plain
        if matches_glob(plain, below) or matches_glob(plain, name):
            return pattern
    return None


_Identity = Tuple[int, int]


class _Seen(NamedTuple):
    """A found file, its device and inode, and the rank of its name: 0 is its own."""

    found: FoundFile
    identity: _Identity | None = None
    rank: int = 0


def by_folders(path: str) -> tuple[str, ...]:
    """Return a key to sort paths by, which keeps the files of one folder together."""
    # as text "a-b/x" would come between "a" and "a/x"
    return Path(path).parts


def _marked(one: _Seen, first: dict[_Identity, str]) -> FoundFile:
    if one.identity is None or first[one.identity] == one.found.path:
        return one.found
    return one.found._replace(same=first[one.identity])


class _Place(NamedTuple):
    """A folder to enter: its path, where a link to it leads, and the rank of its names."""

    path: str
    link: str | None
    rank: int


_OWN, _LINKED, _BLOB = range(3)


class _FolderWalk:
    """A walk through a folder and the targets of its links."""

    def __init__(self, folder: str, exclude: Sequence[str]) -> None:
        self._folder = folder
        self._inside = os.path.join(os.path.realpath(folder), "")  # noqa: PTH118 (a separator)
        self._exclude = exclude
        self._entered: dict[_Identity, str] = {}
        self._waiting = deque([_Place(folder, None, _OWN)])
        # entered last, so that each folder goes by its own path and not by a link's
        self._links: deque[_Place] = deque()
        self._outside = 0

    def everything(self) -> Iterator[_Seen]:
        while self._waiting or self._links:
            yield from self._enter((self._waiting or self._links).popleft())

    def _enter(self, place: _Place) -> Iterator[_Seen]:
        try:
            identity = _identity(os.stat(place.path))  # noqa: PTH116 (the caller's spelling)
            if identity is not None and identity in self._entered:
                yield _Seen(FoundFile(_slashed(place.path), same=_slashed(self._entered[identity])))
                return
            if identity is not None:
                self._entered[identity] = place.path
            if place.link is not None and self._outside > MOST_OUTSIDE:
                raise OSError(errno.E2BIG, f"links lead to more than {MOST_OUTSIDE:,} files")
            with os.scandir(place.path) as entries:
                listed = list(entries)
        except OSError as error:
            yield _Seen(FoundFile(_slashed(place.path), link=place.link, error=error))
            return
        # the layout of huggingface_hub's cache
        is_cache = {"blobs", "snapshots"} <= {entry.name for entry in listed}
        if place.link is not None:
            self._outside += len(listed)
        for entry in listed:
            rank = _BLOB if is_cache and entry.name == "blobs" else place.rank
            yield from self._look(entry, place._replace(rank=rank))

    def _look(self, entry: os.DirEntry[str], place: _Place) -> Iterator[_Seen]:
        is_link = entry.is_symlink()
        path = str(Path(entry.path))  # without the ./ of the working folder
        found = FoundFile(
            path,
            link=self._leads_out(entry.path) if is_link else place.link,
            excluded=self._excluded(entry),
        )
        rank = max(place.rank, _LINKED) if is_link else place.rank
        try:
            status = entry.stat()
        except OSError as error:  # a link to nothing, to itself, or to where we may not look
            yield _Seen(found._replace(error=error))
            return
        if not stat.S_ISDIR(status.st_mode):
            yield _Seen(
                found._replace(status=status), None if found.excluded else _identity(status), rank
            )
        elif found.excluded or (entry.name in TOOLS and not is_link):
            yield _Seen(found._replace(path=path + "/", status=status))
        else:
            (self._links if is_link else self._waiting).append(_Place(path, found.link, rank))

    def _excluded(self, entry: os.DirEntry[str]) -> str | None:
        if not self._exclude:
            return None
        below = os.path.relpath(entry.path, self._folder).replace(os.sep, "/")
        shown = str(Path(entry.path)).replace(os.sep, "/")  # as reports print it
        return matching(self._exclude, below) or matching(self._exclude, shown)

    def _leads_out(self, path: str) -> str | None:
        """Return a link's target, as it is written; ``None`` if it is inside of the folder."""
        if os.path.realpath(path).startswith(self._inside):
            return None
        try:
            return os.readlink(path)
        except OSError:
            return "?"


def _slashed(path: str) -> str:
    return str(Path(path)) + "/"


def _identity(status: os.stat_result) -> _Identity | None:
    """Return a value that is equal for two paths of one file; ``None`` if it has no inode."""
    return (status.st_dev, status.st_ino) if status.st_ino else None
