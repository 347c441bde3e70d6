"""Files of which most is lost: one finding says so, and what follows from it is hidden."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Iterator

from ckpttool.findings import rules
from ckpttool.verification.evidence import is_matrix

if TYPE_CHECKING:
    from ckpttool.tensors.catalogue import TensorInfo
    from ckpttool.tensors.examining import TensorValues
    from ckpttool.verification.evidence import Evidence

_FEW = 8  # tensors that are reported one by one, whatever part of the file they are


def mostly_lost(evidence: Evidence) -> tuple[str, ...]:
    """Return the codes of the rules that report most of the model's tensors: causes of the rest."""
    numbers, matrices = [], []
    for _, info, values in models_own(evidence):
        numbers.append(values)
        if is_matrix(info):
            matrices.append(values)
    found = {
        rules.NAN: _are_most(numbers, _has_nan),
        rules.INFINITE: _are_most(numbers, _has_infinity),
        # not of all tensors: in an untrained model nearly half of them are zero biases
        rules.ALL_ZERO: _are_most(numbers, is_zero, matrices),
    }
    return tuple(rule.code for rule, most in found.items() if most)


def is_zero(values: TensorValues) -> bool:
    """Whether all elements are zero."""
    return values.minimum == values.maximum == 0 and values.nan == values.infinite == 0


def models_own(evidence: Evidence) -> Iterator[tuple[str, TensorInfo, TensorValues]]:
    """Yield the floating tensors that the model has a place for and that were read."""
    outside = evidence.outside()
    for name, values in evidence.values.tensors.items():
        info = evidence.canonical.tensors[name]
        if info.dtype.kind in ("float", "complex") and name not in outside:
            yield name, info, values


def _has_nan(values: TensorValues) -> bool:
    return values.nan > 0


def _has_infinity(values: TensorValues) -> bool:
    return values.infinite > 0


def _are_most(
    every: list[TensorValues],
    lost: Callable[[TensorValues], bool],
    among: list[TensorValues] | None = None,
) -> bool:
    among = every if among is None else among
    return sum(map(lost, every)) > _FEW and 2 * sum(map(lost, among)) > len(among)
