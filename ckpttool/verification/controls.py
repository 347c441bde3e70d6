"""Models that are wrong on purpose (controls): the proof that a comparison of outputs can fail.

Before a tolerance is written down, the weights are run with defects that real conversions have
had, and with other rounding. The tolerance lies between the two, or there is none.
"""

from __future__ import annotations

from math import isfinite, sqrt
from typing import TYPE_CHECKING, Any, Callable, Iterable, Mapping, NamedTuple

from ckpttool.models.family import FULL
from ckpttool.models.forward import run_forward
from ckpttool.verification.lock.content import Control, distance

if TYPE_CHECKING:
    from ckpttool.findings.results import ForwardSummary
    from ckpttool.models.family import Family, ModelConfig
    from ckpttool.tensors.catalogue import TensorInfo

# A control counts if it moves the outputs this many times as far as rounding does, so that the
# tolerance, the geometric mean, is at least four times away from either.
MARGIN = 16

# The step of float32 at 1: another machine may be off by that, even if these sums came out exact.
_LEAST_ROUNDING = 2.0**-23


class Sensitivity(NamedTuple):
    """How far rounding and the controls move the outputs; fields as in ``LockedForward``."""

    rounding: float
    tolerance: float | None
    controls: tuple[Control, ...]


def measure(
    family: Family,
    config: ModelConfig,
    tensors: Mapping[str, TensorInfo],
    right: ForwardSummary,
    passed: Callable[[], None] = lambda: None,
) -> Sensitivity:
    """Run the controls against the outputs of the right model.

    Args:
        family: whose names the tensors have.
        config: the sizes of the model.
        tensors: by canonical name.
        right: its forward pass, as it was run; the others run alike.
        passed: told after every pass; there are as many as :func:`passes` says.

    Raises:
        UsageError, UnreadableError: as :func:`ckpttool.models.forward.run_forward`.
    """

    def far(config: ModelConfig, tensors: Mapping[str, TensorInfo], dtype: str) -> float:
        wrong = run_forward(
            family,
            config,
            tensors,
            full=right.scope == FULL,
            device=right.device or "cpu",
            dtype=dtype,
        )
        passed()
        return distance(right.outputs, wrong.outputs)

    rounding = max(far(config, tensors, "float64"), _LEAST_ROUNDING)
    controls = []
    for name, other, changed in _controls_of(family, config, tensors):
        moved = far(other, changed, "float32")
        controls.append(Control(name, moved, moved >= MARGIN * rounding))
    nearest = min((one.distance for one in controls if one.counts), default=None)
    if nearest is None:
        return Sensitivity(rounding, None, tuple(controls))
    # outputs that are not finite show as well as any that are far away
    tolerance = sqrt(rounding * nearest) if isfinite(nearest) else MARGIN * rounding
    return Sensitivity(rounding, tolerance, tuple(controls))


def passes(family: Family, config: ModelConfig, tensors: Mapping[str, TensorInfo]) -> int:
    """Return how many forward passes :func:`measure` takes."""
    return 1 + sum(1 for _ in _controls_of(family, config, tensors))


def _controls_of(
    family: Family, config: ModelConfig, tensors: Mapping[str, TensorInfo]
) -> Iterable[tuple[str, Any, Mapping[str, TensorInfo]]]:
    # what was run belongs to a family that has a forward pass
    return family.forward.controls(config, dict(tensors)) if family.forward else ()
