"""Checks on the numbers: those that no trained weight has, and those that were not read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator, Mapping, Sequence

from ckpttool.findings import rules
from ckpttool.findings.finding import Finding, finding
from ckpttool.findings.rules import Severity
from ckpttool.findings.text import count, short_percent, size, some_of
from ckpttool.formats.unfilled import is_unfilled
from ckpttool.tensors.places import tensors_in
from ckpttool.tensors.sharing import AMPLIFICATION_FACTOR, AMPLIFICATION_SLACK, AMPLIFIED
from ckpttool.verification.checks.spoilt import is_zero, models_own, mostly_lost
from ckpttool.verification.evidence import is_bias, is_matrix

if TYPE_CHECKING:
    from ckpttool.findings.rules import Rule
    from ckpttool.tensors.catalogue import TensorInfo
    from ckpttool.tensors.examining import TensorValues
    from ckpttool.verification.evidence import Evidence

_WORDS = {rules.NAN: "NaN", rules.INFINITE: "infinity"}
_NO_PLACE = "that the model has no place for "
_ONE_BY_ONE = 8  # findings of one rule that are reported tensor by tensor; the others share one


def check_not_finite(evidence: Evidence) -> Iterator[Finding]:
    """NaN and infinity, with how many and the share of the elements."""
    lost = mostly_lost(evidence)
    # where roles are not known, any tensor may be a mask
    may_be = evidence.outside() if evidence.has_roles else evidence.values.tensors
    masks = frozenset(name for name in may_be if _is_a_mask(evidence, name))
    for rule, what in ((rules.NAN, _nan), (rules.INFINITE, _infinite)):
        found = {
            name: what(values)
            for name, values in evidence.values.tensors.items()
            if what(values) and name not in masks and name not in evidence.judged_apart
        }
        ours = [name for name in found if name not in evidence.outside()]
        beside = [name for name in found if name in evidence.outside()]
        if rule.code in lost:
            yield _mostly(evidence, rule, found, ours)
        else:
            yield from _one_by_one(evidence, rule, found, ours, lost)
        if beside:  # a warning: the model does not compute with them
            yield finding(
                rule,
                f"{count(len(beside), 'tensor')} that the model has no place for: "
                f"{_share_of_all(evidence, rule, found, beside)}",
                severity=Severity.WARNING,
                tensors=beside,
            )
    if masks:
        yield finding(
            rules.INFINITE,
            f"{count(len(masks), 'tensor')} {_NO_PLACE if evidence.has_roles else ''}"
            f"{'holds' if len(masks) == 1 else 'hold'} infinity and one number, as masks do",
            severity=Severity.NOTE,
            tensors=[name for name in evidence.canonical.tensors if name in masks],
        )


def _nan(values: TensorValues) -> int:
    return values.nan


def _infinite(values: TensorValues) -> int:
    return values.infinite


def _is_a_mask(evidence: Evidence, name: str) -> bool:
    # an attention mask that is added: 0 where a token is seen, minus infinity where not
    values = evidence.values.tensors.get(name)
    return (
        values is not None
        and values.infinite > 0
        and values.nan == 0
        and values.minimum is not None
        and values.minimum == values.maximum
    )


def check_constant_weights(evidence: Evidence) -> Iterator[Finding]:
    """Weights of the model that are zero, or one other value, everywhere."""
    lost = mostly_lost(evidence)
    outside = evidence.outside()
    ours: dict[float | None, list[str]] = {}
    others: dict[bool, list[str]] = {True: [], False: []}  # by whether the value is zero
    for name, info in _floats(evidence):
        # a vector of one value is nothing unusual, however many axes it is stored with
        weighs = is_matrix(info) and not is_bias(evidence, name)
        if weighs and _is_constant(evidence, name):
            value = evidence.values.tensors[name].minimum
            names = others[value == 0] if name in outside else ours.setdefault(value, [])
            names.append(name)
    if rules.ALL_ZERO.code in lost:
        del ours[0]
        yield _mostly_zero(evidence)
    # An adapter begins at zero and scales may all be equal: without roles it is open what is wrong.
    severity = None if evidence.has_roles else Severity.WARNING
    for value, names in sorted(ours.items(), key=lambda one: one[0] != 0):
        zero = value == 0
        message = f"{count(len(names), 'weight')} zero everywhere"
        yield finding(
            rules.ALL_ZERO if zero else rules.CONSTANT,
            message if zero else f"every element is {value:.6g}",
            severity=severity,
            tensors=names,
            follows=lost,
        )
    for rule, theirs, what in (
        (rules.ALL_ZERO, others[True], "zero everywhere"),
        (rules.CONSTANT, others[False], "of one value each"),
    ):
        # a note: a mask, a buffer or a layer that begins at zero is constant on purpose
        if theirs:
            yield finding(
                rule,
                f"{count(len(theirs), 'tensor')} that the model has no place for {what}",
                severity=Severity.NOTE,
                tensors=theirs,
            )


def _mostly_zero(evidence: Evidence) -> Finding:
    # gains and biases too: what is lost is the file, and not some of its weights
    ours = list(models_own(evidence))
    names = [name for name, _, values in ours if is_zero(values)]
    return finding(
        rules.ALL_ZERO,
        f"{len(names):,} of {count(len(ours), 'tensor')} are zero everywhere: "
        "most of the model is not in this file",
        tensors=names,
    )


def check_everything_was_read(evidence: Evidence) -> Iterator[Finding]:
    """Tensors whose values were not looked at, by reason."""
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
        )
    for reason, names in by_reason.items():
        yield finding(
            rules.VALUES_NOT_READ,
            f"the values of {count(len(names), 'tensor')} were not examined: {reason}",
            tensors=names,
        )


def check_checksums(evidence: Evidence) -> Iterator[Finding]:
    """Stored CRC-32 sums that do not match, and records that were never filled."""
    if not evidence.values.bad_checksums:
        return
    extents = {one.member: one.extent for one in evidence.checkpoint.checksums}
    wrong = [extents[bad.member] for bad in evidence.values.bad_checksums]
    inside = tensors_in(evidence.canonical.tensors, wrong)
    unfilled, others = [], []
    for bad in evidence.values.bad_checksums:
        if is_unfilled(bad.expected, bad.found, extents[bad.member].length):
            unfilled.append(bad.member)
        else:
            others.append(bad)
    if unfilled:
        yield finding(
            rules.NEVER_FILLED,
            f"{count(len(unfilled), 'record')} never filled: zeros under a stored checksum of 0, "
            f"{some_of(unfilled, _ONE_BY_ONE)}",
            tensors=[name for member in unfilled for name in inside[extents[member]]],
        )
    for bad in others:
        names = inside[extents[bad.member]]
        theirs = f" of {count(len(names), 'tensor')}" if names else ""
        yield finding(
            rules.CHECKSUM,
            f"the bytes{theirs} in {bad.member} do not match their stored CRC-32",
            tensors=names,
            expected=f"{bad.expected:08x}",
            found=f"{bad.found:08x}",
        )


def _mostly(
    evidence: Evidence, rule: Rule, found: Mapping[str, int], names: Sequence[str]
) -> Finding:
    """Return the one finding on most of the model's tensors."""
    tensors = evidence.canonical.tensors
    whole = sum(found[name] == _numbers_in(tensors[name]) for name in names)
    some, what = len(names) - whole, _WORDS[rule]
    total = count(sum(1 for _ in models_own(evidence)), "tensor")
    if 2 * whole > len(names):
        message = f"{whole:,} of {total} are entirely {what}"
        message += ": the run diverged" if rule is rules.NAN else ""
        message += f"; {some:,} more {'holds' if some == 1 else 'hold'} some" if some else ""
    else:
        message = f"{len(names):,} of {total} hold {what}"
    return finding(rule, message, tensors=names)


