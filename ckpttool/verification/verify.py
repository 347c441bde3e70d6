"""``verify()``: find the files, verify each, account for all, and judge. Never prints or exits."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import date
from typing import (
    TYPE_CHECKING,
    Callable,
    ContextManager,
    Iterable,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Union,
)

from ckpttool.findings.arguments import (
    AnyPath,
    check_day,
    check_progress,
    check_type,
    groups_of,
    path_of,
    paths_of,
    texts_of,
    trusted_of,
)
from ckpttool.findings.errors import UsageError
from ckpttool.findings.results import NO_ITEMS, ConfigurationFile, FileReport, Report
from ckpttool.inputs.accounting import account_for, examined, findings_on_run
from ckpttool.inputs.paths import Input, Inputs, SearchOptions, targets_of
from ckpttool.models.families import AUTO
from ckpttool.models.grouping import Groups
from ckpttool.tensors.workers import Progress
from ckpttool.verification.checks.locked import check_all_found
from ckpttool.verification.lock.content import Lock
from ckpttool.verification.lock.reading import read_lock
from ckpttool.verification.options import Thresholds, VerifyOptions
from ckpttool.verification.policy import Policy, judge
from ckpttool.verification.run import verify_file
from ckpttool.verification.schema_sources import expected_by

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from ckpttool.models.reference import Reference


class Terms(NamedTuple):
    """How a file is verified and judged; ``configuration`` is the file that says so, if any."""

    options: VerifyOptions = VerifyOptions()
    policy: Policy = Policy()
    configuration: ConfigurationFile | None = None


#: The terms of each file of a run, and of each folder that was searched, by its path.
TermsOf = Callable[[str], Terms]
#: Opens the progress of each file of a run, by its path.
ProgressOf = Callable[[str], ContextManager[Optional[Progress]]]
#: One path or several.
AnyPaths = Union[AnyPath, Iterable[AnyPath]]


def verify(
    paths: AnyPaths,
    *,
    model: str = AUTO,
    sizes: Mapping[str, object] = NO_ITEMS,
    schema: Union[AnyPath, Reference, None] = None,
    require: str | None = None,
    forward: bool = True,
    device: str = "cpu",
    published: bool = False,
    fingerprint: bool = False,
    wrapper: str | None = None,
    expected_missing: Union[str, Iterable[str]] = (),
    allow_unexpected: Union[str, Iterable[str]] = (),
    groups: Mapping[str, Iterable[str]] = NO_ITEMS,
    limits: Thresholds = Thresholds(),  # noqa: B008 (a constant)
    trust: Union[str, Iterable[str]] = (),
    exclude: Union[str, Iterable[str]] = (),
    lock: Union[AnyPath, Lock, None] = None,
    policy: Policy = Policy(),  # noqa: B008 (a constant)
    today: date | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Report:
    """Check the names, shapes and values of checkpoints, and what loading them would call.

    No configuration is read: what the command line takes from ``[tool.ckpttool]`` is passed here.

    Args:
        paths: files, folders and globs; a folder is searched, and every file in it accounted for.
        model: the model that they are for, one of ``ckpttool.models.families.models()``; ``auto``
            for the one that each file is.
        sizes: sizes of it that are demanded: ``{"img_size": 448}``; the names are those of
            ``ckpttool.models.families.free_sizes()``.
        schema: what says which names, shapes and dtypes a file must have, in place of a model: the
            path of another checkpoint, a sharded index, a lock file, a receipt or a schema file, a
            ``config.json``, or what ``read_schema`` returned; ``"hf"`` for the ``config.json``
            beside each file; ``"none"`` for no such check at all.
        require: what a file must hold: ``full``, or the core of the model (``encoder``), which
            ``None`` is too.
        forward: whether to run the model.
        device: where to run it, as torch names it.
        published: whether to compare each file with the published one of its name.
        fingerprint: whether to compute the fingerprints of the weights; with a lock, or a waiver
            that names one, they are computed anyway.
        wrapper: the dotted key of the state dict to take; ``None`` to choose.
        expected_missing: patterns of names that a file may lack.
        allow_unexpected: patterns of names that a file may have beside those of the model.
        groups: parts of the model in which the tensors of a schema are counted, each with patterns
            of the names in it; what none takes is counted by top-level modules, as it is without.
        limits: what the checks tolerate.
        trust: patterns of names whose code is trusted, ``mypackage.*`` say.
        exclude: patterns of files to leave out of folders.
        lock: the lock file to compare with, or its path.
        policy: which findings count, and from which severity on they fail a file.
        today: the day for waivers that expire; ``None`` for the current one.
        workers: threads that read; ``None`` for one a processor.
        executor: to run them, instead of own threads.
        progress: told how far the reading is, from ``start`` on anew for each file.

    Returns:
        The report. What is wrong with a file is a finding in it.

    Raises:
        UsageError: an argument has a value that is not allowed; or there is one file alone, and
            no state dict in it under ``wrapper``.
        CkpttoolError: the lock file or the schema cannot be read.
    """
    if lock is not None and not isinstance(lock, Lock):
        lock = read_lock(path_of(lock, "lock"))
    options = VerifyOptions(
        model=model,
        sizes=sizes,
        require=require,
        forward=forward,
        device=device,
        published=published,
        fingerprint=fingerprint,
        wrapper=wrapper,
        workers=workers,
        executor=executor,
        expected_missing=texts_of(expected_missing, "expected_missing"),
        allow_unexpected=texts_of(allow_unexpected, "allow_unexpected"),
        reference=None if schema is None else expected_by(schema),
        groups=Groups(groups_of(groups, "groups")) if groups else None,
        limits=limits,
        lock=lock,
        trust=trusted_of(trust, "trust"),
    )
    terms, shown = same_for_all(options, policy), one_for_all(progress)
    check_day(today, "today")
    return verify_found(inputs_of(paths, exclude, trust), terms, today or date.today(), shown)


def verify_found(found: Inputs, terms: TermsOf, today: date, progress: ProgressOf) -> Report:
    """Verify the files of a run, each with its own options, as :func:`verify` does."""
    return report_on(found, terms, verify_file, today, progress)


def same_for_all(options: VerifyOptions, policy: Policy) -> TermsOf:
    """Check the terms and return them for any path.

    Raises:
        UsageError: an option or a part of the policy has a value that is not allowed.
    """
    options.check()
    check_type(policy, Policy, "policy")
    terms = Terms(options, policy.check())
    return lambda _: terms


def one_for_all(progress: Progress | None) -> ProgressOf:
    """Check the progress and return it for any path."""
    check_progress(progress)
    return lambda _: nullcontext(progress)


def inputs_of(
    paths: AnyPaths, exclude: Union[str, Iterable[str]], trust: Union[str, Iterable[str]]
) -> Inputs:
    """Find the checkpoints of paths, at least one.

    Raises:
        UsageError: there is none, or a path has the wrong type.
    """
    chosen = SearchOptions(texts_of(exclude, "exclude"), trusted_of(trust, "trust"), whole=True)
    found = targets_of(paths_of(paths), choice=chosen)
    if not found.targets:
        raise UsageError("there is nothing to look at: no path was given", fix="Name a file.")
    return found


def report_on(
    found: Inputs,
    terms: TermsOf,
    examine: Callable[[str, VerifyOptions, Optional[Progress]], FileReport],
    today: date,
    progress: ProgressOf,
) -> Report:
    """Examine every checkpoint of a run, account for all of its files, and judge by the policies.

    Args:
        found: what the run is about.
        terms: how each is examined and judged.
        examine: reports on one file.
        today: the day for waivers that expire.
        progress: opens what is told how far a file is.
    """
    # all before the first file is read: a wrong configuration must not stop a run halfway
    own = {target: terms(target.path) for target in found.targets}
    of_folders = {folder: terms(folder) for folder in found.folders}
    # a lock file may be about any file of the run, under another name
    locked = any(one.options.lock for one in (*own.values(), *of_folders.values()))

    def look(target: Input) -> FileReport:
        options, waivers = own[target].options, own[target].policy.waivers
        known = locked or any(waiver.fingerprint is not None for waiver in waivers)
        options = options._replace(release=target.folder, fingerprint=options.fingerprint or known)
        with progress(target.path) as bar:
            return examine(target.path, options, bar)

    reports = examined(found, look, lambda report: report, lambda one: own[one].options.trust)
    each = list(own.values())
    files = [report._replace(configuration=one.configuration) for report, one in zip(reports, each)]
    # archives that are no checkpoints move to the inventory
    kept, inventory = account_for(found, files)
    files = [files[number] for number in kept]
    policies = [each[number].policy for number in kept]
    others = [one.policy for one in of_folders.values()]
    # of the files that changed, each one's own configuration counts, for checkpoints or not
    others += [terms(item.path).policy for item in found.items if found.may_be_empty]
    on_run = (
        *findings_on_run(found, inventory),
        *check_all_found(files, _locks(each, of_folders)),
    )
    return judge(files, policies, today, on_run, inventory, others)


def _locks(
    of_files: Sequence[Terms], of_folders: Mapping[str, Terms]
) -> list[tuple[Lock, list[str]]]:
    """Return each lock file with the folders that use it, or all where none does."""
    # by path, as every configuration that names a lock file has read it anew
    every = [*of_files, *of_folders.values()]
    locks = {one.options.lock.path: one.options.lock for one in every if one.options.lock}
    folders: dict[str, list[str]] = {path: [] for path in locks}
    for folder, one in of_folders.items():
        if one.options.lock:
            folders[one.options.lock.path].append(folder)
    return [(lock, folders[path] or list(of_folders)) for path, lock in locks.items()]
