"""What stands at the destination already: files that are replaced, and those that must go."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Iterable, Sequence

from ckpttool import rules
from ckpttool.conversion.naming import index_path
from ckpttool.findings import Finding, finding
from ckpttool.writing.stale import stale_shards

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
