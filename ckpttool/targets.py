"""Which files a command is about: paths, globs and folders, each checkpoint once.

What is named is taken as it is. What is found, by a glob or in a folder, is sorted, and the
shards of an index come in through their index alone, for by itself a shard is only a part.
"""

from __future__ import annotations

import glob
import os
from contextlib import closing
from pathlib import Path
from typing import Callable, Iterable, Iterator, NamedTuple

from ckpttool.errors import CkpttoolError, UnreadableError, UsageError
from ckpttool.formats.shard_index import strict_json
from ckpttool.rules import UNREADABLE
from ckpttool.sources import FileSource

#: How the names of checkpoints end, in any case of letters: what is looked for in folders.
SUFFIXES = (".pth", ".pt", ".bin", ".ckpt", ".safetensors", ".index.json")

_INDEX = ".index.json"
_ANY_DEPTH = "**"

#: Told of every path that is left out, and why.
Leave = Callable[[str, str], None]


class Target(NamedTuple):
    """A checkpoint to look at.

    Attributes:
        path: the file, in the caller's spelling as far as there is one.
        folder: the folder that was named and in which it was found; ``None`` for a file that
            was named itself. Such a folder is taken for a release: what lies in it belongs
            together.
    """

    path: str
    folder: str | None = None


def _unheard(_path: str, _why: str) -> None:
    """Tell nobody."""


def targets_of(
    named: Iterable[str], literal: Iterable[str] = (), leave: Leave = _unheard
) -> tuple[Target, ...]:
    """Return the checkpoints that paths stand for, in the order in which they are named.

    Args:
        named: files, folders and globs. A path that exists is never taken for a glob; one that
            does not and is none stays in, for whoever opens it to say that it is missing.
        literal: further files and folders, and no globs.
        leave: told of what is left out.

    Raises:
        UsageError: a glob or a folder stands for nothing at all.
        UnreadableError: a folder cannot be listed, so that nobody can say what is in it.
    """
    found = [target for path in named for target in _some(path, True, leave)]
    found += [target for path in literal for target in _some(path, False, leave)]
    return tuple(_once(found, leave))


def _once(targets: list[Target], leave: Leave) -> Iterator[Target]:
    seen: set[str] = set()
    for target in targets:
        identity = os.path.normcase(os.path.realpath(target.path))
        if identity in seen:
            leave(target.path, "named before")
        else:
            seen.add(identity)
            yield target


def _some(path: str, globs: bool, leave: Leave) -> list[Target]:
    """Return what a path stands for, at least one file: silence would look like a pass."""
    if Path(path).is_dir():
        found = _in_folder(path, leave)
        if not found:
            raise UsageError(
                "there is no checkpoint in this folder",
                path=path,
                expected=f"names that end in {', '.join(SUFFIXES)}",
                fix="Name the file itself if it is called otherwise, hidden, or a link.",
            )
        return found
    if not (globs and glob.has_magic(path)) or os.path.lexists(path):
        return [Target(path)]
    found = _matching(path, leave)
    if not found:
        raise UsageError("no file matches this glob", path=path)
    return found


def _matching(pattern: str, leave: Leave) -> list[Target]:
    """Files that match as they are, whatever they are called; folders as if they were named."""
    matched = sorted(glob.glob(pattern, recursive=True), key=_order)  # noqa: PTH207 (absolute too)
    files = [path for path in matched if not Path(path).is_dir()]
    found = [Target(path) for path in _whole(files, leave)]
    # below **, each folder would be searched once more for every folder above it
    folders = [] if _ANY_DEPTH in pattern else [path for path in matched if Path(path).is_dir()]
    return found + [target for folder in folders for target in _in_folder(folder, leave)]


def _in_folder(folder: str, leave: Leave) -> list[Target]:
    found = sorted(_search(folder, leave), key=_order)
    return [Target(path, folder) for path in _whole(found, leave)]


def _search(folder: str, leave: Leave) -> Iterator[str]:
    """Walk down a folder: no hidden folder or file, and no link that leads out of it."""
    inside = os.path.join(os.path.realpath(folder), "")  # noqa: PTH118 (ends in a separator)
    for place, folders, files in os.walk(folder, onerror=_unlistable):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if name.startswith(".") or not name.lower().endswith(SUFFIXES):
                continue
            path = Path(place, name)
            if path.is_symlink() and not os.path.realpath(path).startswith(inside):
                leave(str(path), "a link that leads out of the folder")
                continue
            yield str(path)


def _unlistable(error: OSError) -> None:
    raise UnreadableError(
        f"the folder cannot be listed: {error.strerror}", UNREADABLE, path=error.filename
    )


def _whole(paths: list[str], leave: Leave) -> Iterator[str]:
    """Leave out the shards that an index among the paths lists."""
    shards: set[Path] = set()
    for path in paths:
        if path.lower().endswith(_INDEX):
            shards.update(_shards_of(path))
    for path in paths:
        if Path(path) in shards:
            leave(path, "a shard, taken through its index")
        else:
            yield path


def _shards_of(index: str) -> Iterator[Path]:
    """Yield the files that an index lists; none if it cannot be read, which its report says."""
    try:
        with closing(FileSource(index)) as source:
            document = strict_json(source)
    except CkpttoolError:
        return
    weight_map = document.get("weight_map") if isinstance(document, dict) else None
    for name in weight_map.values() if isinstance(weight_map, dict) else ():
        if isinstance(name, str):
            yield Path(index).parent / name


def _order(path: str) -> tuple[str, ...]:
    """Sort by folders, not by characters: what lies in one folder stays together."""
    return Path(path).parts
