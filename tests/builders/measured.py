"""Statistics of tensors as a command gathers them, made by hand."""

from __future__ import annotations

import math
from typing import Sequence

from ckpttool.findings.results import FileReport
from ckpttool.findings.statistics import BlockHistogram, Histogram, Statistics, TensorStatistics
from tests.builders.reports import encoder_only

#: The tensors of a block: role and shape.
ROLES = {
    "norm1.weight": (64,),
    "norm1.bias": (64,),
    "attn.qkv.weight": (192, 64),
    "mlp.fc1.weight": (256, 64),
}
_BINS = 16


def bell(elements: int, spread: float = 0.3, bins: int = _BINS) -> Histogram:
    """A histogram from -1 to 1 with its middle at zero."""
    centres = [(at + 0.5) / bins * 2 - 1 for at in range(bins)]
    weights = [math.exp(-((centre / spread) ** 2)) for centre in centres]
    return Histogram(-1.0, 1.0, tuple(int(elements * one / sum(weights)) for one in weights))


def tensor(
    name: str,
    rms: float = 0.02,
    *,
    group: str | None = "encoder",
    block: int | None = None,
    role: str | None = None,
    shape: Sequence[int] = (64,),
) -> TensorStatistics:
    """The statistics of a tensor around zero."""
    elements = math.prod(shape)
    return TensorStatistics(
        name,
        "float32",
        tuple(shape),
        group,
        block,
        role or name,
        elements,
        -3 * rms,
        4 * rms,
        0.0,
        rms,
        rms,
        0,
        0,
        0,
        bell(elements),
    )


def stack(blocks: int, group: str = "encoder", named: str = "blocks") -> list[TensorStatistics]:
    """The tensors of a stack of blocks; each role has an RMS of its own, larger block by block."""
    return [
        tensor(
            f"{named}.{block}.{role}",
            10.0 ** -(at + 1) * (1 + block / 10),
            group=group,
            block=block,
            role=role,
            shape=shape,
        )
        for block in range(blocks)
        for at, (role, shape) in enumerate(ROLES.items())
    ]


def statistics(*tensors: TensorStatistics) -> Statistics:
    """The statistics of a file with these tensors."""
    sums: dict[tuple[str | None, int | None], list[int]] = {}
    for one in tensors:
        both = sums.setdefault((one.group, one.block), [0, 0])
        both[0] += 1
        both[1] += one.elements
    blocks = (
        BlockHistogram(group, block, number, elements, bell(elements))
        for (group, block), (number, elements) in sums.items()
    )
    return Statistics(tensors, tuple(blocks))


def file(*tensors: TensorStatistics) -> FileReport:
    """The published encoder with the statistics of these tensors."""
    return encoder_only()._replace(statistics=statistics(*tensors))


def model(blocks: int = 3) -> FileReport:
    """A file with a stack of blocks, and two tensors outside of it."""
    outside = (tensor("cls_token"), tensor("head", group=None))
    return file(*outside, *stack(blocks))
