"""Checks on the numbers of quantized weights: by the statistics of the one pass over the bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator, Tuple

from ckpttool.findings import rules
from ckpttool.findings.finding import Finding, finding
from ckpttool.findings.holes import places_in_words
from ckpttool.findings.rules import Severity
from ckpttool.findings.text import count
from ckpttool.quantization import packed as role
from ckpttool.quantization.packed import is_byte, is_float, is_float8, is_unsigned_byte
from ckpttool.quantization.parts import WEIGHT
from ckpttool.verification.checks.quantized import ending_of
from ckpttool.verification.evidence import is_matrix

if TYPE_CHECKING:
    from ckpttool.quantization.packed import Packed
    from ckpttool.tensors.catalogue import TensorInfo
    from ckpttool.tensors.examining import TensorValues
    from ckpttool.verification.evidence import Evidence

# What codes are computed with.
_NUMBERS = (
    role.SCALE,
    role.GLOBAL_SCALE,
    role.ZERO_POINT,
    role.QUANT_MAP,
    role.NESTED_ABSMAX,
    role.NESTED_QUANT_MAP,
    role.INPUT_SCALE,
    role.INPUT_GLOBAL_SCALE,
    role.PRE_SCALE,
)
_SCALES = (role.SCALE, role.NESTED_ABSMAX)
# One number that is divided by.
_DIVISORS = (role.GLOBAL_SCALE, role.INPUT_SCALE, role.INPUT_GLOBAL_SCALE)
# The largest number of e4m3, and a root mean square that no weights have: of codes it is above 50.
_LARGEST, _FAR = 448.0, 16.0
# Where a code of 0 stands for 0, if there are no zero points.
_OF_ZERO = frozenset({"scaled-fp8", "scaled-int8", "llm-int8", "mxfp4"})
_FEW = 16  # codes of which it may be chance that they are all alike
_NO_EXPONENT = 255  # the byte of e8m0 that is NaN


class _Alike:
    """Parts of which the same is to be said: first what is in them, then what should be.

    Attributes:
        ranges: the smallest and the largest number in all parts of a key.
    """

    def __init__(self, evidence: Evidence) -> None:
        self._packed = evidence.quantized.contents.packed
        self._found: dict[Tuple[str, ...], list[tuple[str, TensorInfo]]] = {}
        self.ranges: dict[Tuple[str, ...], tuple[float, float]] = {}

    def add(self, key: Tuple[str, ...], name: str, part: TensorInfo) -> None:
        self._found.setdefault((ending_of(name, part.name), *key), []).append((name, part))

    def add_range(
        self, key: Tuple[str, ...], name: str, part: TensorInfo, low: float, high: float
    ) -> None:
        self.add(key, name, part)
        whole = (ending_of(name, part.name), *key)
        lowest, highest = self.ranges.get(whole, (low, high))
        self.ranges[whole] = min(low, lowest), max(high, highest)

    def __iter__(self) -> Iterator[tuple[Tuple[str, ...], str, list[str]]]:
        """Yield the key, how many and where in words, and the names of the tensors."""
        for key, those in self._found.items():
            places = places_in_words([name for name, _ in those], list(self._packed))
            what = "the codes" if key[0] == WEIGHT else key[0]
            words = f"{key[1]} in {what} of {count(len(those), 'quantized weight')}"
            yield key, words + (f": {places}" if places else ""), [part.name for _, part in those]


def check_scales(evidence: Evidence) -> Iterator[Finding]:
    """Scales that are no numbers, zero or negative."""
    not_finite, not_positive = _Alike(evidence), _Alike(evidence)
    for name, one in evidence.quantized.contents.packed.items():
        for what, part in one.parts.items():
            values = evidence.values.tensors.get(part.name)
            if values is None:
                continue
            odd = _not_finite(one, what, part, values)
            if odd:
                not_finite.add((odd,), name, part)
            kind = _not_positive(what, part, values)
            if kind:
                not_positive.add((kind,), name, part)
    for _, words, names in not_finite:
        yield finding(rules.SCALE_NOT_FINITE, words, tensors=names)
    for (_, kind), words, names in not_positive:
        severity = Severity.ERROR if kind in _GRAVE else Severity.WARNING
        yield finding(rules.SCALE_NOT_POSITIVE, words, severity=severity, tensors=names)


_ZERO, _DIVIDED = "only zeros", "a number that is not above zero"
_NEGATIVE, _PARTLY = "negative numbers", "zeros"
_GRAVE = (_ZERO, _DIVIDED)


def _not_positive(what: str, part: TensorInfo, values: TensorValues) -> str:
    """Return what is to be said of a scale that is not above zero everywhere."""
    low, high = values.minimum, values.maximum
    # the scales of NVFP4 are 8-bit floats, and zero where their group is
    if low is None or high is None or low > 0 or not is_float(part.dtype):
        return ""
    if what in _DIVISORS:
        return _DIVIDED
    if what not in _SCALES:
        return ""
    return _ZERO if low == high == 0 else _NEGATIVE if low < 0 else _PARTLY


def _not_finite(one: Packed, what: str, part: TensorInfo, values: TensorValues) -> str:
    if what not in _NUMBERS:
        return ""
    if values.nan or values.infinite:
        return "NaN" if values.nan else "infinity"
    of_exponents = what == role.SCALE and is_unsigned_byte(part.dtype)
    is_nan = one.scheme in _OF_EXPONENTS and of_exponents and values.maximum == _NO_EXPONENT
    return f"NaN (the byte {_NO_EXPONENT} of e8m0)" if is_nan else ""


# Where a scale of bytes is an exponent, and no code of a nested quantization.
_OF_EXPONENTS = frozenset({"mxfp4", "scaled-fp8", "torchao"})


def check_codes(evidence: Evidence) -> Iterator[Finding]:
    """Codes, zero points and tables outside of what their scheme has."""
    alike = _Alike(evidence)
    for name, one in evidence.quantized.contents.packed.items():
        for what in (role.CODES, role.ZERO_POINT, role.QUANT_MAP):
            part = one.parts.get(what)
            values = evidence.values.tensors.get(part.name) if part is not None else None
            if part is None or values is None:
                continue
            if what == role.CODES and is_float8(part.dtype) and values.nan:
                alike.add(("NaN", ""), name, part)
            limits = _limits(one, what, part)
            low, high = values.minimum, values.maximum
            if not limits or low is None or high is None:
                continue
            if low < limits[0] or high > limits[1]:
                what_is = ("numbers out of range", f"{limits[0]} to {limits[1]}")
                alike.add_range(what_is, name, part, low, high)
    for key, words, names in alike:
        yield finding(
            rules.CODE_OUT_OF_RANGE,
            words,
            tensors=names,
            expected=key[-1] or None,
            found=_range(alike, key),
        )


def check_constant_codes(evidence: Evidence) -> Iterator[Finding]:
    """Weights whose codes are all one: nothing of a trained weight is left in them."""
    zero, constant = _Alike(evidence), _Alike(evidence)
    for name, one in evidence.quantized.contents.packed.items():
        values = evidence.values.tensors.get(one.codes.name)
        if values is None or one.codes.numel < _FEW or not values.is_constant:
            continue
        stands_for_zero = one.scheme in _OF_ZERO and role.ZERO_POINT not in one.parts
        if values.minimum == 0 and stands_for_zero:
            zero.add(("zeros alone",), name, one.codes)
        else:
            constant.add(("one number alone",), name, one.codes)
    for rule, alike in ((rules.ALL_ZERO, zero), (rules.CONSTANT, constant)):
        for _, words, names in alike:
            yield finding(rule, words, severity=Severity.WARNING, tensors=names)


def _range(alike: _Alike, key: Tuple[str, ...]) -> str | None:
    found = alike.ranges.get(key)
    return None if found is None else f"{found[0]:g} to {found[1]:g}"


def _limits(one: Packed, what: str, part: TensorInfo) -> tuple[int, int] | None:
    """Return the smallest and the largest number that a part may have."""
    if what == role.QUANT_MAP:
        return -1, 1
    unpacked = one.scheme in ("scaled-int8", "torchao") and is_byte(part.dtype)
    if not unpacked or not 0 < one.bits < 8:
        return None
    if what == role.CODES and one.codes.shape != one.shape:
        return None  # two codes to a byte
    if part.dtype.signed:
        return -(1 << (one.bits - 1)), (1 << (one.bits - 1)) - 1
    return 0, (1 << one.bits) - 1


def check_bare_codes(evidence: Evidence) -> Iterator[Finding]:
    """Weights that reach exactly the largest code of an 8-bit float, as codes do and no weights."""
    claimed = evidence.judged_apart
    found: list[str] = []
    for name, values in evidence.values.tensors.items():
        info = evidence.canonical.tensors[name]
        if name in claimed or not is_float(info.dtype) or not is_matrix(info):
            continue
        low, high = values.minimum, values.maximum
        if low is None or high is None or max(-low, high) != _LARGEST:
            continue
        if (values.rms or 0) >= _FAR:
            found.append(name)
    if len(found) > 1:
        places = places_in_words(found, evidence.canonical.tensors)
        yield finding(
            rules.BARE_CODES,
            f"{count(len(found), 'weight')} reach exactly {_LARGEST:g} and no more, as codes of "
            f"8-bit floats do that are cast without their scales{f': {places}' if places else ''}",
            tensors=found,
        )


def check_group_indices(evidence: Evidence) -> Iterator[Finding]:
    """Group indices that name groups without scales, or are in an order that nobody expects."""
    file = evidence.quantized
    alike = _Alike(evidence)
    for name, one in file.contents.packed.items():
        part, scale = one.parts.get(role.GROUP_INDEX), one.parts.get(role.SCALE)
        values = evidence.values.tensors.get(part.name) if part is not None else None
        if part is None or scale is None or values is None or values.minimum is None:
            continue
        # GPTQ's groups are the rows of its scales, those of compressed-tensors the columns
        groups = scale.shape[0 if one.scheme == "gptq" else -1] if scale.shape else 1
        assert values.maximum is not None  # noqa: S101 (a minimum has a maximum)
        if values.minimum < 0 or values.maximum >= groups:
            what_is = ("groups without a scale", f"0 to {groups - 1}")
            alike.add_range(what_is, name, part, values.minimum, values.maximum)
        elif name in file.unordered and _must_rise(evidence, name):
            alike.add(("another order", "numbers that rise, as there is no desc_act"), name, part)
    for key, words, names in alike:
        yield finding(
            rules.GROUP_INDEX, words, tensors=names, expected=key[-1], found=_range(alike, key)
        )


def _must_rise(evidence: Evidence, name: str) -> bool:
    settings = evidence.quantized.settings
    # without a configuration, or one that does not speak of it, any order may be meant
    return settings.arguments(name.rpartition(".")[0]).by_order is False
