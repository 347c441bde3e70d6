"""The steps from a plan to proven files: lay out, look for room, copy, complete, prove."""

from __future__ import annotations

from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Iterator, Mapping, NamedTuple, Sequence

from ckpttool.conversion.documents import index_content
from ckpttool.conversion.naming import where
from ckpttool.conversion.proving import (
    Joined,
    fingerprint_of,
    of_source,
    read_again,
    require_equal,
    require_rows,
    require_taken,
)
from ckpttool.conversion.result import Cast, Proof, WrittenFile
from ckpttool.files.positional import write_parts
from ckpttool.files.sources import FileSource
from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError, OutputError, UsageError
from ckpttool.findings.finding import Finding, finding
from ckpttool.findings.rules import Severity
from ckpttool.findings.text import count
from ckpttool.findings.uses import NameUse, Use
from ckpttool.formats.writing import TARGETS
from ckpttool.formats.writing.copying import copy_layout
from ckpttool.models.canonical import canonicalize
from ckpttool.tensors.sharing import FINGERPRINT, spread, with_tied
from ckpttool.tensors.sums import file_sums
from ckpttool.tensors.workers import enter

if TYPE_CHECKING:
    from ckpttool.conversion.dequantising import Dequantising
    from ckpttool.conversion.model_config import ModelConfig
    from ckpttool.conversion.options import ConvertOptions
    from ckpttool.conversion.planning import Plan
    from ckpttool.conversion.renaming.rows import Naming
    from ckpttool.conversion.resizing import Resizing
    from ckpttool.conversion.result import LeftOut, WrittenParts
    from ckpttool.conversion.selecting import TensorSelection
    from ckpttool.files.destination import Destination
    from ckpttool.files.temporary import Growing
    from ckpttool.findings.results import FileReport
    from ckpttool.formats.writing import Target
    from ckpttool.formats.writing.copying import PieceDigest
    from ckpttool.formats.writing.file_layout import FileLayout, PlannedTensor
    from ckpttool.tensors.catalogue import Checkpoint, Checksum
    from ckpttool.tensors.workers import Progress


class Job(NamedTuple):
    """A conversion, decided before any byte is written; ``sidecar`` is its content.

    ``config`` is the ``config.json`` beside the result. With ``resizing``, ``checkpoint`` holds
    the resized tables in place of the source's, and with ``dequantising`` decoded weights in place
    of its codes and scales.
    """

    checkpoint: Checkpoint
    report: FileReport
    destination: str
    options: ConvertOptions
    selection: TensorSelection
    plan: Plan
    left_out: tuple[LeftOut, ...]
    sidecar: bytes | None
    config: ModelConfig
    resizing: Resizing
    dequantising: Dequantising
    in_parts: tuple[WrittenParts, ...] = ()

    @property
    def target(self) -> Target:
        """The container to write."""
        return TARGETS[self.options.to]

    @property
    def calls(self) -> tuple[NameUse, ...]:
        """What loading the source would call or need, and this conversion does not."""
        return tuple(use for use in self.checkpoint.uses if use.use is not Use.NAMED)


class OutputFile(NamedTuple):
    """A file of tensors, laid out to the byte."""

    path: str
    pieces: tuple[PlannedTensor, ...]
    layout: FileLayout


class Copied(NamedTuple):
    """The files with the tensors in their places, and still zeros around them.

    ``digests`` are by name, aliases and tied names included; ``checked`` are the source's stored
    sums that were compared. With an error among the findings (numbers became infinite), the files
    must not be kept.
    """

    files: list[Growing]
    digests: dict[str, PieceDigest]
    checked: frozenset[Checksum]
    casts: tuple[Cast, ...]
    findings: tuple[Finding, ...]


class Proven(NamedTuple):
    """The result of the proof.

    ``fingerprint`` is that of the tensors as written; neither is known unless it was asked for.
    """

    source_fingerprint: str | None
    fingerprint: str | None
    proof: Proof
    findings: tuple[Finding, ...]


# --- laying out --------------------------------------------------------------------------


def lay_out(job: Job) -> tuple[list[OutputFile], bytes]:
    """Return the files, with a placeholder for a fingerprint, and the index of shards.

    Raises:
        MalformedError: the format has no place for a tensor.
    """
    plan = job.plan
    files = [
        OutputFile(path, pieces, job.target.plan(pieces, plan.metadata, plan.wrapper))
        for path, pieces in plan.files
    ]
    return files, index_content(plan, job.selection) if plan.shard_index is not None else b""


