"""The values of parts of tensors that are more than bytes are looked at, and that is said."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import ckpttool
from tests.builders import checkpoints, in_parts

pytestmark = [
    pytest.mark.filterwarnings("ignore:Sparse:UserWarning"),
    pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning"),
    pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning"),
]


def found(folder: Path, content: dict[str, torch.Tensor]) -> dict[str, str]:
    """The rules of a run that are about parts, and what they say."""
    path = checkpoints.saved(folder, lambda: in_parts.holding(content))
    (file,) = ckpttool.verify(path, forward=False, fingerprint=True).files
    codes = ("NUM001", "NUM002", "INT002", "STR011", "INT004")
    return {one.rule.code: one.message for one in file.findings if one.rule.code in codes}


def test_sound_parts_are_said_to_be_looked_at(tmp_path: Path) -> None:
    told = found(tmp_path, {**in_parts.quantized(), **in_parts.sparse()})
    assert told.keys() == {"STR011"}
    assert "; the parts were looked at for NaN" in told["STR011"]


def test_parts_that_nobody_looked_at_are_not_said_to_be(tmp_path: Path) -> None:
    told = found(tmp_path, {"x": in_parts.in_four_bits()})
    assert "looked at" not in told["STR011"]
    told = found(tmp_path, {"x": in_parts.in_four_bits(), "y": in_parts.sparse()["coo"]})
    assert "; of 1 the parts were looked at" in told["STR011"]


@pytest.mark.parametrize(("number", "code"), [(float("nan"), "NUM001"), (float("inf"), "NUM002")])
def test_numbers_that_are_none_are_found(tmp_path: Path, number: float, code: str) -> None:
    for sparse in (
        torch.tensor([0, number]).to_sparse(),
        torch.tensor([[0, number]]).to_sparse_csr(),
    ):
        assert "1 number" in found(tmp_path, {"x": sparse})[code]


def beyond(layout: torch.layout) -> torch.Tensor:
    """Indices beyond the shape, in a sparse tensor that torch was told not to look at."""
    values = torch.ones(2)
    if layout == torch.sparse_coo:
        return torch.sparse_coo_tensor(
            torch.tensor([[0, 1], [9, 0]]), values, (2, 3), check_invariants=False
        )
    starts, places = torch.tensor([0, 1, 2]), torch.tensor([0, 9])
    shape = (2, 3) if layout == torch.sparse_csr else (3, 2)
    return torch.sparse_compressed_tensor(
        starts, places, values, shape, layout=layout, check_invariants=False
    )


@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr, torch.sparse_csc])
def test_an_index_beyond_the_shape_is_found(tmp_path: Path, layout: torch.layout) -> None:
    told = found(tmp_path, {"x": beyond(layout)})
    assert "lies outside of the tensor's shape" in told["INT002"]


def test_a_starting_place_beyond_the_elements_is_found(tmp_path: Path) -> None:
    wrong = torch.sparse_compressed_tensor(
        torch.tensor([0, 1, 7]),
        torch.tensor([0, 1]),
        torch.ones(2),
        (2, 3),
        layout=torch.sparse_csr,
        check_invariants=False,
    )
    assert "x.crow_indices" in found(tmp_path, {"x": wrong})["INT002"]


def test_indices_that_lie_apart_are_read_by_axis(tmp_path: Path) -> None:
    indices = torch.tensor([[0, 2], [1, 0]]).t()  # each row with steps of two
    sound = torch.sparse_coo_tensor(indices, torch.ones(2), (2, 3))
    assert "INT002" not in found(tmp_path, {"x": sound})
    wrong = torch.sparse_coo_tensor(indices, torch.ones(2), (2, 2), check_invariants=False)
    assert "INT002" in found(tmp_path, {"x": wrong})
