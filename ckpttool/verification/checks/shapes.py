"""Checks on shapes and types of tensors that the model has, against the model."""

from __future__ import annotations

from functools import partial
from math import gcd, prod
from typing import TYPE_CHECKING, Callable, Iterator, Sequence

from ckpttool.findings import rules
from ckpttool.findings.finding import Finding, finding
from ckpttool.findings.holes import clause, places_in_words
from ckpttool.findings.results import LOAD_STATE_DICT
from ckpttool.findings.rules import Rule
from ckpttool.models.coverage import is_matched
from ckpttool.tensors.dtypes import DTYPES

if TYPE_CHECKING:
    from ckpttool.findings.results import Mismatch
    from ckpttool.verification.evidence import Evidence

_CONVERT = "ckpttool convert PATH --to safetensors"
_GATHER = (
    "They look like the part of one process. Gather them before they are saved: with FSDP by a "
    "full state dict, with ZeRO-3 by zero_to_fp32.py or stage3_gather_16bit_weights_on_model_save."
)


def check_shapes(evidence: Evidence) -> Iterator[Finding]:
    """Fail on shapes that contradict the other tensors of the file."""
    if evidence.is_other or evidence.is_guessed:
        return
    own = evidence.reference is None
    yield from _mismatches(
        evidence,
        rules.SHAPE,
        lambda found: not found.same_shape,
        lambda found: (str(list(found.expected_shape)), str(list(found.found_shape))),
        "has another shape than " + ("the rest of the file implies" if own else "in the schema"),
        _shaping(evidence) if own else partial(_resizing, evidence),
    )


def _resizing(evidence: Evidence, those: Sequence[Mismatch]) -> str | None:
    """Say how such shapes come about, where they show it: a part of a process, or another size."""
    # codes may be in one row, too
    floats = [one for one in those if DTYPES[one.found_dtype].kind == "float"]
    if any(
        0 in one.found_shape or len(one.found_shape) == 1 < len(one.expected_shape)
        for one in floats
    ):
        return _GATHER
    (expected, found) = (those[0].expected_shape, those[0].found_shape)
    if evidence.reference is None or evidence.reference.loader == LOAD_STATE_DICT or not expected:
        return None
    config = evidence.release_files.config or {}
    if expected[0] == config.get("vocab_size") and expected[1:] == found[1:] and found:
        return f"If the weights are right, set vocab_size to {found[0]} in config.json."
    return None


def check_dtypes(evidence: Evidence) -> Iterator[Finding]:
    """Warn of weights of another floating type: the model loads them, with other rounding."""
    yield from _mismatches(
        evidence,
        rules.DTYPE,
        lambda found: found.expected_dtype != found.found_dtype and is_matched(found),
        lambda found: (found.expected_dtype, found.found_dtype),
        "has another floating type",
        _casting if evidence.reference is None else _NOTHING,
    )


def _casting(those: Sequence[Mismatch]) -> str | None:
    """Return how to cast to what is expected; ``None`` where that would restore no digits."""
    here, there = DTYPES[those[0].expected_dtype], DTYPES[those[0].found_dtype]
    if not (here.castable and there.castable and there.bits > here.bits):
        return None
    return f"If {here.name} is wanted, cast to it: {_CONVERT} --dtype {here.name}"


def check_mixed_dtypes(evidence: Evidence) -> Iterator[Finding]:
    """Warn of floating weights that are not all of one type, whatever the model's is."""
    quantized = evidence.quantized.parts
    by_type: dict[str, list[str]] = {}
    for name, info in evidence.canonical.tensors.items():
        if info.dtype.kind == "float" and name not in quantized:
            by_type.setdefault(info.dtype.name, []).append(name)
    # a schema says the type of each, and those that differ from it are told
    told_already = evidence.reference is not None and not evidence.reference.is_empty
    told_already = told_already or evidence.companion is not None
    if len(by_type) > 1 and not told_already:
        # what most tensors have is taken for what was meant
        usual, *others = sorted(by_type, key=lambda dtype: -len(by_type[dtype]))
        told = ", ".join(f"{dtype} ({len(by_type[dtype]):,})" for dtype in (usual, *others))
        yield finding(
            rules.MIXED_DTYPES,
            f"the floating weights are of {len(by_type)} types: {told}",
            tensors=[name for dtype in others for name in by_type[dtype]],
            expected=usual,
            found=", ".join(others),
        )