def written_files(job: Job, files: Sequence[OutputFile], index: bytes) -> tuple[WrittenFile, ...]:
    """Return the files as a report lists them, the index last."""
    written = [WrittenFile(file.path, file.layout.size, len(file.pieces)) for file in files]
    # Readers open the index, which is therefore taken as the result.
    if job.plan.shard_index is not None:
        written.append(WrittenFile(job.plan.shard_index, len(index), 0))
    return tuple(written)


def look_for_room(job: Job, outputs: Sequence[WrittenFile], place: Destination) -> list[str]:
    """Check whether everything can be written; return the paths.

    What killed runs left there is cleaned up first, except for a dry run.

    Raises:
        UsageError: two of the files are the same.
        OutputError: the destination exists, or there is not enough room.
    """
    sizes = {written.path: written.size for written in outputs}
    # Compared as directory entries: one file may be spelled in several ways.
    taken = {where(path) for path in (job.destination, *sizes)}
    # The receipt counts as empty: its size is known only after the copying.
    config = job.config.path if job.config.content is not None else None
    for path, content in (
        (config, job.config.content),
        (job.options.sidecar, job.sidecar),
        (job.options.receipt, b""),
    ):
        if path is None:
            continue
        if where(path) in taken:
            raise UsageError(
                "two of the files to write have the same name",
                path=path,
                fix="Name another file for the sidecar or the receipt.",
            )
        taken.add(where(path))
        sizes[path] = len(content or b"")
    # The destination itself is checked for shards too: readers would prefer an old whole file.
    checked = {job.destination: 0, **sizes}
    if not job.options.dry_run:
        place.clean(checked)
    place.check(checked)
    return list(sizes)


# --- copying -----------------------------------------------------------------------------


def copy(
    job: Job, files: Sequence[OutputFile], place: Destination, progress: Progress | None
) -> Copied:
    """Create the files and copy all tensors into them.

    Raises:
        CkpttoolError: the source cannot be read, or the destination cannot be written.
    """
    # All at once, in full size, so that a full disk is noticed before anything is copied.
    growing = [place.create(file.path, file.layout.size) for file in files]
    enter(progress, "writing")
    if progress:
        progress.start(sum(slot.length for file in files for slot in file.layout.slots))
    stored: dict[str, PieceDigest] = {}
    checked: frozenset[Checksum] = frozenset()
    for file, grown in zip(files, growing):
        try:
            copies = copy_layout(
                file.layout,
                grown.fd,
                workers=job.options.workers,
                executor=job.options.executor,
                on_bytes=progress.advance if progress else None,
                checksums=job.checkpoint.checksums,
                hashes=job.options.hashes,
                write_early=job.options.sync,
            )
        except OutputError as error:  # raised where only the descriptor is known
            error.path = error.path or file.path
            raise
        stored.update(copies.digests)
        checked |= copies.checked
    digests = spread(stored, job.plan.same)
    casts = tuple(_casts(job.plan.pieces, digests))
    losses = tuple(_losses(casts, job.options, job.selection.naming))
    return Copied(growing, digests, checked, casts, losses)


def _casts(pieces: Sequence[PlannedTensor], digests: dict[str, PieceDigest]) -> Iterator[Cast]:
    for piece in pieces:
        if piece.cast:
            found = digests[piece.name]
            names = (piece.info.dtype.name, piece.dtype.name)
            yield Cast(piece.name, *names, found.overflow, found.underflow)


_OTHER_CAST = "Cast to bfloat16, which reaches as far as float32, or use --allow-overflow."
_NO_CAST = "Leave it out with --exclude, or use --allow-overflow."
_NO_CAST_OF_SMALL = "Leave it out with --exclude if these numbers matter."


def _losses(casts: Sequence[Cast], options: ConvertOptions, naming: Naming) -> Iterator[Finding]:
    """Yield one finding on all tensors whose numbers became infinite, and one on those of zeros."""
    infinite = [cast for cast in casts if cast.overflow]
    if infinite:
        yield finding(
            rules.OVERFLOW,
            _became(sum(cast.overflow for cast in infinite), infinite, "infinite"),
            severity=Severity.WARNING if options.allow_overflow else None,
            tensors=naming.origins([cast.name for cast in infinite]),
            fix=_OTHER_CAST if _bfloat16_helps(infinite) else _NO_CAST,
        )
    zero = [cast for cast in casts if cast.underflow]
    if zero:
        yield finding(
            rules.UNDERFLOW,
            _became(sum(cast.underflow for cast in zero), zero, "zero"),
            tensors=naming.origins([cast.name for cast in zero]),
            fix=None if _bfloat16_helps(zero) else _NO_CAST_OF_SMALL,
        )


