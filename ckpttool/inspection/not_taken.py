"""Tensors of a file that a command did not take: those of other state dicts, and loose ones."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING, Iterator

from ckpttool.findings import rules
from ckpttool.findings.finding import Finding, finding
from ckpttool.findings.rules import Severity
from ckpttool.findings.text import count, size, some_of

if TYPE_CHECKING:
    from ckpttool.tensors.catalogue import Checkpoint, Outside

# Items of a long list in one finding: more would hide the other findings.
_SHOWN = 20
# The most bytes that a single number has (complex128).
_NUMBER = 16


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
