"""What stands at the destination already: files that are replaced, and those that must go."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Collection, NamedTuple, Sequence

from ckpttool.conversion.naming import index_path
from ckpttool.files.suffixes import INDEX
from ckpttool.findings import rules
from ckpttool.findings.finding import Finding, finding
from ckpttool.formats.safetensors.index import files_listed

if TYPE_CHECKING:
    from ckpttool.conversion.output import Job
    from ckpttool.files.destination import Destination


class Earlier(NamedTuple):
    """What is left of an earlier result.

    Attributes:
        replaced: files in whose place others come.
        stale: files that readers could take for the new result, or a part of it.
        removed: those of them that go.
    """

    replaced: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


def find_earlier(job: Job, paths: Sequence[str], place: Destination) -> Earlier:
    """Look at what stands where the files are to be written, all of ``paths``.

    Readers could take shards that the old index lists for the new result, that index if there is
    no new one, and a whole file where there are shards now. They go where files may be replaced,
    and are told of else.
    """
    stale: list[str] = []
    if job.target.IN_SHARDS:
        whole, suffix = job.destination, job.target.SUFFIX
        index = index_path(whole, suffix)
        stale += stale_shards(index, paths, suffix)
        stale += [index] if stale and job.plan.shard_index is None else []
        stale += [whole] if whole not in paths and os.path.lexists(whole) else []
    replaced = tuple(path for path in paths if os.path.lexists(path))
    removed = tuple(path for path in stale if job.options.force and place.may_remove(path))
    return Earlier(replaced, tuple(stale), removed)


def stale_shards(index: str, written: Collection[str], suffix: str) -> tuple[str, ...]:
    """Return the shards that the index at ``index`` lists and that were not written anew.

    Only names that this program gives to shards of this result are believed, so that an index
    cannot make another file be removed. To be asked before the new index takes its place.

    Args:
        index: ``model.safetensors.index.json``; nothing is stale where there is none.
        written: the paths of the new result.
        suffix: of the shards: ``.safetensors``.
    """
    folder, name = os.path.split(index)
    stem = re.escape(name[: -len(suffix + INDEX)])
    pattern = re.compile(stem + r"-\d{5}-of-\d{5}" + re.escape(suffix))
    new = {os.path.abspath(path) for path in written}  # noqa: PTH100 (links have names of their own)
    listed = {file for file in files_listed(index) if pattern.fullmatch(file)}
    paths = [os.path.join(folder, file) for file in sorted(listed)]  # noqa: PTH118
    return tuple(path for path in paths if os.path.abspath(path) not in new)  # noqa: PTH100


def left_behind(earlier: Earlier, force: bool) -> list[Finding]:
    """Return a finding for what is still there of an earlier result, if anything."""
    stays = [path for path in earlier.stale if path not in earlier.removed]
    if not stays:
        return []
    return [
        finding(
            rules.STALE,
            f"files of an earlier result are still there: {', '.join(stays)}",
            fix="Remove them: a reader may take them for this result, or a part of it."
            if force
            else "Use --force to have them removed: a reader may take them for this result.",
        )
    ]
