"""Tensors that are more than bytes, as torch makes them: quantized, sparse, nested."""

from __future__ import annotations

import torch

WEIGHT = torch.arange(12.0).reshape(3, 4)
_SCALES = torch.tensor([0.1, 0.2, 0.3])
_POINTS = torch.tensor([0, 1, 2])
_TWICE = torch.tensor([[0, 0], [1, 1]])
_SPARSE = torch.tensor([[0.0, 1.0, 0.0, 4.0], [2.0, 0.0, 0.0, 3.0]])


def quantized() -> dict[str, torch.Tensor]:
    """By tensor and by channel, in each type whose codes are whole bytes."""
    types = {"qint8": torch.qint8, "quint8": torch.quint8, "qint32": torch.qint32}
    by_tensor = {
        name: torch.quantize_per_tensor(WEIGHT, 0.1, 10, dtype) for name, dtype in types.items()
    }
    return {
        **by_tensor,
        "transposed": torch.quantize_per_tensor(WEIGHT, 0.5, 0, torch.qint8).t(),
        "channels": torch.quantize_per_channel(WEIGHT, _SCALES.double(), _POINTS, 0, torch.qint8),
        "floats": torch.quantize_per_channel(WEIGHT, _SCALES, _POINTS.float(), 0, torch.quint8),
    }


def in_four_bits() -> torch.Tensor:
    """A tensor two codes of which share a byte."""
    points = torch.zeros(3)
    return torch.quantize_per_channel(WEIGHT, _SCALES, points, 0, torch.quint4x2)


def sparse() -> dict[str, torch.Tensor]:
    """In every layout, coalesced and not, with a dense axis, with blocks, without an element."""
    blocks = torch.arange(16.0).reshape(4, 4)
    return {
        "coo": _SPARSE.to_sparse(),
        "twice": torch.sparse_coo_tensor(_TWICE, torch.tensor([1.0, 2.0]), (2, 3)),
        "hybrid": torch.sparse_coo_tensor(torch.arange(2)[None], torch.ones(2, 3), (2, 3)),
        "empty": torch.zeros(2, 3).to_sparse(),
        "csr": _SPARSE.to_sparse_csr(),
        "csc": _SPARSE.to_sparse_csc(),
        "bsr": blocks.to_sparse_bsr((2, 2)),
        "bsc": blocks.to_sparse_bsc((1, 2)),
        "batch": torch.stack([_SPARSE, _SPARSE]).to_sparse_csr(),
    }


def nested() -> torch.Tensor:
    """Two tensors of other lengths in one."""
    return torch.nested.nested_tensor([torch.ones(2, 3), torch.zeros(4, 3)])


def holding(*tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A state dict of these, with a plain weight."""
    return {"plain": WEIGHT, **{name: one for some in tensors for name, one in some.items()}}