def _one_by_one(
    evidence: Evidence,
    rule: Rule,
    found: Mapping[str, int],
    names: Sequence[str],
    follows: tuple[str, ...],
) -> Iterator[Finding]:
    for name in names[:_ONE_BY_ONE]:
        message = _share_of_all(evidence, rule, found, [name]) + _first(evidence, rule, name)
        yield finding(rule, message, tensors=[name], follows=follows)
    rest = names[_ONE_BY_ONE:]
    if rest:
        share = _share_of_all(evidence, rule, found, rest)
        message = f"{count(len(rest), 'tensor')} more: {share}"
        yield finding(rule, message, tensors=rest, follows=follows)


def _first(evidence: Evidence, rule: Rule, name: str) -> str:
    """Return where the first one is; nothing of a single number, or where nobody looked."""
    places = evidence.not_finite.get(name)
    index = places and (places.nan if rule is rules.NAN else places.infinite)
    return f", the first at [{', '.join(map(str, index))}]" if index else ""


def _share_of_all(
    evidence: Evidence, rule: Rule, found: Mapping[str, int], names: Sequence[str]
) -> str:
    elements = sum(_numbers_in(evidence.canonical.tensors[name]) for name in names)
    bad = sum(found[name] for name in names)
    share = short_percent(bad, elements)
    return f"{bad:,} of {count(elements, 'number')} ({share}): {_WORDS[rule]}"


def _numbers_in(info: TensorInfo) -> int:
    # NaN is counted in real and imaginary parts separately
    return info.numel * (2 if info.dtype.kind == "complex" else 1)


def _floats(evidence: Evidence) -> Iterator[tuple[str, TensorInfo]]:
    """Yield the floating tensors that were read."""
    # integers are tables and counters, which are often constant
    for name, info in evidence.canonical.tensors.items():
        mine = name in evidence.values.tensors and name not in evidence.judged_apart
        if info.dtype.kind == "float" and mine:
            yield name, info


def _is_constant(evidence: Evidence, name: str) -> bool:
    values = evidence.values.tensors[name]
    return (
        evidence.canonical.tensors[name].numel > 1  # a single element always is
        and values.minimum is not None
        and values.minimum == values.maximum
        and values.nan == values.infinite == 0
    )


def _why_not_examined(evidence: Evidence, name: str, info: TensorInfo) -> str | None:
    values = evidence.values.tensors.get(name)
    if values is None:
        return evidence.values.skipped.get(name, "they were not read")
    seen = values.minimum is not None or values.nan or values.infinite or info.numel == 0
    if seen or info.dtype.kind == "complex":  # complex numbers have no minimum
        return None
    return f"there are no statistics of {info.dtype.name}"
