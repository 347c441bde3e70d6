"""What a header says: the facts that every command begins with, and the listing of ``inspect``.

Headers and the pickle alone are read, no tensor's bytes, and numpy is not loaded.
"""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING, Iterable, Iterator, Union

from ckpttool.findings import rules
from ckpttool.findings.arguments import AnyPath, path_of, trusted_of
from ckpttool.findings.errors import CkpttoolError, UsageError
from ckpttool.findings.finding import (
    Finding,
    Verdict,
    finding,
    finding_from,
    verdict_from,
    verdict_of,
)
from ckpttool.findings.listing import TRUSTED, EntryRow, Listing, ReferenceRow, TensorRow, UseRow
from ckpttool.findings.results import FileReport
from ckpttool.findings.rules import Severity
from ckpttool.findings.text import count, size, some_of
from ckpttool.findings.uses import Use
from ckpttool.formats import open_checkpoint
from ckpttool.formats.safety.known_names import python3
from ckpttool.formats.safety.telling import (
    findings_before,
    findings_beyond_default,
    findings_on,
    is_trusted,
)
from ckpttool.models.canonical import canonicalize
from ckpttool.tensors.sharing import find_sharing

if TYPE_CHECKING:
    from ckpttool.tensors.catalogue import Checkpoint, Outside

# What is listed of a long list in one finding.
_SHOWN = 20
# Bytes of a number.
_NUMBER = 16


def inspect(
    path: AnyPath, *, wrapper: str | None = None, trust: Union[str, Iterable[str]] = ()
) -> Listing:
    """List what a checkpoint holds, or say what is wrong with it.

    Args:
        path: the file.
        wrapper: the dotted key of the state dict to take; ``None`` to choose.
        trust: patterns of names whose code is trusted, ``mypackage.*`` say.

    Returns:
        The listing. Its verdict is PASS where the file could be read, which says nothing about
        the weights; FAIL where it is malformed or loading it calls code that is not known.

    Raises:
        UsageError: there is no state dict under ``wrapper``, or an argument is none that there is.
    """
    path, trust = path_of(path), trusted_of(trust, "trust")
    try:
        with open_checkpoint(path, wrapper=wrapper) as checkpoint:
            return _listing(path, checkpoint, trust)
    except CkpttoolError as error:
        known = FileReport(path, Verdict.CANNOT_TELL, ())
        return Listing(stopped(known, error, trust))


def _listing(path: str, checkpoint: Checkpoint, trust: tuple[str, ...]) -> Listing:
    return Listing(
        facts_of(path, checkpoint, trust),
        tuple(
            TensorRow(info.name, info.dtype.name, info.shape, info.nbytes)
            for info in checkpoint.tensors.values()
        ),
        tuple((wrapper.key, wrapper.tensors) for wrapper in checkpoint.wrappers),
        checkpoint.outside,
        tuple(EntryRow(*entry) for entry in checkpoint.entries),
        _references(checkpoint, trust),
        tuple(UseRow(use.use.value, *use[1:6], is_trusted(use, trust)) for use in checkpoint.uses),
        checkpoint.unread,
        checkpoint.metadata,
        find_sharing(checkpoint.tensors).groups,
    )


def _references(checkpoint: Checkpoint, trust: tuple[str, ...]) -> tuple[ReferenceRow, ...]:
    kinds = {
        use.name: TRUSTED if is_trusted(use, trust) else use.use.value
        for kind in Use
        for use in checkpoint.uses
        if use.use is kind
    }
    return tuple(
        ReferenceRow(str(one), kinds.get(str(python3(one.module, one.name)), "data"), one.offset)
        for one in checkpoint.references
    )


# --- the facts of a report ---------------------------------------------------------------


def with_facts(known: FileReport, checkpoint: Checkpoint, layout: str | None) -> FileReport:
    """Return ``known`` with the container's facts and the naming convention."""
    return known._replace(
        format=checkpoint.format,
        size=checkpoint.size,
        wrapper=checkpoint.wrapper,
        layout=layout,
        tensors=len(checkpoint.tensors),
        parameters=checkpoint.parameters,
    )


def facts_of(path: str, checkpoint: Checkpoint, trust: tuple[str, ...] = ()) -> FileReport:
    """Return a report of the facts alone: FAIL where loading the file calls unknown code."""
    findings = (
        *findings_on(checkpoint.uses, trust),
        *findings_beyond_default(checkpoint.references, checkpoint.uses),
        *checkpoint.remarks,
    )
    known = FileReport(path, verdict_of(findings), findings)
    return with_facts(known, checkpoint, canonicalize(checkpoint.tensors).layout)


