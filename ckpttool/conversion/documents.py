"""What is written beside the tensors: index, sidecar and receipt."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Mapping, Sequence

from ckpttool.conversion.job import index_content
from ckpttool.conversion.receipt import receipt
from ckpttool.files.positional import write_parts
from ckpttool.files.sources import FileSource
from ckpttool.files.sums import file_sums

if TYPE_CHECKING:
    from ckpttool.conversion.job import Job
    from ckpttool.conversion.result import Converted, WrittenFile
    from ckpttool.files.destination import Destination
    from ckpttool.files.temporary import Growing
    from ckpttool.formats.writing.copying import PieceDigest


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


def _summed(known: Converted, growing: Sequence[Growing], index: bytes) -> tuple[WrittenFile, ...]:
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
