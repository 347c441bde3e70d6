"""What is written beside the tensors, index, sidecar and receipt, and what goes for them."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Mapping, Sequence

from ckpttool import rules
from ckpttool.conversion.job import index_content
from ckpttool.conversion.naming import index_path
from ckpttool.conversion.receipt import receipt
from ckpttool.filesums import file_sums
from ckpttool.findings import Finding, finding
from ckpttool.sources import FileSource
from ckpttool.writing.copying import write_parts
from ckpttool.writing.stale import stale_shards

if TYPE_CHECKING:
    from ckpttool.conversion.job import Job
    from ckpttool.converted import Converted, Written
    from ckpttool.writing.copying import PieceDigest
    from ckpttool.writing.destination import Destination
    from ckpttool.writing.temporary import Growing


def add_documents(
    job: Job,
    known: Converted,
    place: Destination,
    growing: Sequence[Growing],
    digests: Mapping[str, PieceDigest],
) -> Converted:
    """Write sidecar, receipt and index, in this order: the index is what makes shards visible.

    Raises:
        OutputError: one of them cannot be written.
        UnreadableError: the files cannot be summed for the receipt.
    """
    options = job.options
    index = index_content(job) if job.plan.shard_index is not None else b""
    if options.sidecar is not None and job.sidecar is not None:
        _document(place, options.sidecar, job.sidecar)
        known = known._replace(sidecar=options.sidecar)
    if options.receipt is not None:
        known = known._replace(receipt=options.receipt, outputs=_summed(known, growing, index))
        _document(place, options.receipt, _receipt(job, known, digests))
    if job.plan.shard_index is not None:
        _document(place, job.plan.shard_index, index)
    return known


def _document(place: Destination, path: str, content: bytes) -> None:
    write_parts(place.create(path, len(content)).fd, [(0, content)])


def _summed(known: Converted, growing: Sequence[Growing], index: bytes) -> tuple[Written, ...]:
    """Return the files with the sums of their whole content."""
    opened = [FileSource(grown.temporary) for grown in growing]
    try:
        sums = file_sums(opened)
    finally:
        for source in opened:
            source.close()
    sums += [hashlib.sha256(index).hexdigest()] if index else []
    return tuple(one._replace(sha256=sha256) for one, sha256 in zip(known.outputs, sums))


def _receipt(job: Job, known: Converted, digests: Mapping[str, PieceDigest]) -> bytes:
    sources = [one for one in job.checkpoint.sources if isinstance(one, FileSource)]
    summed = [
        (source.name, source.size, sha256) for source, sha256 in zip(sources, file_sums(sources))
    ]
    placed = {piece.name: (file.path, piece) for file in job.plan.files for piece in file.pieces}
    in_order = [placed[name] for name in job.selection.tensors if name in placed]
    return receipt(known, summed, in_order, digests)


def stale_files(job: Job, known: Converted) -> tuple[str, ...]:
    """Return what an earlier result of the same name left, which readers could take for this one.

    Only where files may be replaced: shards that the old index lists, that index if there is
    no new one, and a whole file where there are shards now.
    """
    path = known.destination
    if not job.options.force or job.options.to != "safetensors" or path is None:
        return ()
    index = index_path(path)
    written = [one.path for one in known.outputs]
    shards = stale_shards(index, written)
    old = [index] if shards and job.plan.shard_index is None else []
    whole = [path] if path not in written and os.path.lexists(path) else []
    return (*shards, *old, *whole)


def left_behind(stale: Sequence[str]) -> list[Finding]:
    """Return a finding for what could not be removed, if anything."""
    if not stale:
        return []
    return [
        finding(
            rules.STALE,
            f"files of an earlier result are still there: {', '.join(stale)}",
            fix="Remove them: a reader may take them for a part of this result.",
        )
    ]