def stopped(known: FileReport, error: CkpttoolError, trust: tuple[str, ...] = ()) -> FileReport:
    """Return what is known of a file whose reading was stopped, its calls first.

    A caller's mistake, a wrapper that is not there say, does not hide that a file calls unknown
    code.

    Raises:
        UsageError: the error, if it is a caller's mistake and the file calls nothing.
    """
    before = findings_before(error, trust)
    if isinstance(error, UsageError):
        if verdict_of(before) is Verdict.PASS:
            raise error
        unchecked = f"everything else: {error.detail()}"
        return known._replace(verdict=Verdict.FAIL, findings=before, unchecked=(unchecked,))
    return with_error(known, error, trust)


def with_error(known: FileReport, error: CkpttoolError, trust: tuple[str, ...] = ()) -> FileReport:
    """Return what is known of a file whose reading was stopped, with the error as a finding.

    A caller's mistake is a finding too: of several files, one must not keep the others' results
    from being told.
    """
    before = findings_before(error, trust)
    return known._replace(
        verdict=verdict_from(error, before),
        findings=(*before, finding_from(error)),
        unchecked=("everything else, because of this error",),
    )


# --- what was not taken ------------------------------------------------------------------


def state_dicts_not_taken(checkpoint: Checkpoint, what: str) -> Iterator[Finding]:
    """Warn that one of several state dicts was taken.

    Args:
        checkpoint: the file.
        what: what was not done with the others: ``not looked at``, say.
    """
    if len(checkpoint.wrappers) < 2:
        return
    taken, *others = checkpoint.wrappers
    nbytes = {row.key: row.nbytes for row in checkpoint.outside}
    listed = [
        f"{_quoted(other.key)} ({_amount(other.tensors, nbytes.get(other.key, 0))})"
        for other in others
    ]
    yield finding(
        rules.WRAPPER_CHOICE,
        f"the state dict under {_quoted(taken.key)} was taken; {what}: {some_of(listed, _SHOWN)}",
        fix=f"{way_to_others(checkpoint)}.",
    )


def tensors_not_taken(checkpoint: Checkpoint, what: str) -> Iterator[Finding]:
    """Warn of tensors that are no optimizer's and lie in no state dict; see above for ``what``."""
    loose = outside_of_state_dicts(checkpoint)
    if loose:
        numbers = all(row.nbytes <= _NUMBER * row.tensors for row in loose)
        yield finding(
            rules.OUTSIDE,
            f"tensors outside of the state dict were {what}: {listed_rows(checkpoint, loose)}",
            severity=Severity.NOTE if numbers else None,
        )


def outside_of_state_dicts(checkpoint: Checkpoint) -> list[Outside]:
    """Return the tensors outside of what was taken that no other state dict has."""
    others = {wrapper.key for wrapper in checkpoint.wrappers[1:]}
    return [row for row in checkpoint.outside if row.key not in others]


def listed_rows(checkpoint: Checkpoint, rows: list[Outside]) -> str:
    """Return keys, numbers of tensors and bytes, and of a pickled object its class."""
    plain = {"dict", "list", "tuple", "tensor"}
    kinds = {entry.key: entry.kind for entry in checkpoint.entries if entry.kind not in plain}
    listed = [
        f"{_quoted(row.key)} ({_amount(row.tensors, row.nbytes)}"
        + (f", in an object of {kinds[row.key]})" if row.key in kinds else ")")
        for row in rows
    ]
    return some_of(listed, _SHOWN)


def way_to_others(checkpoint: Checkpoint) -> str:
    """Return how to take another of several state dicts, or all of them at once."""
    taken, *others = (wrapper.key for wrapper in checkpoint.wrappers)
    way = f"Name another with --wrapper, {quote(others[0])} for example"
    # the root is a state dict itself, or what holds all of them
    if "" in (taken, *others):
        return way
    return f"{way}, or take all of them, their keys before the names, with --wrapper ''"


def _amount(tensors: int, nbytes: int) -> str:
    return f"{count(tensors, 'tensor')}, {size(nbytes)}" if nbytes else count(tensors, "tensor")


def _quoted(key: str) -> str:
    return f"'{key}'" if key else "the root"
