"""From a plan to files that have been proven: check, copy, complete, prove, publish together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, Iterator, Sequence

from ckpttool.conversion.completing import complete_and_prove
from ckpttool.conversion.documents import add_documents
from ckpttool.conversion.earlier import left_behind, replaced, stale_files
from ckpttool.conversion.job import files, layouts_of, sizes
from ckpttool.conversion.result import Cast
from ckpttool.files.destination import Destination
from ckpttool.findings import rules
from ckpttool.findings.errors import OutputError
from ckpttool.findings.finding import Finding, finding
from ckpttool.findings.rules import Severity
from ckpttool.findings.text import count
from ckpttool.formats.writing.copying import copy_layout

if TYPE_CHECKING:
    from ckpttool.conversion.job import Job
    from ckpttool.conversion.options import ConvertOptions
    from ckpttool.conversion.result import Converted
    from ckpttool.files.temporary import Growing
    from ckpttool.formats.writing.copying import PieceDigest
    from ckpttool.formats.writing.file_layout import FileLayout, PlannedTensor
    from ckpttool.tensors.workers import Progress

    _Digests = Dict[str, PieceDigest]


def preview(job: Job) -> tuple[Converted, list[Finding]]:
    """Return the report with all that would be written, to the byte, and go; nothing does.

    Raises:
        MalformedError: the format has no place for a tensor.
        OutputError: the destination is taken, or there is not enough room.
    """
    layouts = layouts_of(job)
    with _destination(job) as place:
        planned = _checked(job, layouts, place)
        stale = stale_files(job, planned)
        stays = [path for path in stale if not (job.options.force and place.may_remove(path))]
    known = job.known._replace(
        outputs=tuple(files(job, layouts)),
        replaced=replaced(planned),
        removed=tuple(path for path in stale if path not in stays),
        sidecar=None if job.sidecar is None else job.options.sidecar,
        receipt=job.options.receipt,
    )
    return known, left_behind(stays, job.options.force)


def write_out(job: Job, progress: Progress | None) -> tuple[Converted, list[Finding]]:
    """Write, prove and publish; return the report and what there is to tell.

    If one of the findings is an error, nothing was published.

    Raises:
        CkpttoolError: anything else went wrong; nothing was published then either.
    """
    layouts = layouts_of(job)
    with _destination(job) as place:
        planned = _checked(job, layouts, place)
        growing = [
            place.create(file.path, layout.size) for file, layout in zip(job.plan.files, layouts)
        ]
        digests = _copy(job, layouts, growing, progress)
        casts = tuple(_casts(job.plan.pieces, digests))
        known = job.known._replace(casts=casts, cleaned=tuple(place.cleaned))
        findings = list(_losses(casts, job.options))
        if any(one.severity is Severity.ERROR for one in findings):
            return known, findings
        job = job._replace(known=known)
        known, further = complete_and_prove(job, layouts, growing, digests)
        stale = stale_files(job, planned)
        gone = tuple(path for path in stale if job.options.force and place.may_remove(path))
        known = known._replace(replaced=replaced(planned), removed=gone)
        known = add_documents(job, known, place, growing, digests)
        still = place.publish(gone)
        stays = [path for path in stale if path not in gone or path in still]
        findings += further + left_behind(stays, job.options.force)
        gone = tuple(path for path in gone if path not in still)
        known = known._replace(removed=gone, cleaned=tuple(place.cleaned))
    return known, findings


def _checked(job: Job, layouts: Sequence[FileLayout], place: Destination) -> list[str]:
    """Look whether everything can be written; return the paths."""
    planned = sizes(job, layouts)
    # Shards must not lie beside an older whole file: readers would take that one.
    place.check({str(job.known.destination): 0, **planned})
    return list(planned)


def _destination(job: Job) -> Destination:
    options = job.options
    return Destination(sources=job.checkpoint.sources, force=options.force, sync=options.sync)


# --- copying -----------------------------------------------------------------------------


def _copy(
    job: Job, layouts: Sequence[FileLayout], growing: Sequence[Growing], progress: Progress | None
) -> _Digests:
    """Copy all tensors; return what was read and written of each, aliases included."""
    if progress:
        progress.start(sum(slot.length for layout in layouts for slot in layout.slots))
    digests: _Digests = {}
    for layout, file in zip(layouts, growing):
        try:
            digests.update(
                copy_layout(
                    layout,
                    file.fd,
                    workers=job.options.workers,
                    on_bytes=progress.advance if progress else None,
                    checksums=job.checkpoint.checksums,
                    write_early=job.options.sync,
                )
            )
        except OutputError as error:
            error.path = error.path or file.path
            raise
    for piece in job.plan.pieces:
        if piece.alias_of is not None:
            digests[piece.name] = digests[piece.alias_of]
    return digests


def _casts(pieces: Sequence[PlannedTensor], digests: _Digests) -> Iterator[Cast]:
    for piece in pieces:
        if piece.cast:
            found = digests[piece.name]
            names = (piece.info.dtype.name, piece.dtype.name)
            yield Cast(piece.name, *names, found.overflow, found.underflow)


_OTHER_CAST = "Cast to bfloat16, which reaches as far as float32, or use --allow-overflow."
_NO_CAST = "Leave it out with --exclude, or use --allow-overflow."
_NO_CAST_OF_SMALL = "Leave it out with --exclude if these numbers matter."


def _losses(casts: Sequence[Cast], options: ConvertOptions) -> Iterator[Finding]:
    """Yield a finding for each tensor whose numbers became infinite, or zero."""
    for cast in casts:
        # numbers of float64 may be beyond float32's range, which is that of bfloat16
        other = cast.target == "float16" and cast.source != "float64"
        if cast.overflow:
            yield finding(
                rules.OVERFLOW,
                f"{count(cast.overflow, 'element')} became infinite as {cast.target}",
                severity=Severity.WARNING if options.allow_overflow else None,
                tensors=[cast.name],
                fix=_OTHER_CAST if other else _NO_CAST,
            )
        if cast.underflow:
            yield finding(
                rules.UNDERFLOW,
                f"{count(cast.underflow, 'element')} became zero as {cast.target}",
                tensors=[cast.name],
                fix=None if other else _NO_CAST_OF_SMALL,
            )
