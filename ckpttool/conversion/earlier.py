"""What stands at the destination already: files that are replaced, and those that must go."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Collection, Iterable, Sequence

from ckpttool.conversion.naming import index_path
from ckpttool.conversion.options import TARGETS
from ckpttool.files.suffixes import INDEX
from ckpttool.findings import rules
from ckpttool.findings.finding import Finding, finding
from ckpttool.formats.safetensors.index import files_listed

if TYPE_CHECKING:
    from ckpttool.conversion.job import Job


def replaced(paths: Iterable[str]) -> tuple[str, ...]:
    """Return those of the files to write whose names are taken."""
    return tuple(path for path in paths if os.path.lexists(path))


def stale_files(job: Job, paths: Sequence[str]) -> tuple[str, ...]:
    """Return what an earlier result of the same name left, which readers could take for this one.

    These are shards that the old index lists, that index if there is no new one, and a whole
    file where there are shards now. They go where files may be replaced, and are told of else.

    Args:
        job: the conversion.
        paths: of all files that it writes.
    """
    path = job.known.destination
    if job.options.to != "safetensors" or path is None:
        return ()
    index = index_path(path)
    shards = stale_shards(index, paths)
    old = [index] if shards and job.plan.shard_index is None else []
    whole = [path] if path not in paths and os.path.lexists(path) else []
    return (*shards, *old, *whole)


def stale_shards(index: str, written: Collection[str]) -> tuple[str, ...]:
    """Return the shards that the index at ``index`` lists and that were not written anew.

    Only names that this program gives to shards of this result are believed, so that an index
    cannot make another file be removed. To be asked before the new index takes its place.

    Args:
        index: ``model.safetensors.index.json``; nothing is stale where there is none.
        written: the paths of the new result.
    """
    folder, name = os.path.split(index)
    suffix = TARGETS["safetensors"]
    stem = re.escape(name[: -len(suffix + INDEX)])
    pattern = re.compile(stem + r"-\d{5}-of-\d{5}" + re.escape(suffix))
    new = {os.path.abspath(path) for path in written}  # noqa: PTH100 (links have names of their own)
    listed = {file for file in files_listed(index) if pattern.fullmatch(file)}
    paths = [os.path.join(folder, file) for file in sorted(listed)]  # noqa: PTH118
    return tuple(path for path in paths if os.path.abspath(path) not in new)  # noqa: PTH100


def left_behind(stale: Sequence[str], force: bool) -> list[Finding]:
    """Return a finding for what is still there of an earlier result, if anything."""
    if not stale:
        return []
    return [
        finding(
            rules.STALE,
            f"files of an earlier result are still there: {', '.join(stale)}",
            fix="Remove them: a reader may take them for this result, or a part of it."
            if force
            else "Use --force to have them removed: a reader may take them for this result.",
        )
    ]
