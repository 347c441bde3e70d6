"""What a header says of a file, which every command begins with, and the listing of ``inspect``.

Only headers and the pickle are read, no tensor's bytes, and numpy is not loaded.
"""

from __future__ import annotations

from itertools import zip_longest
from math import prod
from shlex import quote
from typing import TYPE_CHECKING, Any, Iterable, Iterator, Union

from ckpttool.files import collecting
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
from ckpttool.findings.listing import (
    TRUSTED,
    EntryRow,
    Listing,
    ReferenceRow,
    SettingRow,
    TensorRow,
    UnreadRow,
    UseRow,
    WrapperRow,
)
from ckpttool.findings.private_text import MAX_TEXT, is_secret, masked
from ckpttool.findings.results import Diagnosis, FileReport
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
from ckpttool.formats.state_dicts.settings import settings_of
from ckpttool.models.canonical import canonicalize, layout_of
from ckpttool.models.diagnosis import diagnose_header
from ckpttool.models.neighbours import neighbour_of
from ckpttool.tensors.sharing import tied_groups

if TYPE_CHECKING:
    from ckpttool.tensors.catalogue import Checkpoint, Outside, TensorInfo

# Items of a long list in one finding: more would hide the other findings.
_SHOWN = 20
# Characters of a setting that are shown.
_LONGEST = 400
# The most bytes that a single number has (complex128).
_NUMBER = 16


def inspect(
    path: AnyPath, *, wrapper: str | None = None, trust: Union[str, Iterable[str]] = ()
) -> Listing:
    """List what a checkpoint holds, or report why it cannot be read.

    Args:
        path: the file.
        wrapper: the dotted key of the state dict to take; ``None`` to choose.
        trust: patterns of names whose code is trusted, for example ``mypackage.*``.

    Returns:
        The listing. Its verdict is PASS if the file could be read, which says nothing about the
        weights; FAIL if it is malformed or loading it calls unknown code.

    Raises:
        UsageError: there is no state dict under ``wrapper``, or an argument is not valid.
    """
    path, trust = path_of(path), trusted_of(trust, "trust")
    try:
        with open_checkpoint(path, wrapper=wrapper) as checkpoint, collecting.paused():
            return _listing(path, checkpoint, trust)
    except CkpttoolError as error:
        return Listing(stopped(FileReport(path, Verdict.CANNOT_TELL, ()), error, trust))


def _listing(path: str, checkpoint: Checkpoint, trust: tuple[str, ...]) -> Listing:
    report = container_report(path, checkpoint, trust)
    return Listing(
        report._replace(diagnosis=_diagnosis(checkpoint, report.layout)),
        tuple(_tensor_rows(checkpoint.tensors.values())),
        tuple(WrapperRow(*wrapper) for wrapper in checkpoint.wrappers),
        checkpoint.outside,
        tuple(_entry_rows(checkpoint)),
        _references(checkpoint, trust),
        tuple(UseRow(use.use.value, *use[1:6], is_trusted(use, trust)) for use in checkpoint.uses),
        tuple(_unread_rows(checkpoint)),
        checkpoint.metadata,
        tied_groups(checkpoint.tensors),
        tuple(SettingRow(one.key, _shown(*one)) for one in settings_of(checkpoint).values()),
        neighbour_of({name: info.shape for name, info in checkpoint.tensors.items()}),
    )


def _entry_rows(checkpoint: Checkpoint) -> Iterator[EntryRow]:
    # an index of shards has entries without nodes
    for entry, node in zip_longest(checkpoint.entries, checkpoint.aside):
        row = EntryRow(*entry)
        # more people read a listing than may know a secret
        shown = _shown(entry.key, node) if type(node) is str else node
        yield row if shown is node else row._replace(summary=str(shown)[:_LONGEST])


def _shown(key: str, value: Any) -> Any:
    """Return a value as it may be shown: a credential masked, a long text cut."""
    if isinstance(value, tuple):
        return tuple(_shown(key, item) for item in value)
    if not isinstance(value, str):
        return value
    if is_secret(key, value[:MAX_TEXT]):
        return masked(value[:MAX_TEXT])
    return value if len(value) <= _LONGEST else f"{value[:_LONGEST]}... ({len(value):,} characters)"


def _unread_rows(checkpoint: Checkpoint) -> Iterator[UnreadRow]:
    known = {one.name: one for one in checkpoint.in_parts}
    for name, reason in checkpoint.unread:
        one = known.get(name)
        if one is None:
            yield UnreadRow(name, reason)
        else:
            parts = tuple(_tensor_rows(one.parts))
            yield UnreadRow(
                name, reason, one.cls, one.dtype, one.shape, one.facts, parts, one.closed, one.text
            )


def _tensor_rows(tensors: Iterable[TensorInfo]) -> Iterator[TensorRow]:
    for name, dtype, shape, *_ in tensors:
        nbytes = prod(shape) * dtype.bits // 8  # TensorInfo.nbytes
        # not by the class: its __new__ takes as long again
        yield tuple.__new__(TensorRow, (name, dtype.name, shape, nbytes))


