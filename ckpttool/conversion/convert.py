"""Converting one file: select, plan, write under a temporary name, prove, rename.

Nothing here prints or exits, and a failed conversion leaves no file behind.
"""

from __future__ import annotations

import os
from collections import abc
from typing import TYPE_CHECKING, Iterable, Mapping, Sequence, Union

from ckpttool.conversion.dequantising import dequantise, taken
from ckpttool.conversion.documents import left_out
from ckpttool.conversion.earlier import Earlier, find_earlier, left_behind
from ckpttool.conversion.leaving import findings_on_rest
from ckpttool.conversion.model_config import config_of
from ckpttool.conversion.naming import check_distinct, destination
from ckpttool.conversion.options import ConvertOptions, check, parse_size, rules_of
from ckpttool.conversion.output import (
    Job,
    complete_and_prove,
    copy,
    lay_out,
    look_for_room,
    summed,
    written_files,
)
from ckpttool.conversion.parts import findings_on_parts, with_parts, written_parts
from ckpttool.conversion.planning import plan
from ckpttool.conversion.quantization_config import config_without
from ckpttool.conversion.receipt import write_receipt
from ckpttool.conversion.renaming.rows import told_by_source
from ckpttool.conversion.resizing import resize
from ckpttool.conversion.result import NOT_WRITTEN, PLANNED, WRITTEN, Conversion
from ckpttool.conversion.selecting import select
from ckpttool.files.destination import Destination
from ckpttool.findings.arguments import AnyPath, check_progress, check_type, path_of, texts_of
from ckpttool.findings.errors import CkpttoolError, UsageError, adding_uses
from ckpttool.findings.finding import Finding, Verdict, finding_from, verdict_from
from ckpttool.findings.results import FileReport
from ckpttool.findings.rules import Severity
from ckpttool.formats import checkpoint_file, open_checkpoint
from ckpttool.formats.safety.telling import findings_left_behind, remarks_left_behind
from ckpttool.inspection.container import with_container
from ckpttool.models.canonical import canonicalize
from ckpttool.tensors.sharing import with_tied
from ckpttool.tensors.workers import enter

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from ckpttool.conversion.output import Copied, Proven
    from ckpttool.conversion.result import WrittenFile
    from ckpttool.models.family import Image
    from ckpttool.tensors.workers import Progress

# The worst first, as the enumeration lists them.
_ORDER = list(Severity)


