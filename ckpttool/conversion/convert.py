"""Converting one file: open, choose, plan, write under a temporary name, prove, rename.

Nothing here prints or exits, and nothing is left behind where anything went wrong.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Sequence

from ckpttool.conversion.job import Job
from ckpttool.conversion.leaving import findings_on_rest
from ckpttool.conversion.naming import check_distinct, destination
from ckpttool.conversion.options import ConvertOptions, check
from ckpttool.conversion.planning import plan
from ckpttool.conversion.result import NOT_WRITTEN, PLANNED, WRITTEN, Converted
from ckpttool.conversion.selecting import select
from ckpttool.conversion.sidecar import left_out, sidecar
from ckpttool.findings.errors import CkpttoolError, UsageError, told_with
from ckpttool.findings.finding import Finding, Verdict, finding_from, verdict_from
from ckpttool.findings.results import FileReport
from ckpttool.findings.rules import Severity
from ckpttool.findings.uses import Use
from ckpttool.formats import open_checkpoint
from ckpttool.formats.safety.telling import findings_left_behind
from ckpttool.inspection import with_facts
from ckpttool.models.canonical import canonicalize
from ckpttool.tensors.sharing import OWN_KEYS

if TYPE_CHECKING:
    from ckpttool.conversion.planning import Plan
    from ckpttool.conversion.result import LeftOut
    from ckpttool.conversion.selecting import TensorSelection
    from ckpttool.tensors.catalogue import Checkpoint
    from ckpttool.tensors.workers import Progress

_ORDER = list(Severity)


def destinations(paths: Sequence[str], options: ConvertOptions) -> list[str]:
    """Return the file to write for each source.

    Raises:
        UsageError: the options do not go together or not with several sources, a source is
            standard input, two sources would give one file, or one would replace another.
    """
    check(options)
    for path in paths:
        if path == "-":
            raise UsageError(
                "a checkpoint cannot be read from a pipe: it is read at many places at a time",
                fix="Save it to a file and name that.",
            )
    if len(paths) > 1:
        _check_batch(options)
    chosen = [destination(path, options.output, options.to) for path in paths]
    check_distinct(paths, chosen)
    return chosen


def _check_batch(options: ConvertOptions) -> None:
    if options.output is not None and not os.path.isdir(options.output):  # noqa: PTH112
        raise UsageError(
            "several files need a folder as destination, and it must exist",
            path=options.output,
            fix="Make it first (mkdir), or leave -o out to write beside each source.",
        )
    for option, given in (("--sidecar", options.sidecar), ("--receipt", options.receipt)):
        if given is not None:
            raise UsageError(f"{option} is for one file", fix="Convert the files one by one.")


def convert_file(
    path: str, output: str, options: ConvertOptions, progress: Progress | None = None
) -> Converted:
    """Convert one checkpoint and report on it, whatever is wrong with the file.

    Args:
        path: the checkpoint.
        output: the file to write; see :func:`destinations`.
        options: how to convert.
        progress: told how far the copying is.

    Returns:
        What it came to. The verdict is PASS where the result is written and proven (or only
        planned), FAIL where the content of the checkpoint forbids it, CANNOT TELL where
        something else did. In the last two cases nothing was written.
    """
    known = Converted(FileReport(path, Verdict.CANNOT_TELL, ()), options.to, destination=output)
    try:
        with open_checkpoint(path, wrapper=options.wrapper) as checkpoint:
            layout = canonicalize(checkpoint.tensors).layout
            known = known._replace(file=with_facts(known.file, checkpoint, layout))
            with told_with(checkpoint.uses):
                return _convert(checkpoint, known, options, progress)
    except CkpttoolError as error:
        return _stopped(known, _named(finding_from(error), path, error), error)


def _named(found: Finding, source: str, error: CkpttoolError) -> Finding:
    """Say which file it is about where that is not the source: the destination, or a shard."""
    if error.path in (None, source):
        return found
    return found._replace(message=f"{error.path}: {found.message}")


def _stopped(known: Converted, found: Finding, error: CkpttoolError) -> Converted:
    before = findings_left_behind(error.uses)
    file = known.file._replace(verdict=verdict_from(error, before), findings=(*before, found))
    return known._replace(file=file, state=NOT_WRITTEN, cleaned=error.cleaned)


def _convert(
    checkpoint: Checkpoint, known: Converted, options: ConvertOptions, progress: Progress | None
) -> Converted:
    assert known.destination is not None  # noqa: S101 (set by convert_file)
    selection = select(checkpoint, options)
    planned = plan(checkpoint, selection, known.destination, options)
    lost = _lost_metadata(checkpoint, selection, options)
    entries = left_out(checkpoint, lost)
    beside = None
    if options.sidecar is not None:
        beside, entries = sidecar(checkpoint, entries, lost)
    known = _with_plan(known, checkpoint, planned, selection, entries)
    found = [
        *findings_left_behind(checkpoint.uses),
        *checkpoint.remarks,
        *findings_on_rest(checkpoint, entries, options),
        *planned.findings,
    ]
    if _errors(found):
        return _ended(known, found, NOT_WRITTEN)
    from ckpttool.conversion.output import preview, write_out

    job = Job(checkpoint, selection, planned, known, options, beside)
    if options.dry_run:
        would, further = preview(job)
        return _ended(would, [*found, *further], PLANNED)
    written, further = write_out(job, progress)
    found += further
    return _ended(written, found, NOT_WRITTEN if _errors(further) else WRITTEN)


def _with_plan(
    known: Converted,
    checkpoint: Checkpoint,
    planned: Plan,
    selection: TensorSelection,
    entries: tuple[LeftOut, ...],
) -> Converted:
    return known._replace(
        wrapper=planned.wrapper if known.to == "pth" else None,
        tied=planned.tied,
        restored=selection.restored,
        overlapping=planned.overlapping,
        not_cast=planned.not_cast,
        excluded=selection.excluded,
        calls=tuple(use for use in checkpoint.uses if use.use is not Use.NAMED),
        left_out=entries,
    )


def _ended(known: Converted, found: Sequence[Finding], state: str) -> Converted:
    """Return ``known`` with its findings, the worst first, and the verdict they amount to."""
    findings = tuple(sorted(found, key=lambda one: _ORDER.index(one.severity)))
    verdict = Verdict.FAIL if _errors(findings) else Verdict.PASS
    return known._replace(file=known.file._replace(verdict=verdict, findings=findings), state=state)


def _errors(found: Sequence[Finding]) -> bool:
    return any(one.severity is Severity.ERROR for one in found)


def _lost_metadata(
    checkpoint: Checkpoint, selection: TensorSelection, options: ConvertOptions
) -> dict[str, str]:
    """Return the strings of ``__metadata__`` that the destination has no place for."""
    if options.to != "pth":
        return {}
    return {
        key: value
        for key, value in checkpoint.metadata.items()
        if key not in OWN_KEYS and key not in selection.restored
    }
