"""The files that indexes of sharded checkpoints list, and parts of distributed ones.

A shard alone is only a part.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Iterable, Iterator

from ckpttool.files.suffixes import METADATA, is_called_index, is_called_part
from ckpttool.formats.distributed import folder as distributed
from ckpttool.formats.distributed import unconsolidated, zero
from ckpttool.formats.sharded.index import files_listed


def index_of(path: str) -> str | None:
    """Return the index beside a file that lists it as one of its shards."""
    if not os.path.isfile(path):  # noqa: PTH113 (any text may be a path here)
        return None
    for name in dict.fromkeys((path, os.path.realpath(path))):  # a link has its target's too
        indexes = (one for one in siblings(name) if _may_list(one) and one != name)
        for one in indexes:
            if Path(name) in set(_shards_of(one)):
                return one
    return None


def _may_list(path: str) -> bool:
    name = os.path.split(path)[1]
    return (
        is_called_index(name)
        or name == METADATA
        or is_called_part(name)
        or zero.is_called_part(name)
    )


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
    for path in paths:
        for shard in _shards_of(path):
            parts.setdefault(shard, path)
    # an index that lists itself would hide itself
    parts_of_themselves = [shard for shard, index in parts.items() if shard == Path(index)]
    for shard in parts_of_themselves:
        del parts[shard]
    return parts


def _shards_of(index: str) -> Iterator[Path]:
    """Yield the files that an index lists, or the other parts of a distributed checkpoint."""
    lists = (distributed.parts_beside, unconsolidated.parts_beside, zero.parts_beside, files_listed)
    names = next(filter(None, (listed(index) for listed in lists)), ())
    return (Path(index).parent / name for name in names)
