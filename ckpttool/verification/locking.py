"""``lock()``: writing down what a release holds and computes, for ``verify()`` to compare."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Callable, Iterable, Mapping, NamedTuple, Sequence, Union

from ckpttool.files.publishing import head_at, try_files, write_files
from ckpttool.findings.arguments import check_day, path_of
from ckpttool.findings.errors import UsageError
from ckpttool.findings.results import NO_ITEMS
from ckpttool.models.families import AUTO
from ckpttool.tensors.sums import file_sums
from ckpttool.tensors.workers import enter
from ckpttool.verification.batch import given, inputs_of, one_for_all, report_on, same_for_all
from ckpttool.verification.controls import measure, passes
from ckpttool.verification.lock.content import (
    Lock,
    LockedCheckpoint,
    LockedFile,
    LockedForward,
    LockedTensor,
    name_from,
)
from ckpttool.verification.lock.reading import is_lock
from ckpttool.verification.options import Thresholds, VerifyOptions
from ckpttool.verification.policy import Policy, judge
from ckpttool.verification.run import verified

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from ckpttool.findings.arguments import AnyPath
    from ckpttool.findings.results import FileReport
    from ckpttool.inputs.paths import Input, Inputs
    from ckpttool.models.reference import Reference
    from ckpttool.tensors.workers import Progress
    from ckpttool.verification.batch import AnyPaths, ProgressOf, TermsOf
    from ckpttool.verification.evidence import Evidence
    from ckpttool.verification.weights import Weights

_HEAD = 200  # bytes, by which a lock file is known

#: The path of a lock that is not written: its checkpoints are named from the working folder.
UNWRITTEN = "-"


class Locking(NamedTuple):
    """One checkpoint on its way into a lock file.

    Attributes:
        report: its verification; what a policy makes of it decides whether it may be locked.
        locked: what to write; ``None`` if it could not be read to its end or was not accepted.
    """

    report: FileReport
    locked: LockedCheckpoint | None = None


def lock(
    paths: AnyPaths,
    destination: AnyPath | None = None,
    *,
    model: str = AUTO,
    sizes: Mapping[str, object] = NO_ITEMS,
    schema: Union[AnyPath, Reference, None] = None,
    example: str | None = None,
    require: str | None = None,
    forward: bool = True,
    device: str = "cpu",
    wrapper: str | None = None,
    expected_missing: Union[str, Iterable[str]] = (),
    allow_unexpected: Union[str, Iterable[str]] = (),
    groups: Mapping[str, Iterable[str]] = NO_ITEMS,
    limits: Thresholds = Thresholds(),  # noqa: B008 (a constant)
    trust: Union[str, Iterable[str]] = (),
    exclude: Union[str, Iterable[str]] = (),
    policy: Policy = Policy(),  # noqa: B008 (a constant)
    today: date | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Lock:
    """Write down what checkpoints hold and compute, for ``verify(lock=...)`` to compare with.

    Each is verified first; if one fails, nothing is written.

    Args:
        paths: files, folders and globs.
        destination: the lock file, from whose folder the checkpoints are named. It is replaced
            if it is one. ``None`` writes nothing, and names them from the working folder.
        model: the model that they are for, one of ``ckpttool.models.families.models()``; ``auto``
            for the one that each file is.
        sizes: sizes of it that are demanded: ``{"img_size": 448}``; the names are those of
            ``ckpttool.models.families.free_sizes()``.
        schema: what says which names, shapes and dtypes a file must have, in place of a model: the
            path of another checkpoint, a sharded index, a lock file, a receipt or a schema file, a
            ``config.json``, or what ``read_schema`` returned; ``"hf"`` for the ``config.json``
            beside each file; ``"none"`` for no such check at all.
        example: what the model of a schema from code is called with: ``package.module:inputs``,
            code that returns a tensor, a tuple, a dictionary of keywords, or a tuple and a
            dictionary.
        require: what a file must hold: ``full``, or the core of the model (``encoder``), which
            ``None`` is too.
        forward: whether to run the model; without, outputs will not be compared.
        device: where to run it, as torch names it.
        wrapper: the dotted key of the state dict to take; ``None`` to choose.
        expected_missing: patterns of names that a file may lack.
        allow_unexpected: patterns of names that a file may have beside those of the model.
        groups: parts of the model in which the tensors of a schema are counted, each with patterns
            of the names in it.
        limits: what the checks tolerate.
        trust: patterns of names whose code is trusted, ``mypackage.*`` say.
        exclude: patterns of files to leave out of folders.
        policy: which findings count, and from which severity on they fail a file.
        today: the day for waivers that expire; ``None`` for the current one.
        workers: threads that read; ``None`` for one per processor.
        executor: to run them, instead of own threads.
        progress: told how far the reading is, with a ``start`` for each file.

    Returns:
        What is locked, nothing if ``exit_code`` is not 0, and the report of the verification.

    Raises:
        UsageError: the destination exists and is no lock file, two checkpoints would have one
            name in it, or as for :func:`verify`.
        OutputError: the lock file cannot be written.
        CkpttoolError: the schema cannot be read.
        UnreadableError: there is one file alone, and it changed after it was verified.
    """
    options = VerifyOptions(
        model=model,
        sizes=sizes,
        require=require,
        forward=forward,
        device=device,
        wrapper=wrapper,
        workers=workers,
        executor=executor,
        limits=limits,
    )
    options = given(
        options,
        schema=schema,
        example=example,
        groups=groups,
        expected_missing=expected_missing,
        allow_unexpected=allow_unexpected,
        trust=trust,
    )
    terms, shown = same_for_all(options, policy), one_for_all(progress)
    check_day(today, "today")
    path = None if destination is None else path_of(destination, "the destination")
    return lock_found(inputs_of(paths, exclude, trust), path, terms, today or date.today(), shown)


def lock_found(
    found: Inputs, path: str | None, terms: TermsOf, today: date, progress: ProgressOf
) -> Lock:
    """Lock the files of a run, each with its own options, as :func:`lock` does."""
    replaced, cleaned = (False, ()) if path is None else _tried(path)
    name = path or UNWRITTEN
    _check_names(name, found.targets)
    locked: dict[str, LockedCheckpoint] = {}

    def examine(path: str, options: VerifyOptions, progress: Progress | None) -> FileReport:
        # judged before the controls are run, which are five more forward passes
        def accepted(report: FileReport) -> bool:
            return judge([report], terms(path).policy, today).exit_code == 0

        report, content = lock_file(path, name, options, accepted, progress)
        if content is not None:
            locked[path] = content
        return report

    report = report_on(found, terms, examine, today, progress)
    if report.exit_code:
        return Lock(name, (), report, cleaned=cleaned)
    # each of them passed, and what passes and cannot be locked is an error of lock_file
    done = Lock(name, tuple(locked[file.path] for file in report.files), report)
    if path is None:
        return done
    cleaned += write_files({path: done.text.encode("ascii")}, sync=True)
    return done._replace(replaced=replaced, cleaned=cleaned)


def _tried(path: str) -> tuple[bool, tuple[str, ...]]:
    """Refuse what cannot be written or is no lock file, before any weight is read.

    Returns:
        Whether there is a lock file, and what was cleaned up.
    """
    head = head_at(path, _HEAD)
    # -o with a checkpoint's name by mistake must not overwrite it
    if head is not None and not is_lock(head):
        raise UsageError(
            "the existing file is not a lock file", path=path, fix="Name another file."
        )
    return head is not None, try_files(path)


def _check_names(lock: str, found: Sequence[Input]) -> None:
    """Refuse two checkpoints with one name in the lock file: one would hide the other."""
    paths: dict[str, str] = {}
    for target in found:
        name = name_from(lock, target.path)
        if name in paths:
            raise UsageError(
                f"the lock file would call it {name}, as it does {paths[name]}",
                path=target.path,
                fix="Put the lock file into a folder that both lie in, or lock them one by one.",
            )
        paths[name] = target.path


def lock_file(
    path: str,
    lock: str,
    options: VerifyOptions,
    accepted: Callable[[FileReport], bool],
    progress: Progress | None = None,
) -> Locking:
    """Verify one checkpoint and, if it is accepted, return its entry in a lock file.

    Args:
        path: the checkpoint.
        lock: the lock file's path, which the checkpoint is named relative to.
        options: as for verification; a lock in them is ignored.
        accepted: whether a checkpoint with this report may be locked.
        progress: is told how far the reading is.

    Raises:
        UsageError: as :func:`ckpttool.verification.run.verify_file`; also if it was accepted and
            has a tensor of a kind that is not read.
        UnreadableError: the file changed after it was verified.
    """
    with verified(path, options._replace(lock=None, fingerprint=True), progress) as (
        report,
        evidence,
    ):
        if evidence is None or not accepted(report):
            return Locking(report)
        if evidence.weights is None or evidence.weights.fingerprint is None:
            raise UsageError("not every tensor was read, so that it cannot be locked", path=path)
        return Locking(report, _locked(evidence, evidence.weights, lock, options, progress))


def _locked(
    evidence: Evidence,
    weights: Weights,
    lock: str,
    options: VerifyOptions,
    progress: Progress | None,
) -> LockedCheckpoint:
    checkpoint = evidence.checkpoint
    # a model of somebody's code has no controls, against which a distance would count
    known = evidence.forward.status == "run" and evidence.family.forward is not None
    forward = _forward(evidence, progress) if known else None
    sums = file_sums(checkpoint.sources, workers=options.workers, executor=options.executor)
    locked = LockedCheckpoint(
        name_from(lock, checkpoint.path),
        weights.fingerprint or "",
        evidence.coverage.schema,
        tuple(
            LockedFile(name_from(lock, source.name), source.size, sha256)
            for source, sha256 in zip(checkpoint.sources, sums)
        ),
        forward,
        {
            name: LockedTensor(info.dtype.name, info.shape, weights.digests[name])
            for name, info in sorted(weights.tensors.items())
        },
    )
    checkpoint.check_unchanged()
    return locked


def _forward(evidence: Evidence, progress: Progress | None) -> LockedForward:
    config, tensors = evidence.config, evidence.canonical.tensors
    enter(progress, "controls of")
    if progress:
        progress.start(passes(evidence.family, config, tensors) * evidence.checkpoint.size)

    def passed() -> None:
        if progress:
            progress.advance(evidence.checkpoint.size)

    right = evidence.forward
    found = measure(evidence.family, config, tensors, right, passed)
    return LockedForward(
        right.scope or evidence.family.core,
        right.kept,
        right.outputs,
        found.rounding,
        found.tolerance,
        found.controls,
    )
