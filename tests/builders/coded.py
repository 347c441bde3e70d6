"""Codes and scales in memory, as quantized weights have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ckpttool.quantization.codes import FOUR_BIT_FLOATS, Coded, CodeType, Grid, Planes
from ckpttool.tensors.dtypes import DTYPES
from tests.builders.tensors import in_memory

if TYPE_CHECKING:
    from ckpttool.tensors.catalogue import TensorInfo


def info(tensor: torch.Tensor, dtype: str | None = None) -> TensorInfo:
    """A tensor in memory; ``dtype`` for bytes of a type that torch may lack."""
    raw = tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes()
    return in_memory(raw, dtype or str(tensor.dtype)[len("torch.") :], tuple(tensor.shape))


def any_bytes(*shape: int, below: int = 256) -> torch.Tensor:
    """Bytes, the same in each run."""
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randint(0, below, shape, dtype=torch.uint8, generator=generator)


def grid(
    tensor: torch.Tensor, block: tuple[int, int], dtype: str | None = None, read: str | None = None
) -> Grid:
    """Scales or zero points (planes, rows, columns) of blocks."""
    found = info(tensor, dtype)
    planes = Planes(*tensor.shape)
    return Grid(found, DTYPES[read] if read else found.dtype, planes, *block)


def in_blocks(
    codes: torch.Tensor,
    scales: torch.Tensor,
    block: tuple[int, int],
    dtype: str = "float8_e4m3fn",
    zeros: torch.Tensor | None = None,
) -> Coded:
    """Codes of 8 bits, (planes, rows, columns) like the scales."""
    return Coded(
        info(codes, dtype),
        CodeType(8, DTYPES[dtype]),
        Planes(*codes.shape),
        grid(scales, block),
        None if zeros is None else grid(zeros, block),
    )


def mxfp4(blocks: torch.Tensor, scales: torch.Tensor) -> Coded:
    """The experts of gpt-oss: (experts, rows, groups, 16) and (experts, rows, groups)."""
    experts, rows, groups, _ = blocks.shape
    return Coded(
        info(blocks),
        FOUR_BIT_FLOATS,
        Planes(experts, rows, 32 * groups),
        grid(scales, (1, 32), read="float8_e8m0fnu"),
        transposed=True,
    )


def spread(scales: torch.Tensor, block: tuple[int, int], shape: torch.Size) -> torch.Tensor:
    """Scales (planes, rows, columns), one for each code."""
    wide = scales.repeat_interleave(block[0], 1).repeat_interleave(block[1], 2)
    return wide[:, : shape[1], : shape[2]]