def convert(
    source: AnyPath,
    destination: AnyPath | None = None,
    *,
    to: str,
    max_shard_size: Union[int, str, None] = None,
    dtype: str | None = None,
    dequantise: str | None = None,
    except_quantized: bool = False,
    parts: bool = False,
    allow_overflow: bool = False,
    include: Union[str, Iterable[str]] = (),
    exclude: Union[str, Iterable[str]] = (),
    encoder_only: bool = False,
    layout: str | None = None,
    strip_prefix: Union[str, Iterable[str]] = (),
    rename: Mapping[str, str] = {},
    rename_file: AnyPath | None = None,
    resize_pos_embed: Image | None = None,
    wrapper: str | None = None,
    metadata: Mapping[str, str] = {},
    keep: Union[str, Iterable[str]] = (),
    keep_aliases: bool = False,
    sidecar: AnyPath | None = None,
    receipt: AnyPath | None = None,
    fingerprint: bool = False,
    force: bool = False,
    sync: bool = True,
    dry_run: bool = False,
    workers: int | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Conversion:
    """Copy a checkpoint into another container, and prove that nothing changed.

    Args:
        source: the checkpoint.
        destination: the file to write, or a folder for it; ``None`` writes beside the source.
        to: what to write: ``safetensors``, or ``pth`` as ``torch.save`` writes it.
        max_shard_size: bytes of tensors in a file, or a text like ``5GB``; ``None`` for one file.
        dtype: cast floating tensors to ``float16``, ``bfloat16`` or ``float32``.
        dequantise: decode quantized weights to ``bfloat16`` or ``float32``; see
            ``docs/convert.md``.
        except_quantized: copy quantized weights bit for bit, and cast the others.
        parts: write quantized and sparse tensors, and those of classes of their own, as the plain
            tensors that they are made of; see ``docs/convert.md``.
        allow_overflow: let a cast make numbers infinite.
        include: patterns of names to take; all of them without any.
        exclude: patterns of names to leave out.
        encoder_only: leave out the decoder.
        layout: the naming convention to write: ``facebook``, ``timm``, ``hf``, ``mmpretrain`` or
            ``mmseg``; ``None`` keeps the names.
        strip_prefix: prefixes that names lose, one after the other.
        rename: pattern -> replacement, with ``*`` and ``{n}``; see ``docs/convert.md``.
        rename_file: a TOML file of renames, joins, splits and transposes.
        resize_pos_embed: resize position tables for images of so many pixels: a side, or (height,
            width). The sin-cos table is computed again, others are interpolated bicubically.
        wrapper: the dotted key of the state dict to take; ``None`` to choose.
        metadata: further strings for ``__metadata__``.
        keep: patterns of the names to store tied tensors under.
        keep_aliases: store tied tensors under each of their names.
        sidecar: a JSON file for what lies beside the tensors.
        receipt: a JSON file for SHA-256 checksums and changes.
        fingerprint: compute the content fingerprints, which a receipt has anyway.
        force: replace existing files at the destination.
        sync: wait until the bytes are on the disk before the file gets its name.
        dry_run: report what would be written, and write nothing.
        workers: threads that copy; ``None`` for one per processor.
        executor: runs the copying, in place of threads of our own.
        progress: told how far the copying is.

    Returns:
        The result: ``state`` is ``written`` (and proven), ``planned`` or ``not-written``. Problems
        of the file, or of the options with this file, are in ``findings``.

    Raises:
        UsageError: an argument is not valid, or some contradict each other.
    """
    if isinstance(max_shard_size, str):
        max_shard_size = parse_size(max_shard_size)
    check_type(metadata, abc.Mapping, "metadata")
    check_progress(progress)
    options = ConvertOptions(
        to=to,
        output=None if destination is None else path_of(destination, "the destination"),
        max_shard_size=max_shard_size,
        dtype=dtype,
        dequantise=dequantise,
        except_quantized=except_quantized,
        parts=parts,
        include=texts_of(include, "include"),
        exclude=texts_of(exclude, "exclude"),
        encoder_only=encoder_only,
        layout=layout,
        rules=rules_of(strip_prefix, rename, rename_file),
        resize_pos_embed=resize_pos_embed,
        wrapper=wrapper,
        metadata=tuple(metadata.items()),
        keep=texts_of(keep, "keep"),
        keep_aliases=keep_aliases,
        allow_overflow=allow_overflow,
        force=force,
        sync=sync,
        dry_run=dry_run,
        sidecar=None if sidecar is None else path_of(sidecar, "the sidecar"),
        receipt=None if receipt is None else path_of(receipt, "the receipt"),
        fingerprint=fingerprint,
        workers=workers,
        executor=executor,
    )
    path = checkpoint_file(path_of(source))
    (output,) = destinations([path], options)
    return convert_file(path, output, options, progress)


def destinations(paths: Sequence[str], options: ConvertOptions) -> list[str]:
    """Return the file to write for each source.

    Raises:
        UsageError: the options contradict each other or do not suit several sources, a source is
            standard input, two sources would give one file, or one would replace another.
    """
    # All files of a run are checked before the first is converted.
    check(options)
    for path in paths:
        if path == "-":
            raise UsageError(
                "a checkpoint cannot be read from a pipe: it is read at many places at a time",
                fix="Save it to a file and name that.",
            )
    if len(paths) > 1:
        _check_batch(options)
    chosen = [destination(path, options) for path in paths]
    check_distinct(paths, chosen)
    return chosen


def _check_batch(options: ConvertOptions) -> None:
    if options.output is not None and not os.path.isdir(options.output):  # noqa: PTH112
        raise UsageError(
            "several files need a folder as destination, and it must exist",
            path=options.output,
            fix="Create it first (mkdir), or leave -o out to write beside each source.",
        )
    for option, given in (("--sidecar", options.sidecar), ("--receipt", options.receipt)):
        if given is not None:
            raise UsageError(f"{option} is for one file", fix="Convert the files one by one.")


def convert_file(
    path: str, output: str, options: ConvertOptions, progress: Progress | None = None
) -> Conversion:
    """Convert one checkpoint, with any problem of the file as a finding.

    Args:
        path: the checkpoint.
        output: the file to write; see :func:`destinations`.
        options: how to convert.
        progress: told how far the copying is.

    Returns:
        The result. Its verdict is PASS if the files are written and proven (or only planned), FAIL
        if the content of the checkpoint forbids it, CANNOT TELL if something else did. In the
        last two cases nothing was written.
    """
    report = FileReport(path, Verdict.CANNOT_TELL, ())
    try:
        # Code that the file would run is reported even if the conversion fails.
        with open_checkpoint(path, wrapper=options.wrapper) as source, adding_uses(source.uses):
            checkpoint, decoded = dequantise(with_parts(source, options), options)
            canonical = canonicalize(with_tied(checkpoint.tensors, checkpoint.metadata))
            report = with_container(report, source, canonical.layout)
            selection = select(checkpoint, canonical, options)
            dequantising = taken(decoded, source, selection, options)
            checkpoint, selection, resizing = resize(checkpoint, canonical, selection, options)
            in_parts = written_parts(checkpoint, selection, options)
            with told_by_source(selection.naming):
                planned = plan(checkpoint, selection, output, options, in_parts)
            entries, sidecar = left_out(checkpoint, selection, options)
            config = config_of(checkpoint, selection, output, options)
            if dequantising.weights and config.path is None:
                config = config_without(source, output, options)
            job = Job(
                checkpoint,
                report,
                output,
                options,
                selection,
                planned,
                entries,
                sidecar,
                config,
                resizing,
                dequantising,
                in_parts,
            )
            return _convert(job, progress)
    except CkpttoolError as error:
        problem = finding_from(error)
        # The report is about the source, so another file (the destination, a shard) is named.
        if error.path not in (None, path):
            problem = problem._replace(message=f"{error.path}: {problem.message}")
        before = findings_left_behind(error.uses)
        report = report._replace(verdict=verdict_from(error, before), findings=(*before, problem))
        return Conversion(report, options.to, destination=output, cleaned=error.cleaned)


def _convert(job: Job, progress: Progress | None) -> Conversion:
    """Write and prove the planned files, unless there is an error."""
    found = [
        *findings_left_behind(job.checkpoint.uses),
        *remarks_left_behind(job.checkpoint.remarks),
        *findings_on_rest(job.checkpoint, job.left_out, job.options),
        *job.dequantising.findings,
        *job.resizing.findings,
        *job.selection.findings,
        *findings_on_parts(job.in_parts, job.options),
        *job.plan.findings,
        *job.config.findings,
    ]
    if _errors(found):
        return _converted(job, NOT_WRITTEN, found)
    options, sources = job.options, job.checkpoint.sources
    with told_by_source(job.selection.naming):
        files, index = lay_out(job)
    outputs = written_files(job, files, index)
    with Destination(sources=sources, force=options.force, sync=options.sync) as place:
        earlier = find_earlier(job, look_for_room(job, outputs, place), place)
        if options.dry_run:
            found += left_behind(earlier, options.force)
            return _converted(job, PLANNED, found, outputs, earlier)
        with told_by_source(job.selection.naming):
            copied = copy(job, files, place, progress)
        found += copied.findings
        # Only the copying shows whether a cast overflows; leaving the block removes the files.
        if _errors(found):
            return _converted(job, NOT_WRITTEN, found, copied=copied, cleaned=place.cleaned)
        enter(progress, "proving")
        proven = complete_and_prove(job, files, copied)
        documents = [(options.sidecar, job.sidecar), (job.config.path, job.config.content)]
        if options.receipt is not None:
            outputs = summed(outputs, copied.files, index, options)
            receipt = write_receipt(job, outputs, earlier, copied, proven)
            documents.append((options.receipt, receipt))
        # Files get their names in this order. Readers find shards by the index, so it is last.
        documents.append((job.plan.shard_index, index))
        for path, content in documents:
            if path is not None and content is not None:
                place.write(path, content)
        # What was read at different times (tables, sums for the receipt) is of one file.
        job.checkpoint.check_unchanged()
        still = place.publish(earlier.removed)
        removed = tuple(path for path in earlier.removed if path not in still)
        earlier = earlier._replace(removed=removed)
        found += [*proven.findings, *left_behind(earlier, options.force)]
        return _converted(job, WRITTEN, found, outputs, earlier, copied, proven, place.cleaned)


def _converted(
    job: Job,
    state: str,
    found: Sequence[Finding],
    outputs: tuple[WrittenFile, ...] = (),
    earlier: Earlier = Earlier(),  # noqa: B008 (never changed)
    copied: Copied | None = None,
    proven: Proven | None = None,
    cleaned: Sequence[str] = (),
) -> Conversion:
    """Return the result, with findings sorted by severity and the verdict that they give."""
    return Conversion(
        job.report._replace(
            verdict=Verdict.FAIL if _errors(found) else Verdict.PASS,
            findings=tuple(sorted(found, key=lambda one: _ORDER.index(one.severity))),
            fingerprint=proven.source_fingerprint if proven else None,
        ),
        job.options.to,
        state,
        job.destination,
        outputs,
        replaced=earlier.replaced,
        removed=earlier.removed,
        cleaned=tuple(cleaned),
        wrapper=job.plan.wrapper,
        fingerprint=proven.fingerprint if proven else None,
        tied=job.plan.tied,
        layout=job.options.layout,
        map=job.selection.naming.rows,
        config=None if state == NOT_WRITTEN else job.config.path,
        config_kept=state != NOT_WRITTEN and job.config.kept,
        restored=job.selection.restored,
        overlapping=job.plan.overlapping,
        excluded=job.selection.excluded,
        left_out=job.left_out,
        calls=job.calls,
        casts=copied.casts if copied else (),
        not_cast=job.plan.not_cast,
        resized=job.resizing.tables,
        dequantised=job.dequantising.weights,
        in_parts=job.in_parts,
        proof=proven.proof if proven else None,
        sidecar=None if state == NOT_WRITTEN else job.options.sidecar,
        receipt=None if state == NOT_WRITTEN else job.options.receipt,
    )


def _errors(found: Sequence[Finding]) -> bool:
    return any(one.severity is Severity.ERROR for one in found)