def _references(checkpoint: Checkpoint, trust: tuple[str, ...]) -> tuple[ReferenceRow, ...]:
    # In the order of Use, from harmless to worst: of several uses of a name, the worst is shown.
    kinds = {
        use.name: TRUSTED if is_trusted(use, trust) else use.use.value
        for kind in Use
        for use in checkpoint.uses
        if use.use is kind
    }
    # Pickles of protocol 2 have Python 2's names for builtins; uses are under Python 3's.
    return tuple(
        ReferenceRow(str(one), kinds.get(str(python3(one.module, one.name)), "data"), one.offset)
        for one in checkpoint.references
    )


# --- what a report says of the container -------------------------------------------------


def with_container(report: FileReport, checkpoint: Checkpoint, layout: str | None) -> FileReport:
    """Return the report with what the container says, and the naming convention."""
    return report._replace(
        format=checkpoint.format,
        size=checkpoint.size,
        wrapper=checkpoint.wrapper,
        layout=layout,
        tensors=len(checkpoint.tensors),
        parameters=checkpoint.parameters,
    )


def container_report(path: str, checkpoint: Checkpoint, trust: tuple[str, ...] = ()) -> FileReport:
    """Return a report on the container alone: FAIL where loading the file calls unknown code."""
    findings = (
        *findings_on(checkpoint.uses, trust),
        *_beyond_default(checkpoint),
        *checkpoint.remarks,
    )
    report = FileReport(path, verdict_of(findings), findings)
    return with_container(report, checkpoint, layout_of(checkpoint.tensors))


def _beyond_default(checkpoint: Checkpoint) -> list[Finding]:
    if checkpoint.format == "torch-distributed":  # not loaded by torch.load
        return []
    return findings_beyond_default(checkpoint.references, checkpoint.uses)


def _diagnosis(checkpoint: Checkpoint, layout: str | None) -> Diagnosis | None:
    """Return what a file of a known family is; of others the listing has what is known."""
    if layout is None:
        return None
    return diagnose_header(checkpoint, canonicalize(checkpoint.tensors))


def stopped(report: FileReport, error: CkpttoolError, trust: tuple[str, ...] = ()) -> FileReport:
    """Return the report on a file whose reading stopped with an error, its calls first.

    Raises:
        UsageError: the error, if it is a caller's mistake and the file calls nothing.
    """
    # A caller's mistake, such as a missing wrapper, must not hide that the file calls unknown code.
    before = findings_before(error, trust)
    if isinstance(error, UsageError):
        if verdict_of(before) is Verdict.PASS:
            raise error
        unchecked = f"everything else: {error.detail()}"
        return report._replace(verdict=Verdict.FAIL, findings=before, unchecked=(unchecked,))
    return with_error(report, error, trust)


def with_error(report: FileReport, error: CkpttoolError, trust: tuple[str, ...] = ()) -> FileReport:
    """Return the report on a file whose reading stopped, with any error as a finding."""
    # A caller's mistake too: in a run over several files, it must not stop the others' results.
    before = findings_before(error, trust)
    return report._replace(
        verdict=verdict_from(error, before),
        findings=(*before, finding_from(error)),
        unchecked=("everything else, because of this error",),
    )


# --- what was not taken ------------------------------------------------------------------


def state_dicts_not_taken(checkpoint: Checkpoint, what: str) -> Iterator[Finding]:
    """Warn that one of several state dicts was taken.

    Args:
        checkpoint: the file.
        what: what was not done with the others, for example ``not looked at``.
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
    """Warn of tensors that are no optimizer's and lie in no state dict; ``what`` as above."""
    # Those of other state dicts are in the finding of state_dicts_not_taken.
    others = {wrapper.key for wrapper in checkpoint.wrappers[1:]}
    loose = [row for row in checkpoint.outside if row.key not in others]
    if loose:
        # Single numbers, such as a step count or a temperature, are no weights.
        numbers = all(row.of_attributes or row.nbytes <= _NUMBER * row.tensors for row in loose)
        yield finding(
            rules.OUTSIDE,
            f"tensors outside of the state dict were {what}: {listed_rows(checkpoint, loose)}",
            severity=Severity.NOTE if numbers else None,
        )


def most_outside(checkpoint: Checkpoint) -> tuple[int, int] | None:
    """Return the bytes of tensors that were taken, and outside of them, if these are more."""
    # An average is as large as the weights, so it would make every file with one doubtful.
    rest = [row for row in checkpoint.outside if not (row.is_average or row.of_attributes)]
    taken = sum(info.nbytes for info in checkpoint.tensors.values()) if rest else 0
    taken += checkpoint.unread_bytes  # in the right state dict, though they cannot be converted
    left = sum(row.nbytes for row in rest)
    return (taken, left) if left > taken else None


def listed_rows(checkpoint: Checkpoint, rows: list[Outside]) -> str:
    """Return keys, numbers of tensors and bytes, and the class of a pickled object."""
    # Classes that every pickle has, so naming them would tell nothing.
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
    # Where the root is one of them, --wrapper '' means that one and not all.
    if "" in (taken, *others):
        return way
    return f"{way}, or take all of them, their keys before the names, with --wrapper ''"


def _amount(tensors: int, nbytes: int) -> str:
    return f"{count(tensors, 'tensor')}, {size(nbytes)}" if nbytes else count(tensors, "tensor")


def _quoted(key: str) -> str:
    return f"'{key}'" if key else "the root"