def _bfloat16_helps(casts: Sequence[Cast]) -> bool:
    # it has float32's range, so it does unless the numbers are float64
    return all(cast.target == "float16" and cast.source != "float64" for cast in casts)


def _became(number: int, casts: Sequence[Cast], what: str) -> str:
    of = f" of {count(len(casts), 'tensor')}" if len(casts) > 1 else ""
    return f"{count(number, 'element')}{of} became {what} as {casts[0].target}"


# --- completing and proving --------------------------------------------------------------


def complete_and_prove(job: Job, files: Sequence[OutputFile], copied: Copied) -> Proven:
    """Write the bytes around the tensors, and compare the files with their source.

    Raises:
        OutputError: the files cannot be written or read, or a reader sees another content in
            them than was to be written (``CVT202``).
    """
    target, metadata = job.target, {**job.plan.metadata}
    selection, naming = job.selection, job.selection.naming
    fingerprint = planned = found = None
    joined: Joined = {}
    if job.options.hashes:
        source = {name: one.source_sha256 for name, one in copied.digests.items()}
        fingerprint = planned = _of_source(job, source, joined)
        # another one where the caller's own rules gave names
        if naming.rows or job.resizing.tables or job.dequantising.weights:
            planned = fingerprint_of(canonicalize(naming.tensors), source, joined)
        if FINGERPRINT in metadata:  # as long as the placeholder, so that nothing moves
            metadata[FINGERPRINT] = fingerprint
    changed = None if metadata == job.plan.metadata else metadata
    crcs = {name: one.crc32 for name, one in copied.digests.items()}
    for (path, pieces, layout), grown in zip(files, copied.files):
        write_parts(grown.fd, path, target.finish(layout, pieces, changed, crcs))
    # All files stay open: a tensor that a layout joins may have its parts in several shards.
    with ExitStack() as opened:
        seen = []
        for (path, pieces, layout), grown in zip(files, copied.files):
            with _called(path, grown):
                seen.append(read_again(grown.temporary, pieces, layout.slots, target, opened))
        stored = {name: info for one in seen for name, info in one.tensors.items()}
        tensors = with_tied(stored, metadata)
        if job.options.hashes:
            written = {name: one.sha256 for name, one in copied.digests.items()}
            found = fingerprint_of(canonicalize(tensors), written, joined)
    for one in seen:
        require_equal("the metadata", metadata, one.metadata)
    require_taken(naming.tensors, job.plan.same, tensors)
    require_rows(selection)
    # Cast weights are other weights, with another fingerprint.
    if not copied.casts:
        require_equal("the content fingerprint", planned, found)
    slots = [slot for file in files for slot in file.layout.slots]
    checked = len(copied.checked | job.resizing.checked | job.dequantising.checked)
    proof = Proof(len(slots), sum(slot.length for slot in slots), checked, seen[0].readers)
    findings = dict.fromkeys(warning for one in seen for warning in one.findings)
    return Proven(fingerprint, found, proof, tuple(findings))


@contextmanager
def _called(path: str, grown: Growing) -> Iterator[None]:
    """Call a file by its final name in errors: the temporary one is gone when they are read."""
    try:
        yield
    except CkpttoolError as error:
        if error.path == grown.temporary:
            error.path = path
        raise


def _of_source(job: Job, digests: Mapping[str, str], joined: Joined) -> str:
    """Return the content fingerprint of the tensors that were taken, as the source has them.

    ``digests`` are by the names that are written.
    """
    selection, resizing, dequantising = job.selection, job.resizing, job.dequantising
    before = {**of_source(digests, selection), **resizing.digests, **dequantising.digests}
    if not dequantising.weights:
        return fingerprint_of(resizing.undone(selection.canonical), before, joined)
    tensors = {name: resizing.originals.get(name, info) for name, info in selection.tensors.items()}
    return fingerprint_of(dequantising.undone(tensors), before, joined)


def summed(
    outputs: Sequence[WrittenFile], files: Sequence[Growing], index: bytes, options: ConvertOptions
) -> tuple[WrittenFile, ...]:
    """Return the files with the SHA-256 of their whole content.

    Raises:
        UnreadableError: a file cannot be read again.
    """
    with ExitStack() as opened:
        for grown in files:
            opened.enter_context(_called(grown.path, grown))
        sums = file_sums(
            [opened.enter_context(closing(FileSource(grown.temporary))) for grown in files],
            workers=options.workers,
            executor=options.executor,
        )
    if index:
        import hashlib  # late, as in all modules of this room: most conversions make no such sum

        sums.append(hashlib.sha256(index).hexdigest())
    return tuple(one._replace(sha256=sha256) for one, sha256 in zip(outputs, sums))
