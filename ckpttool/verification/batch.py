"""The files of a run: found, each examined on its own terms, all accounted for and judged."""

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
    check_progress,
    check_type,
    groups_of,
    paths_of,
    texts_of,
    trusted_of,
)
from ckpttool.findings.errors import UsageError
from ckpttool.findings.results import ConfigurationFile, FileReport, Report
from ckpttool.inputs.accounting import account_for, examined, findings_on_run
from ckpttool.inputs.paths import Input, Inputs, SearchOptions, targets_of
from ckpttool.models.grouping import Groups
from ckpttool.tensors.workers import Progress
from ckpttool.verification.checks.locked import check_all_found
from ckpttool.verification.lock.content import Lock
from ckpttool.verification.options import VerifyOptions
from ckpttool.verification.policy import Policy, judge
from ckpttool.verification.schema_sources import example_of, expected_by

if TYPE_CHECKING:
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


def given(
    options: VerifyOptions,
    *,
    schema: Union[AnyPath, Reference, None],
    example: str | None,
    groups: Mapping[str, Iterable[str]],
    expected_missing: Union[str, Iterable[str]],
    allow_unexpected: Union[str, Iterable[str]],
    trust: Union[str, Iterable[str]],
) -> VerifyOptions:
    """Return options with what a caller gives in other forms: names, paths, one text for several.

    Raises:
        UsageError: one of them has a wrong type, or is code that is spelled wrongly.
        CkpttoolError: the schema cannot be read.
    """
    return options._replace(
        expected_missing=texts_of(expected_missing, "expected_missing"),
        allow_unexpected=texts_of(allow_unexpected, "allow_unexpected"),
        reference=None if schema is None else expected_by(schema),
        groups=Groups(groups_of(groups, "groups")) if groups else None,
        example=None if example is None else example_of(example),
        trust=trusted_of(trust, "trust"),
    )


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
    # by path, as every configuration that names a lock file has read it again
    every = [*of_files, *of_folders.values()]
    locks = {one.options.lock.path: one.options.lock for one in every if one.options.lock}
    folders: dict[str, list[str]] = {path: [] for path in locks}
    for folder, one in of_folders.items():
        if one.options.lock:
            folders[one.options.lock.path].append(folder)
    return [(lock, folders[path] or list(of_folders)) for path, lock in locks.items()]
