"""Tensors of kinds that are not read, and what tensors carry: compared by what makes them up."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import pytest
import torch

from ckpttool.comparison.diff import DiffOptions, diff_files
from ckpttool.comparison.result import Comparison, Outcome
from tests.builders import pairs
from tests.builders.checkpoints import with_attributes

pytestmark = [
    pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*(quantize|CSR|torch.ao).*"),
]


def compared(paths: tuple[str, str], **options: Any) -> Comparison:
    return diff_files(paths, DiffOptions(**options))


class Marked(torch.Tensor):
    """A tensor of a class of its own."""


UNREAD: dict[str, Callable[[float], torch.Tensor]] = {
    "sparse": lambda value: torch.tensor([[0.0, value]]).to_sparse(),
    "sparse by rows": lambda value: torch.tensor([[0.0, value]]).to_sparse_csr(),
    "quantized": lambda value: torch.quantize_per_tensor(
        torch.tensor([value]), 0.5, 0, torch.qint8
    ),
    "scale": lambda value: torch.quantize_per_tensor(torch.tensor([value]), value, 0, torch.qint8),
    "codes of another type": lambda value: torch.quantize_per_tensor(
        torch.ones(1), 0.5, 0, torch.qint8 if value == 1 else torch.quint8
    ),
    "conjugated": lambda value: torch.tensor([value + 1j]).conj(),
    "without data": lambda value: torch.ones(int(value), device="meta"),
}
CARRYING: dict[str, Callable[[float], torch.Tensor]] = {
    "attribute of a parameter": lambda value: with_attributes(
        torch.nn.Parameter(torch.ones(2)), group=value
    ),
    "attribute of a tensor": lambda value: with_attributes(torch.ones(2), group=value),
    "tensor as an attribute": lambda value: with_attributes(
        torch.ones(2), scale=torch.tensor(value)
    ),
}


@pytest.mark.parametrize("place", ["state dict", "beside"])
@pytest.mark.parametrize("make", {**UNREAD, **CARRYING}.values(), ids={**UNREAD, **CARRYING}.keys())
def test_a_tensor_is_the_same_with_all_that_makes_it_up(
    tmp_path: Path, make: Callable[[float], torch.Tensor], place: str
) -> None:
    paths = []
    for number, value in enumerate((1.0, 1.0, 2.0)):
        of = {"x": make(value)}
        inner = {**pairs.state(), **of} if place == "state dict" else pairs.state()
        outer = {} if place == "state dict" else of
        paths.append(pairs.save(tmp_path, f"{number}.pth", {"model": inner, **outer}))
    assert compared((paths[0], paths[1])).outcome is Outcome.SAME
    assert compared((paths[0], paths[2])).outcome is Outcome.DIFFERENT
    assert compared((paths[2], paths[0])).outcome is Outcome.DIFFERENT
    without = pairs.save(tmp_path, "without.pth", {"model": pairs.state()})
    assert compared((paths[0], without)).outcome is Outcome.DIFFERENT


@pytest.mark.parametrize("make", UNREAD.values(), ids=UNREAD.keys())
def test_weights_alone_are_those_of_kinds_that_are_not_read_too(
    tmp_path: Path, make: Callable[[float], torch.Tensor]
) -> None:
    paths = [
        pairs.save(tmp_path, f"{number}.pth", {**pairs.state(), "x": make(value)})
        for number, value in enumerate((1.0, 1.0, 2.0))
    ]
    assert compared((paths[0], paths[1]), weights_only=True).outcome is Outcome.SAME
    assert compared((paths[0], paths[2]), weights_only=True).outcome is Outcome.DIFFERENT
    assert compared((paths[0], paths[2]), include=["x"]).outcome is Outcome.DIFFERENT
    assert compared((paths[0], paths[2]), exclude=["x"]).outcome is Outcome.SAME


def test_a_class_of_its_own_is_a_difference_and_a_parameter_is_none(tmp_path: Path) -> None:
    tensors = torch.ones(2), torch.nn.Parameter(torch.ones(2)), torch.ones(2).as_subclass(Marked)
    paths = [
        pairs.save(tmp_path, f"{number}.pth", {**pairs.state(), "x": tensor})
        for number, tensor in enumerate(tensors)
    ]
    assert compared((paths[0], paths[1])).outcome is Outcome.SAME
    found = compared((paths[0], paths[2]))
    assert found.outcome is Outcome.DIFFERENT
    assert [entry.key for entry in found.state] == ["x.$self.$object"]
