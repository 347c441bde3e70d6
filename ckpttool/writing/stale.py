"""Which files an earlier, sharded result left, as its index names them."""

from __future__ import annotations

import json
import os
import re
from typing import Collection

from ckpttool.errors import CkpttoolError
from ckpttool.sources import FileSource, read

_MAX_INDEX = 40_000_000
_SUFFIX = ".safetensors"


def stale_shards(index: str, written: Collection[str]) -> tuple[str, ...]:
    """Return the shards that the index at ``index`` lists and that were not written anew.

    Only names that this program gives to shards of this result are believed, so that an index
    cannot make another file be removed. To be asked before the new index takes its place.

    Args:
        index: ``model.safetensors.index.json``; nothing is stale where there is none.
        written: the paths of the new result.
    """
    folder, name = os.path.split(index)
    stem = re.escape(name[: -len(_SUFFIX + ".index.json")])
    pattern = re.compile(stem + r"-\d{5}-of-\d{5}" + re.escape(_SUFFIX))
    new = {os.path.abspath(path) for path in written}  # noqa: PTH100 (links have names of their own)
    listed = {file for file in _listed(index) if pattern.fullmatch(file)}
    paths = [os.path.join(folder, file) for file in sorted(listed)]  # noqa: PTH118
    return tuple(path for path in paths if os.path.abspath(path) not in new)  # noqa: PTH100


def _listed(index: str) -> list[str]:
    """Return the files that an index names; none where it cannot be read."""
    try:
        source = FileSource(index)
    except CkpttoolError:
        return []
    try:
        if source.size > _MAX_INDEX:
            return []
        document = json.loads(read(source, 0, source.size))
        files = document["weight_map"].values()
    except (CkpttoolError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return []
    finally:
        source.close()
    return [file for file in files if isinstance(file, str)]
