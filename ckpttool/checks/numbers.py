"""Checks on the numbers themselves: what no trained weight looks like, and what was not read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Iterator

from ckpttool import rules
from ckpttool.checks.meaning import is_layernorm, layernorms_are_initial
from ckpttool.findings import Finding, finding
from ckpttool.readings import AMPLIFICATION_FACTOR, AMPLIFICATION_SLACK, AMPLIFIED
from ckpttool.text import count, size

if TYPE_CHECKING:
    from ckpttool.checks.examined import Examined
    from ckpttool.rules import Rule
    from ckpttool.tensors import TensorInfo
    from ckpttool.values import TensorValues

# Findings of one rule that are told tensor by tensor; the others share one.
_ONE_BY_ONE = 8


def check_not_finite(examined: Examined) -> Iterator[Finding]:
    """NaN and infinity, with how many and the share of the elements."""
    yield from _counted(examined, rules.NAN, "NaN", lambda values: values.nan)
    yield from _counted(examined, rules.INFINITE, "infinity", lambda values: values.infinite)


def check_constant_weights(examined: Examined) -> Iterator[Finding]:
    """Weights of two and more axes that are zero, or one other value, everywhere."""
    weights = [name for name, info in _floats(examined) if len(info.shape) >= 2]
    constant = [name for name in weights if _is_constant(examined, name)]
    zero = [name for name in constant if examined.values.tensors[name].minimum == 0]
    fix = "Nothing was learnt or loaded here: look at how the checkpoint was made."
    if zero:
        yield finding(
            rules.ALL_ZERO,
            f"{count(len(zero), 'weight')} zero everywhere",
            tensors=zero,
            fix=fix,
        )
    for name in constant:
        value = examined.values.tensors[name].minimum
        if value != 0:
            message = f"every element is {value:.6g}"
            yield finding(rules.CONSTANT, message, tensors=[name], fix=fix)


def check_constant_vectors(examined: Examined) -> Iterator[Finding]:
    """Biases and gains of a single value, in one note.

    LayerNorms are left out where all of them are initial, for that is a finding of its own.
    """
    left_out = layernorms_are_initial(examined)
    found = [
        name
        for name, info in _floats(examined)
        if len(info.shape) == 1
        and _is_constant(examined, name)
        and not (left_out and is_layernorm(name))
    ]
    if found:
        yield finding(
            rules.CONSTANT_VECTOR,
            f"{count(len(found), 'vector')} with a single value: as initialised, not as trained",
            tensors=found,
        )


def check_everything_was_read(examined: Examined) -> Iterator[Finding]:
    """Tensors whose values nobody looked at, by reason."""
    by_reason: dict[str, list[str]] = {}
    amplified = []
    for name, info in examined.canonical.tensors.items():
        reason = _why_not_examined(examined, name, info)
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
            found=size(sum(examined.canonical.tensors[name].nbytes for name in amplified)),
            fix="Save contiguous copies: tensor.contiguous().clone().",
        )
    for reason, names in by_reason.items():
        yield finding(
            rules.VALUES_NOT_READ,
            f"the values of {count(len(names), 'tensor')} were not examined: {reason}",
            tensors=names,
        )


def check_checksums(examined: Examined) -> Iterator[Finding]:
    """Stored CRC-32 sums that the bytes do not have."""
    for bad in examined.values.bad_checksums:
        yield finding(
            rules.CHECKSUM,
            f"the bytes of {bad.member} do not match their stored CRC-32",
            expected=f"{bad.expected:08x}",
            found=f"{bad.found:08x}",
            fix="The file is damaged: copy or download it again.",
        )


def _counted(
    examined: Examined, rule: Rule, what: str, number: Callable[[TensorValues], int]
) -> Iterator[Finding]:
    found = {name: number(values) for name, values in examined.values.tensors.items()}
    names = [name for name, bad in found.items() if bad]
    elements = {name: _numbers_in(examined.canonical.tensors[name]) for name in names}
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


def _floats(examined: Examined) -> Iterator[tuple[str, TensorInfo]]:
    """Yield the floating tensors that were read; a constant table of integers is nothing odd."""
    for name, info in examined.canonical.tensors.items():
        if info.dtype.kind == "float" and name in examined.values.tensors:
            yield name, info


def _is_constant(examined: Examined, name: str) -> bool:
    values = examined.values.tensors[name]
    return (
        examined.canonical.tensors[name].numel > 1
        and values.minimum is not None
        and values.minimum == values.maximum
        and values.nan == values.infinite == 0
    )


def _why_not_examined(examined: Examined, name: str, info: TensorInfo) -> str | None:
    values = examined.values.tensors.get(name)
    if values is None:
        return examined.values.skipped.get(name, "they were not read")
    seen = values.minimum is not None or values.nan or values.infinite or info.numel == 0
    if seen or info.dtype.kind == "complex":
        return None
    return f"only a digest is known of {info.dtype.name}"
