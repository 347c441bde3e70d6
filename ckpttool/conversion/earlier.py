"""Finds files of an earlier result: those that are replaced, and stale ones to remove."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Collection, NamedTuple, Sequence

from ckpttool.conversion.naming import index_path
from ckpttool.files.publishing import is_there
from ckpttool.files.suffixes import INDEX, is_shard_of
from ckpttool.findings import rules
from ckpttool.findings.finding import Finding, finding
from ckpttool.formats.sharded.index import files_listed

if TYPE_CHECKING:
    from ckpttool.conversion.output import Job
    from ckpttool.files.destination import Destination


class Earlier(NamedTuple):
    """Files of an earlier result.

    Attributes:
        replaced: files that new ones replace.
        stale: files that readers could take for the new result, or for a part of it.
        removed: the stale files that are removed.
    """

    replaced: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


def find_earlier(job: Job, paths: Sequence[str], place: Destination) -> Earlier:
    """Look for files of an earlier result; ``paths`` are all files that will be written.

    Stale are shards that the old index lists, that index if there is no new one, and a whole file
    beside new shards. They are removed with ``force``, and reported otherwise.
    """
    stale: list[str] = []
    if job.target.IN_SHARDS:
        whole, suffix = job.destination, job.target.SUFFIX
        index = index_path(whole, suffix)
        stale += stale_shards(index, paths, suffix)
        # An index that lists none of this result's shards belongs to somebody else.
        stale += [index] if stale and job.plan.shard_index is None else []
        # transformers looks for the whole file first, and would not see the index.
        stale += [whole] if whole not in paths and is_there(whole) else []
    replaced = tuple(path for path in paths if is_there(path))
    removed = tuple(path for path in stale if job.options.force and place.may_remove(path))
    return Earlier(replaced, tuple(stale), removed)


def stale_shards(index: str, written: Collection[str], suffix: str) -> tuple[str, ...]:
    """Return the shards that an index lists and that are not written again.

    Args:
        index: ``model.safetensors.index.json``, still the old one; it need not exist.
        written: the paths of the new result.
        suffix: of the shards: ``.safetensors``.
    """
    folder, name = os.path.split(index)
    # Only names that this program gives to shards of this result: an index from elsewhere must
    # not decide which files are removed.
    stem = name[: -len(suffix + INDEX)]
    new = {os.path.abspath(path) for path in written}  # noqa: PTH100 (links have names of their own)
    listed = {file for file in files_listed(index) if is_shard_of(file, stem, suffix)}
    paths = [os.path.join(folder, file) for file in sorted(listed)]  # noqa: PTH118
    return tuple(path for path in paths if os.path.abspath(path) not in new)  # noqa: PTH100


def left_behind(earlier: Earlier, force: bool) -> list[Finding]:
    """Return a finding for stale files that are still there, if any."""
    stays = [path for path in earlier.stale if path not in earlier.removed]
    if not stays:
        return []
    return [
        finding(
            rules.STALE,
            f"files of an earlier result are still there: {', '.join(stays)}",
            fix="Remove them: a reader may take them for this result, or a part of it."
            if force
            else "Use --force to remove them: a reader may take them for this result.",
        )
    ]
