"""The parts of a tensor in another order, as ranges of its bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ckpttool.files.sources import read_bytes
from ckpttool.models.families.mae_controls import rearranged
from tests.builders import models

if TYPE_CHECKING:
    from ckpttool.tensors.catalogue import TensorInfo


def read(info: TensorInfo) -> bytes:
    return b"".join(read_bytes(one.source, one.offset, one.length) for one in info.extents)


def test_parts_are_taken_across_extents_in_the_order_asked_for() -> None:
    (info,) = models.in_memory({"x": torch.arange(12, dtype=torch.uint8)}).values()
    whole = info.extents[0]
    halves = (whole._replace(length=5), whole._replace(offset=5, length=7))
    moved = rearranged(info._replace(extents=halves), [(4, 8), (0, 4), (8, 12)])
    assert list(read(moved)) == [4, 5, 6, 7, 0, 1, 2, 3, 8, 9, 10, 11]
    assert [one.length for one in moved.extents] == [1, 3, 4, 4]
    whole_halves = rearranged(info._replace(extents=halves), [(5, 12), (0, 5)])
    assert whole_halves.extents == (halves[1], halves[0])
