"""Checks on the numbers themselves: what no trained weight looks like, and what was not read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Iterator

from ckpttool.findings import rules
from ckpttool.findings.finding import Finding, finding
from ckpttool.findings.rules import Severity
from ckpttool.findings.text import count, size, some_of
from ckpttool.formats.unfilled import is_unfilled
from ckpttool.tensors.sharing import AMPLIFICATION_FACTOR, AMPLIFICATION_SLACK, AMPLIFIED
from ckpttool.verification.checks.meaning import layernorms, layernorms_are_initial
from ckpttool.verification.evidence import is_matrix

if TYPE_CHECKING:
    from ckpttool.findings.rules import Rule
    from ckpttool.tensors.catalogue import TensorInfo
    from ckpttool.tensors.values import TensorValues
    from ckpttool.verification.evidence import Evidence

# Findings of one rule that are told tensor by tensor; the others share one.
_ONE_BY_ONE = 8


def check_not_finite(evidence: Evidence) -> Iterator[Finding]:
    """NaN and infinity, with how many and the share of the elements."""
    masks = frozenset(name for name in evidence.outside() if _is_a_mask(evidence, name))
    yield from _counted(evidence, rules.NAN, "NaN", lambda values: values.nan)
    yield from _counted(evidence, rules.INFINITE, "infinity", lambda values: values.infinite, masks)
    if masks:
        yield finding(
            rules.INFINITE,
            f"{count(len(masks), 'tensor')} that the model has no place for "
            f"{'holds' if len(masks) == 1 else 'hold'} infinity and one number, as masks do",
            severity=Severity.NOTE,
            tensors=[name for name in evidence.canonical.tensors if name in masks],
        )


def _is_a_mask(evidence: Evidence, name: str) -> bool:
    values = evidence.values.tensors.get(name)
    return (
        values is not None
        and values.infinite > 0
        and values.nan == 0
        and values.minimum is not None
        and values.minimum == values.maximum
    )


def check_constant_weights(evidence: Evidence) -> Iterator[Finding]:
    """Weights of the model that are zero, or one other value, everywhere.

    Vectors may well be, however many axes they are stored with. Of what the model has no place
    for nobody knows what it is meant to be: together it is a note.
    """
    outside = evidence.outside()
    constant = [
        name for name, info in _floats(evidence) if is_matrix(info) and _is_constant(evidence, name)
    ]
    zero, other = (
        [name for name in constant if (evidence.values.tensors[name].minimum == 0) is wanted]
        for wanted in (True, False)
    )
    ours = [name for name in zero if name not in outside]
    if ours:
        message = f"{count(len(ours), 'weight')} zero everywhere"
        yield finding(rules.ALL_ZERO, message, tensors=ours)
    by_value: dict[object, list[str]] = {}
    for name in other:
        if name not in outside:
            by_value.setdefault(evidence.values.tensors[name].minimum, []).append(name)
    for value, names in by_value.items():
        yield finding(rules.CONSTANT, f"every element is {value:.6g}", tensors=names)
    for rule, names, what in (
        (rules.ALL_ZERO, zero, "zero everywhere"),
        (rules.CONSTANT, other, "of one value each"),
    ):
        theirs = [name for name in names if name in outside]
        if theirs:
            yield finding(
                rule,
                f"{count(len(theirs), 'tensor')} that the model has no place for {what}",
                severity=Severity.NOTE,
                tensors=theirs,
            )


def check_constant_vectors(evidence: Evidence) -> Iterator[Finding]:
    """Biases and gains of a single value, in one note.

    LayerNorms are left out where all of them are initial, for that is a finding of its own.
    """
    left_out = layernorms(evidence) if layernorms_are_initial(evidence) else ()
    found = [
        name
        for name, info in _floats(evidence)
        if not is_matrix(info) and _is_constant(evidence, name) and name not in left_out
    ]
    if found:
        outside = evidence.outside()
        initial = all(name not in outside and _is_as_initialised(evidence, name) for name in found)
        yield finding(
            rules.CONSTANT_VECTOR,
            f"{count(len(found), 'vector')} with a single value"
            + (": as initialised, not as trained" if initial else ""),
            tensors=found,
        )


def _is_as_initialised(evidence: Evidence, name: str) -> bool:
    """Whether the model begins with this value: biases with 0, the gains of LayerNorms with 1."""
    value = evidence.values.tensors[name].minimum
    begins = 0 if name.endswith(".bias") else 1 if evidence.family.is_layernorm(name) else None
    return value == begins


def check_everything_was_read(evidence: Evidence) -> Iterator[Finding]:
    """Tensors whose values nobody looked at, by reason."""
    by_reason: dict[str, list[str]] = {}
    amplified = []
    for name, info in evidence.canonical.tensors.items():
        reason = _why_not_examined(evidence, name, info)
        if reason == AMPLIFIED:
            amplified.append(name)
        elif reason is not None:
            by_reason.setdefault(reason, []).append(name)
    if amplified:
        yield finding(
            rules.AMPLIFICATION,
            f"{count(len(amplified), 'tensor')} not read: {AMPLIFIED}",
            tensors=amplified,
            expected=f"at most {AMPLIFICATION_FACTOR} times the bytes in the file and "
            f"{size(AMPLIFICATION_SLACK)}",
            found=size(sum(evidence.canonical.tensors[name].nbytes for name in amplified)),
            fix="Save contiguous copies: tensor.contiguous().clone().",
        )
    for reason, names in by_reason.items():
        yield finding(
            rules.VALUES_NOT_READ,
            f"the values of {count(len(names), 'tensor')} were not examined: {reason}",
            tensors=names,
        )


def check_checksums(evidence: Evidence) -> Iterator[Finding]:
    """Stored CRC-32 sums that the bytes do not have, and records that never got any bytes."""
    lengths = {one.member: one.extent.length for one in evidence.checkpoint.checksums}
    unfilled, others = [], []
    for bad in evidence.values.bad_checksums:
        if is_unfilled(bad.expected, bad.found, lengths[bad.member]):
            unfilled.append(bad.member)
        else:
            others.append(bad)
    if unfilled:
        yield finding(
            rules.NEVER_FILLED,
            f"{count(len(unfilled), 'record')} never filled: zeros under a stored checksum of 0, "
            f"{some_of(unfilled, _ONE_BY_ONE)}",
        )
    for bad in others:
        yield finding(
            rules.CHECKSUM,
            f"the bytes of {bad.member} do not match their stored CRC-32",
            expected=f"{bad.expected:08x}",
            found=f"{bad.found:08x}",
        )


def _counted(
    evidence: Evidence,
    rule: Rule,
    what: str,
    number: Callable[[TensorValues], int],
    besides: frozenset[str] = frozenset(),
) -> Iterator[Finding]:
    tensors = evidence.values.tensors
    found = {name: number(values) for name, values in tensors.items() if name not in besides}
    names = [name for name, bad in found.items() if bad]
    elements = {name: _numbers_in(evidence.canonical.tensors[name]) for name in names}
    for name in names[:_ONE_BY_ONE]:
        yield finding(rule, _share(found[name], elements[name], what), tensors=[name])
    rest = names[_ONE_BY_ONE:]
    if rest:
        bad, all_of_them = (sum(part[name] for name in rest) for part in (found, elements))
        message = f"{count(len(rest), 'tensor')} more: {_share(bad, all_of_them, what)}"
        yield finding(rule, message, tensors=rest)


def _numbers_in(info: TensorInfo) -> int:
    return info.numel * (2 if info.dtype.kind == "complex" else 1)


def _share(bad: int, elements: int, what: str) -> str:
    return f"{bad:,} of {count(elements, 'number')} ({100 * bad / elements:.3g} %): {what}"


def _floats(evidence: Evidence) -> Iterator[tuple[str, TensorInfo]]:
    """Yield the floating tensors that were read; a constant table of integers is nothing odd."""
    for name, info in evidence.canonical.tensors.items():
        if info.dtype.kind == "float" and name in evidence.values.tensors:
            yield name, info


def _is_constant(evidence: Evidence, name: str) -> bool:
    values = evidence.values.tensors[name]
    return (
        evidence.canonical.tensors[name].numel > 1
        and values.minimum is not None
        and values.minimum == values.maximum
        and values.nan == values.infinite == 0
    )


def _why_not_examined(evidence: Evidence, name: str, info: TensorInfo) -> str | None:
    values = evidence.values.tensors.get(name)
    if values is None:
        return evidence.values.skipped.get(name, "they were not read")
    seen = values.minimum is not None or values.nan or values.infinite or info.numel == 0
    if seen or info.dtype.kind == "complex":
        return None
    return f"only a digest is known of {info.dtype.name}"
