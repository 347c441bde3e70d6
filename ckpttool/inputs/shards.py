"""The files that indexes of sharded checkpoints list, and parts of distributed ones.

A shard alone is only a part.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Iterable, Iterator

from ckpttool.files.suffixes import is_called_index
from ckpttool.formats.distributed.telling import firsts_in, parts_beside
from ckpttool.formats.sharded.index import files_listed


def index_of(path: str) -> str | None:
    """Return the index beside a file that lists it as one of its shards."""
    if not os.path.isfile(path):  # noqa: PTH113 (any text may be a path here)
        return None
    for name in dict.fromkeys((path, os.path.realpath(path))):  # a link has its target's too
        firsts = firsts_in(os.path.dirname(name))  # noqa: PTH120 (the caller's spelling)
        for one in siblings(name):
            is_first = os.path.split(one)[1] in firsts
            if one == name or not (is_first or is_called_index(one)):
                continue
            if Path(name) in set(_shards_of(one, is_first)):
                return one
    return None


def siblings(path: str) -> list[str]:
    """Return the paths in the folder of a file, sorted and in the caller's spelling."""
    folder = os.path.dirname(path)  # noqa: PTH120 (the caller's spelling)
    try:
        names = os.listdir(folder or os.curdir)  # noqa: PTH208 (names)
    except OSError:
        return []
    return [os.path.join(folder, name) for name in sorted(names)]  # noqa: PTH118


def parts_of(paths: Iterable[str]) -> dict[Path, str]:
    """Return the shards that indexes among the paths list, each with its index."""
    parts: dict[Path, str] = {}
    firsts: dict[str, frozenset[str]] = {}  # a folder may have a file for each of 10,000 processes
    for path in paths:
        folder, name = os.path.split(path)
        if folder not in firsts:
            firsts[folder] = firsts_in(folder)
        for shard in _shards_of(path, name in firsts[folder]):
            parts.setdefault(shard, path)
    # an index that lists itself would hide itself
    parts_of_themselves = [shard for shard, index in parts.items() if shard == Path(index)]
    for shard in parts_of_themselves:
        del parts[shard]
    return parts


def _shards_of(index: str, is_first: bool) -> Iterator[Path]:
    """Yield the files that an index lists, or the other parts of a distributed checkpoint."""
    names = (is_first and parts_beside(index)) or files_listed(index) or ()
    return (Path(index).parent / name for name in names)
