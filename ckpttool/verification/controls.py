"""Models that are wrong on purpose (controls): the proof that a comparison of outputs can fail.

Before a tolerance is written down, the weights are run with defects that real conversions have
had, and with other rounding. The tolerance lies between the two, or there is none.
"""

from __future__ import annotations

from math import isfinite, sqrt
from typing import TYPE_CHECKING, Callable, Dict, Iterator, Mapping, NamedTuple, Sequence, Tuple

from ckpttool.models.forward import run_forward
from ckpttool.tensors.catalogue import Extent, TensorInfo
from ckpttool.verification.lock.content import Control, distance
from ckpttool.verification.options import FULL

if TYPE_CHECKING:
    from ckpttool.findings.results import ForwardSummary
    from ckpttool.models.family import Family, ModelConfig

Tensors = Dict[str, TensorInfo]

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
            config, tensors, full=right.scope == FULL, device=right.device or "cpu", dtype=dtype
        )
        passed()
        return distance(right.outputs, wrong.outputs)

    rounding = max(far(config, tensors, "float64"), _LEAST_ROUNDING)
    controls = []
    for name, other, changed in _controls(family, config, dict(tensors)):
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
    return 1 + sum(1 for _ in _controls(family, config, dict(tensors)))


def _controls(
    family: Family, config: ModelConfig, tensors: Tensors
) -> Iterator[Tuple[str, ModelConfig, Mapping[str, TensorInfo]]]:
    """Yield (name, sizes, tensors) of every control that these tensors allow."""
    # Conversions had these defects: blocks numbered in another order, a grid read by columns, parts
    # of a fused tensor in another order, and transformers' default of layer_norm_eps.
    if config.depth > 1:
        yield "swap-blocks", config, _with_swapped_blocks(family, config, tensors)
    for name, change in (
        ("transpose-positions", _with_transposed_positions),
        ("swap-query-key", _with_swapped_query_and_key),
    ):
        changed = change(family, config, tensors)
        if changed is not None:
            yield name, config, changed
    yield "layernorm-eps-1e-12", config._replace(layer_norm_eps=1e-12), tensors


def _with_swapped_blocks(family: Family, config: ModelConfig, tensors: Tensors) -> Tensors:
    """Swap the two blocks in the middle of the core."""
    second = config.depth // 2  # neighbours in the middle differ least: the hardest to notice
    first = second - 1
    swapped = {}
    for name in tensors:
        other = name
        for one, two in ((first, second), (second, first)):
            before = f"{family.core_stack}.{one}."
            if name.startswith(before):
                other = f"{family.core_stack}.{two}.{name[len(before) :]}"
        swapped[name] = tensors[other]
    return swapped


def _with_transposed_positions(
    family: Family, config: ModelConfig, tensors: Tensors
) -> Tensors | None:
    """Swap the axes of the position table's grid, as another order of ``meshgrid`` does."""
    name = next(iter(family.tables))
    table = tensors[name]
    # rows are swapped as ranges of bytes, so they must be contiguous
    if table.strides is not None or table.nbytes % (config.num_patches + 1):
        return None
    row = table.nbytes // (config.num_patches + 1)
    grid = range(config.grid_size)
    # row 0 is the class token's and stays
    order = [0, *(1 + column * config.grid_size + line for line in grid for column in grid)]
    ranges = [(place * row, (place + 1) * row) for place in order]
    return {**tensors, name: rearranged(table, ranges)}


def _with_swapped_query_and_key(
    family: Family, config: ModelConfig, tensors: Tensors
) -> Tensors | None:
    """Swap the rows of query and key in all blocks of the core."""
    changed = dict(tensors)
    for number in range(config.depth):
        for leaf in ("weight", "bias"):
            name = f"{family.core_stack}.{number}.{family.fused}.{leaf}"
            fused = tensors[name]
            if fused.strides is not None or fused.nbytes % 3:
                return None
            part = fused.nbytes // 3
            ranges = [(part, 2 * part), (0, part), (2 * part, 3 * part)]
            changed[name] = rearranged(fused, ranges)
    return changed


def rearranged(info: TensorInfo, ranges: Sequence[Tuple[int, int]]) -> TensorInfo:
    """Return a row-major tensor of parts of another's bytes, in the order of ``ranges``.

    Args:
        info: row-major; its bytes stay unread.
        ranges: (start, stop) in bytes of ``info``, at least as many as ``info`` has in all.
    """
    extents = tuple(piece for start, stop in ranges for piece in _cut(info.extents, start, stop))
    return info._replace(extents=extents, storage=None)  # no longer a view of one storage


def _cut(extents: Sequence[Extent], start: int, stop: int) -> Iterator[Extent]:
    at = 0
    for extent in extents:
        first, last = max(start, at), min(stop, at + extent.length)
        if first < last:
            yield Extent(extent.source, extent.offset + first - at, last - first)
        at += extent.length