def check_dtype_kinds(evidence: Evidence) -> Iterator[Finding]:
    """Fail on weights that are not floating point numbers at all."""
    yield from _mismatches(
        evidence,
        rules.DTYPE_KIND,
        lambda found: _is_no_float(found) and DTYPES[found.expected_dtype].kind == "float",
        lambda found: (found.expected_dtype, found.found_dtype),
        "is of no floating type",
        _always(None) if evidence.reference is None else _NOTHING,
    )
    yield from _mismatches(
        evidence,
        rules.DTYPE_KIND,
        lambda found: _is_no_float(found) and DTYPES[found.expected_dtype].kind != "float",
        lambda found: (found.expected_dtype, found.found_dtype),
        "is of another type",
        _NOTHING,
    )


def _is_no_float(found: Mismatch) -> bool:
    return found.same_shape and not is_matched(found)


def _mismatches(
    evidence: Evidence,
    rule: Rule,
    wanted: Callable[[Mismatch], bool],
    sides: Callable[[Mismatch], tuple[str, str]],
    message: str,
    fix: Callable[[Sequence[Mismatch]], str | None],
) -> Iterator[Finding]:
    """One finding for all tensors that differ in the same way."""
    alike: dict[tuple[str, str], list[Mismatch]] = {}
    for group in evidence.coverage.groups.values():
        for found in filter(wanted, group.mismatched):
            alike.setdefault(sides(found), []).append(found)
    for (expected, found_there), those in alike.items():
        names = [one.name for one in those]
        words = ""
        if evidence.reference is not None:
            words = clause(places_in_words(names, evidence.reference.schema.entries))
        yield finding(
            rule,
            _with_number(names, message) + words,
            tensors=names,
            expected=expected,
            found=found_there,
            fix=fix(those),
        )


def _always(fix: str | None) -> Callable[[Sequence[Mismatch]], str | None]:
    return lambda _: fix


# what a schema was made for is not known, and so no advice is either
_NOTHING = _always("")


def _shaping(evidence: Evidence) -> Callable[[Sequence[Mismatch]], str | None]:
    """Return what says how tensors of another shape may be of use as they are."""
    pruned = _pruned(evidence)

    def fix(those: Sequence[Mismatch]) -> str | None:
        if all(_without_row(one, evidence) for one in those):
            return "Put a row of zeros before the others: the class token's, which adds nothing."
        if all(one.found_shape == one.expected_shape[::-1] for one in those):
            return "Its axes are in the other order: transpose it where it is loaded."
        if all(prod(one.found_shape) == prod(one.expected_shape) for one in those):
            return (
                "It has as many elements: reshape it where it is loaded, if their order is right."
            )
        if pruned.issuperset(one.name for one in those):
            return (
                "It fits its neighbours, as in a pruned model: load it with the code that pruned."
            )
        return None

    return fix


def _without_row(one: Mismatch, evidence: Evidence) -> bool:
    """Whether a position table has rows of the patches alone, where the values show as many."""
    computed = evidence.family.tables.get(one.name)
    positions = computed(evidence.config) if computed else None
    if positions is None or positions.before != 1:
        return False
    batch, rows, width = (1, 1, *one.expected_shape)[-3:]
    return one.found_shape == (batch, rows - 1, width)


def _pruned(evidence: Evidence) -> set[str]:
    """Return tensors of modules of blocks that are narrower within: all by the same part."""
    modules: dict[tuple[str, int, str], list[Mismatch]] = {}
    for group in evidence.coverage.groups.values():
        for one in group.mismatched:
            place = evidence.family.block_of(one.name)
            if place is not None and not one.same_shape:
                key = place.stack, place.number, place.rest.partition(".")[0]
                modules.setdefault(key, []).append(one)
    pruned: set[str] = set()
    for those in modules.values():
        parts = {_narrowed(one) for one in those}
        layers = {one.name.rpartition(".")[0] for one in those}  # the one that widens, and the next
        if len(parts) == 1 and None not in parts and len(layers) > 1:
            pruned.update(one.name for one in those)
    return pruned


def _narrowed(one: Mismatch) -> tuple[int, int] | None:
    """Return the part of its size that one axis has, where the others have all of theirs."""
    pairs = zip(one.found_shape, one.expected_shape)
    other = [(found, expected) for found, expected in pairs if found != expected]
    if len(one.found_shape) != len(one.expected_shape) or len(other) != 1 or not all(other[0]):
        return None
    (found, expected), divisor = other[0], gcd(*other[0])
    return (found // divisor, expected // divisor) if found < expected else None


def _with_number(names: Sequence[str], message: str) -> str:
    plural = message.replace("has ", "have ").replace("is ", "are ")
    return f"a tensor {message}" if len(names) == 1 else f"{len(names):,} tensors {plural}"
