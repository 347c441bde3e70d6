"""Completing the files with what the copying found out, and opening them again."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Mapping, Sequence

from ckpttool.conversion.identity import Joined, fingerprint_of
from ckpttool.conversion.job import files, layout_of
from ckpttool.conversion.proving import read_again, require_equal
from ckpttool.conversion.result import Proof
from ckpttool.files.positional import write_parts
from ckpttool.formats.writing import torch_zip
from ckpttool.tensors.sharing import FINGERPRINT, with_tied

if TYPE_CHECKING:
    from ckpttool.conversion.job import Job
    from ckpttool.conversion.proving import Seen
    from ckpttool.conversion.result import Converted
    from ckpttool.files.temporary import Growing
    from ckpttool.findings.finding import Finding
    from ckpttool.formats.writing.copying import PieceDigest
    from ckpttool.formats.writing.file_layout import FileLayout


def complete_and_prove(
    job: Job,
    layouts: Sequence[FileLayout],
    growing: Sequence[Growing],
    digests: Mapping[str, PieceDigest],
) -> tuple[Converted, list[Finding]]:
    """Write what stands around the tensors and hold the files to their source.

    Args:
        job: what is converted.
        layouts: of the files, in order.
        growing: the files themselves, with the tensors in them.
        digests: of what was copied into them and read back, by name.

    Returns:
        The report with fingerprints, files and proof, and what could not be told.

    Raises:
        OutputError: the files cannot be written or read, or a reader sees something else in
            them than was to be written (``CVT202``).
    """
    joined: Joined = {}
    source = _with_tied(job, {name: one.source_sha256 for name, one in digests.items()})
    fingerprint = fingerprint_of(job.selection.tensors, source, joined)
    metadata = {**job.plan.metadata}
    if FINGERPRINT in metadata:
        metadata[FINGERPRINT] = fingerprint
    _complete(job, metadata, layouts, growing, digests)
    with ExitStack() as opened:
        seen = [
            read_again(grown.temporary, file.pieces, layout.slots, job.options.to, opened)
            for file, layout, grown in zip(job.plan.files, layouts, growing)
        ]
        tensors = {name: info for one in seen for name, info in one.tensors.items()}
        written = _with_tied(job, {name: one.sha256 for name, one in digests.items()})
        found = fingerprint_of(with_tied(tensors, metadata), written, joined)
    _compare(job, metadata, fingerprint, found, seen)
    slots = [slot for layout in layouts for slot in layout.slots]
    known = job.known._replace(
        file=job.known.file._replace(fingerprint=fingerprint),
        fingerprint=found,
        outputs=tuple(files(job, layouts)),
        proof=Proof(len(slots), sum(slot.length for slot in slots), seen[0].readers),
    )
    return known, list(dict.fromkeys(one for reader in seen for one in reader.findings))


def _complete(
    job: Job,
    metadata: dict[str, str],
    layouts: Sequence[FileLayout],
    growing: Sequence[Growing],
    digests: Mapping[str, PieceDigest],
) -> None:
    """Write the header, now that the fingerprint is known, or those of the archive's members."""
    crcs = {name: one.crc32 for name, one in digests.items()}
    for file, layout, grown in zip(job.plan.files, layouts, growing):
        if layout.members:
            write_parts(grown.fd, torch_zip.finish(layout, crcs))
        else:
            # as long as the one that was planned with, so that nothing moves
            write_parts(grown.fd, [(0, layout_of(job, file, metadata).head)])


def _compare(
    job: Job, metadata: dict[str, str], fingerprint: str, found: str, seen: Sequence[Seen]
) -> None:
    for one in seen:
        require_equal("the metadata", metadata, one.metadata)
    # a cast makes other weights of them, and these have a fingerprint of their own
    if not any(piece.cast for piece in job.plan.pieces):
        require_equal("the content fingerprint", fingerprint, found)


def _with_tied(job: Job, digests: dict[str, str]) -> dict[str, str]:
    """Add the names that are only recorded: their bytes are those of the kept ones."""
    return {**digests, **{name: digests[kept] for name, kept in job.plan.tied.items()}}
