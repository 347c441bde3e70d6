"""Verifying one file: open, read in the background, compare with the model, check, sum up.

Reading the bytes and importing torch take about the same time, so they run in parallel.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from threading import Thread
from typing import TYPE_CHECKING, Iterator, Mapping

from ckpttool.findings import rules
from ckpttool.findings.arguments import check_executor, check_workers
from ckpttool.findings.errors import CkpttoolError, UnsupportedError, adding_uses
from ckpttool.findings.finding import Verdict
from ckpttool.findings.results import FileReport
from ckpttool.formats import open_checkpoint
from ckpttool.inspection.container import stopped, with_container
from ckpttool.models.canonical import canonicalize
from ckpttool.models.choosing import Judged, choose, hold, said_of
from ckpttool.models.family import Kind
from ckpttool.models.neighbours import neighbour_of
from ckpttool.models.reference import NONE, as_they_stand
from ckpttool.tensors.workers import enter, processors, quick_switches
from ckpttool.verification.checks.positions import shown_grid
from ckpttool.verification.conclusion import conclude
from ckpttool.verification.evidence import Evidence
from ckpttool.verification.forward import forward_of, forward_of_code
from ckpttool.verification.not_finite import first_not_finite
from ckpttool.verification.options import VerifyOptions
from ckpttool.verification.parts import parts_to_read, seen_in, split
from ckpttool.verification.pictures import pictures_of
from ckpttool.verification.published import origin_of
from ckpttool.verification.quantized_file import as_in, quantized_file
from ckpttool.verification.release_files import read_release_files
from ckpttool.verification.schema_sources import reference_for
from ckpttool.verification.weights import recorded_in, weights_of

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from ckpttool.findings.arguments import AnyPath
    from ckpttool.findings.results import Coverage
    from ckpttool.models.canonical import Canonical
    from ckpttool.models.family import Family
    from ckpttool.models.reference import Reference
    from ckpttool.tensors.catalogue import Checkpoint
    from ckpttool.tensors.workers import Progress
    from ckpttool.verification.lock.content import Lock, LockedCheckpoint
    from ckpttool.verification.published import Origin
    from ckpttool.verification.quantized_file import QuantizedFile
    from ckpttool.verification.weights import Renaming, Weights


def fingerprint(
    path: AnyPath,
    *,
    wrapper: str | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
) -> str:
    """Return the fingerprint of a checkpoint's weights, the same in any container.

    It is the one that ``verify --fingerprint`` reports; ``docs/fingerprint.md`` defines it.

    Args:
        path: the file.
        wrapper: the dotted key of the state dict to take; ``None`` to choose.
        workers: threads that read; ``None`` for one per processor.
        executor: to run them, instead of own threads.

    Raises:
        UsageError: an argument has a value that is not allowed, or there is no state dict under
            ``wrapper``.
        CkpttoolError: the file cannot be read, or a tensor of it is of a kind that is not read.
    """
    check_workers(workers)
    check_executor(executor)
    from ckpttool.tensors.values import start_values  # late: numpy

    with open_checkpoint(path, wrapper=wrapper) as checkpoint:
        canonical = canonicalize(checkpoint.tensors)
        with start_values(canonical.tensors, (), workers=workers, executor=executor) as run:
            values = run.result()
        checkpoint.check_unchanged()
        weights = weights_of(checkpoint, canonical, values, workers=workers, executor=executor)
        if weights is None or weights.fingerprint is None:
            unread = [*values.skipped, *(name for name, _ in checkpoint.unread)]
            raise UnsupportedError(
                "a tensor is not read" if unread else "there is no tensor in it",
                rules.UNSUPPORTED,
                path=checkpoint.path,
                tensor=unread[0] if unread else None,
            )
        return weights.fingerprint


def verify_file(path: str, options: VerifyOptions, progress: Progress | None = None) -> FileReport:
    """Verify one checkpoint and report on it, whatever is wrong with the file.

    Args:
        path: the file.
        options: what to verify.
        progress: is told how far the reading is.

    Raises:
        UsageError: the model, the wrapper or the device does not exist.
    """
    with verified(path, options, progress) as (report, _):
        return report


@contextmanager
def verified(
    path: str, options: VerifyOptions, progress: Progress | None = None
) -> Iterator[tuple[FileReport, Evidence | None]]:
    """Verify one checkpoint and keep it open. Arguments and errors as in :func:`verify_file`.

    Yields:
        The report and its evidence; ``None`` if the file could not be read to its end.
    """
    options.check()
    known = FileReport(path, Verdict.CANNOT_TELL, ())
    evidence: Evidence | None = None
    with ExitStack() as stack:
        try:
            checkpoint = stack.enter_context(open_checkpoint(path, wrapper=options.wrapper))
            known = with_container(known, checkpoint, None)
            with adding_uses(checkpoint.uses):
                reference = reference_for(path, options.reference)
                if reference is not None and options.groups is not None:
                    reference = options.groups.of(reference)
                if options.example is not None and options.forward:
                    options.example.inputs()  # a mistake in them is told before all is read
                canonical = _renaming(reference)(checkpoint.tensors)
                known = with_container(known, checkpoint, canonical.layout)
                evidence, origin = _examine(checkpoint, canonical, options, reference, progress)
            known = conclude(known, evidence, origin)
        except CkpttoolError as error:
            # known has the facts that were found before the error
            known, evidence = stopped(known, error, options.trust), None
        yield known, evidence


def _examine(
    checkpoint: Checkpoint,
    canonical: Canonical,
    options: VerifyOptions,
    reference: Reference | None,
    progress: Progress | None,
) -> tuple[Evidence, Origin | None]:
    """Read and compute everything that the checks need."""
    # numpy; whatever else takes time to import comes after the reading has begun
    from ckpttool.tensors.contents import same_contents
    from ckpttool.tensors.values import start_values

    release_files = read_release_files(checkpoint, options.release)
    quantized = quantized_file(checkpoint, canonical.tensors, release_files)
    said = said_of(checkpoint, release_files.config)
    renaming, judged = _renaming(reference), choose(canonical, options.model, options.sizes, said)
    other = None if options.asks else _other(judged, canonical, checkpoint, said.config)
    recognised = canonical
    if other is not None:
        # its names are its own, even where a known model has some of them
        judged, reference = other, NONE
        canonical, renaming = as_they_stand(checkpoint.tensors), as_they_stand
    elif reference is not None:
        judged = Judged(reference.family, reference.config, reference.name)
    family, config = judged.family, judged.config
    if reference is not None:
        family, config = reference.family, reference.config
    digests = options.fingerprint or options.lock is not None
    workers = options.workers
    runs = options.forward and reference is None
    if runs and not digests:  # importing torch takes longer, and a processor
        workers = workers or max(processors() - 1, 1)
    of_parts = parts_to_read(checkpoint.in_parts, canonical.tensors)
    with quick_switches(), ThreadPoolExecutor(1) as pool, start_values(
        {**canonical.tensors, **{key: part.info for key, part in of_parts.items()}}
        if of_parts
        else canonical.tensors,
        checkpoint.checksums,
        keep=tuple(family.tables),  # the checks compare them byte by byte
        digests=digests,
        workers=workers,
        executor=options.executor,
        progress=progress.advance if progress else None,
        twins=options.companion.twins(checkpoint) if options.companion else {},
        measure=options.stats,
    ) as run:
        if progress:
            progress.start(run.total)
        first = checkpoint.sources[0]
        origin = pool.submit(origin_of, first, family) if options.published else None
        recorded = recorded_in(checkpoint, canonical, renaming)
        if reference is None:
            judged, schema, coverage = hold(judged, canonical, checkpoint)
        else:
            schema = reference.schema
            coverage, quantized = _against(reference, canonical, recorded, quantized)
        if runs:
            _import_model(family)  # while the bytes are being read
        values, seen = split(run.result(), of_parts)
        grid = shown_grid(family, judged.config, values) if reference is None else None
        if grid is not None:  # shapes alone do not tell 12 x 16 patches from 16 x 12
            judged = choose(canonical, options.model, options.sizes, said._replace(grid=grid))
            judged, schema, coverage = hold(judged, canonical, checkpoint)
        contents = same_contents(
            canonical.tensors, values, workers=options.workers, executor=options.executor
        )
        enter(progress, "forward pass of")
        if reference is not None:
            forward = forward_of_code(
                reference,
                canonical,
                coverage,
                values,
                options,
                quantized=quantized.held is not None,
            )
        else:
            forward = forward_of(canonical, judged, schema, coverage, values, options)
            config = judged.config
        pictures = pictures_of(
            canonical, None if reference is not None else judged, forward, said, options
        )
        published = origin.result() if origin else None
        weights = weights_of(
            checkpoint, canonical, values, workers=options.workers, executor=options.executor
        )
        not_finite = first_not_finite(canonical.tensors, values.tensors)
        checkpoint.check_unchanged()  # what was read at different times is of one file
    evidence = Evidence(
        checkpoint=checkpoint,
        canonical=canonical,
        recognised=recognised,
        family=family,
        config=config,
        judged=judged,
        coverage=coverage,
        values=values,
        forward=forward,
        require=options.require or family.core,
        expected_missing=options.expected_missing,
        release_files=release_files,
        limits=options.limits,
        recorded=recorded,
        contents=contents,
        weights=weights,
        lock=options.lock,
        locked=_locked(checkpoint, options.lock, weights),
        trust=options.trust,
        asked=options.demanding,
        reference=reference,
        allow_unexpected=options.allow_unexpected,
        unknown=other is not None,
        quantized=quantized,
        companion=options.companion,
        example=options.example is not None,
        parts=seen_in(checkpoint.in_parts, of_parts, seen.tensors),
        pictures=pictures,
        not_finite=not_finite,
    )
    return evidence, published


def _other(
    judged: Judged,
    canonical: Canonical,
    checkpoint: Checkpoint,
    config: Mapping[str, object] | None,
) -> Judged | None:
    """Return what a file is that is of no model with a schema, before a weight of it is read."""
    if not canonical.tensors:
        return None
    found, _, coverage = hold(judged, canonical, checkpoint)
    # without a convention, the few names that are the same are so by chance
    other = coverage.unrelated or canonical.family is None or found.neighbour is not None
    if other or found.kind is Kind.BACKBONE:  # which is a part of another model
        return found if other else None
    known = found.family.config_file
    if (config or {}).get("model_type", known.model_type) in (known.model_type, *known.of_core):
        return None
    # all of this model is there, and more by which another is told, and the folder says so, too
    neighbour = neighbour_of({name: info.shape for name, info in checkpoint.tensors.items()})
    return None if neighbour is None else found._replace(neighbour=neighbour)


def _locked(
    checkpoint: Checkpoint, lock: Lock | None, weights: Weights | None
) -> LockedCheckpoint | None:
    if lock is None:
        return None
    return lock.of(checkpoint.path, None if weights is None else weights.fingerprint)


def _renaming(reference: Reference | None) -> Renaming:
    """Return what gives the tensors of a file the names of the model, or of the schema."""
    return canonicalize if reference is None else reference.canonical


def _against(
    reference: Reference,
    canonical: Canonical,
    recorded: Mapping[str, str],
    quantized: QuantizedFile,
) -> tuple[Coverage, QuantizedFile]:
    """Return the coverage of a schema that was named, and what that says of quantized weights."""
    # A schema does not say which of its names are tied: one that the file records as such is there.
    tensors = canonical.tensors
    tied = {name: tensors[kept] for name, kept in recorded.items()}
    held = as_in(reference.schema, {**tensors, **tied}, quantized.contents)
    coverage = reference.cover(held.tensors)
    if held.together:
        quantized = quantized._replace(unknown=held.unknown, held=held.tensors)
    return coverage, quantized


def _import_model(family: Family) -> None:
    """Import the model, and torch with it, on a thread of its own.

    CPython 3.11 maps memory whenever its stack of frames grows by another 16 KiB, and gives it
    back when it shrinks. An import goes up and down all the time; begun at an unlucky depth it
    crosses such a border 12,000 times, which takes 0.2 s. A new stack begins at the bottom.
    """
    failed: list[BaseException] = []

    def load() -> None:
        try:
            family.load()
        except BaseException as error:  # noqa: BLE001 (raised below)
            failed.append(error)

    # no future: a thread that dies for want of memory sets none, and would be waited for
    thread = Thread(target=load, name="ckpttool-import")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
