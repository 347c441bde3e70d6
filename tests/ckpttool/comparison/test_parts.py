"""Of a fused tensor it is said which of its parts differ, in one layout and across two."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch

from ckpttool.comparison.diff import diff
from ckpttool.comparison.numbers.compare import SideError
from ckpttool.comparison.numbers.stretches import Pair
from ckpttool.comparison.numbers.tally import Tally
from ckpttool.comparison.parts import parts_of, told
from ckpttool.comparison.result import DiffKind, Part, TensorDiff
from ckpttool.conversion.convert import convert
from tests.builders import checkpoints
from tests.builders.models import in_memory

QKV = "blocks.1.attn.qkv.weight"
NAMES = ("query", "key", "value")
WIDTH = 16


def changed(*rows: int, name: str = QKV) -> dict[str, torch.Tensor]:
    state = checkpoints.state()
    state[name] = state[name].clone()
    for row in rows:
        state[name][row] += 1
    return state


def saved(folder: Path, state: object, name: str) -> Path:
    torch.save(state, folder / name)
    return folder / name


def compared(folder: Path, other: dict[str, torch.Tensor], layout: str | None) -> TensorDiff:
    """The one tensor that differs from the sound file, which has another layout if one is named."""
    left = saved(folder, checkpoints.state(), "left.pth")
    right = saved(folder, other, "right.pth")
    if layout is not None:
        convert(right, folder / "right.safetensors", to="safetensors", layout=layout, sync=False)
        right = folder / "right.safetensors"
    result = diff(left, right)
    assert result.exit_code == 1
    (found,) = (one for one in result.tensors if not one.same)
    return found


@pytest.mark.parametrize("layout", [None, "hf", "mmpretrain"])
@pytest.mark.parametrize(
    ("rows", "note"),
    [
        pytest.param((0,), "only query differs (rows 0 to 15); key and value are equal", id="q"),
        pytest.param((16,), "only key differs (rows 16 to 31); query and value are equal", id="k"),
        pytest.param(
            (0, 47), "only query and value differ (rows 0 to 15, 32 to 47); key is equal", id="two"
        ),
        pytest.param((0, 20, 40), None, id="all"),
    ],
)
def test_it_is_said_which_third_differs(
    tmp_path: Path, layout: str | None, rows: tuple[int, ...], note: str | None
) -> None:
    found = compared(tmp_path, changed(*rows), layout)
    assert (found.name, found.kind, found.note) == (QKV, DiffKind.CHANGED, note)
    differing = {row // WIDTH for row in rows}
    assert found.parts == tuple(
        Part(name, place * WIDTH, (place + 1) * WIDTH, place not in differing)
        for place, name in enumerate(NAMES)
    )


def test_a_bias_has_thirds_too(tmp_path: Path) -> None:
    found = compared(tmp_path, changed(17, name="decoder_blocks.0.attn.qkv.bias"), None)
    assert found.note == "only value differs (rows 16 to 23); query and key are equal"


def test_a_prefix_makes_no_difference(tmp_path: Path) -> None:
    sides = [
        saved(tmp_path, {f"module.{name}": tensor for name, tensor in state.items()}, f"{n}.pth")
        for n, state in enumerate((checkpoints.state(), changed(16)))
    ]
    (found,) = (one for one in diff(*sides).tensors if not one.same)
    assert str(found.note).startswith("only key differs")


def test_a_tensor_that_is_not_fused_has_no_parts(tmp_path: Path) -> None:
    found = compared(tmp_path, changed(0, name="blocks.0.mlp.fc1.weight"), None)
    assert (found.note, found.parts) == (None, ())


def test_a_model_that_is_not_known_has_no_parts(tmp_path: Path) -> None:
    sides = [
        saved(tmp_path, {"h.0.attn.qkv.weight": torch.full((6, 2), fill)}, f"{fill}.pth")
        for fill in (1.0, 2.0)
    ]
    assert [one.parts for one in diff(*sides).tensors] == [()]


def test_the_json_report_has_the_parts(tmp_path: Path) -> None:
    left = saved(tmp_path, checkpoints.state(), "left.pth")
    right = saved(tmp_path, changed(16), "right.pth")
    tensors = {one["name"]: one for one in diff(left, right).to_dict()["tensors"]}
    assert tensors[QKV]["parts"][1] == {"name": "key", "rows": [16, 32], "same": False}
    assert tensors["norm.bias"]["parts"] == []


def pair(left: torch.Tensor, right: torch.Tensor) -> Pair:
    return Pair(*(in_memory({"w": one})["w"] for one in (left, right)))


def test_large_parts_are_compared_to_their_end() -> None:
    one = torch.zeros(3 * 400, 500)
    for row, differing in ((399, "query"), (400, "key"), (1199, "value")):
        other = one.clone()
        other[row, -1] = 1
        parts = parts_of(pair(one, other), Tally(), NAMES)
        assert [part.name for part in parts if not part.same] == [differing]


def test_what_was_seen_to_be_equal_is_not_read_again() -> None:
    tally = Tally()
    tally.add_equal(0, 8)  # query, and more
    with mock.patch("ckpttool.comparison.parts.fill", side_effect=AssertionError):
        with pytest.raises(AssertionError):
            parts_of(pair(torch.zeros(6, 2), torch.ones(6, 2)), tally, NAMES)
        tally.add_equal(8, 4)
        parts = parts_of(pair(torch.zeros(6, 2), torch.ones(6, 2)), tally, NAMES)
    assert all(part.same for part in parts)
    assert told(parts) is None


@pytest.mark.parametrize(
    ("left", "right"),
    [
        pytest.param(torch.zeros(7, 2), torch.ones(7, 2), id="no thirds"),
        pytest.param(torch.zeros(6, 2), torch.ones(6, 2).half(), id="other types"),
    ],
)
def test_what_has_no_thirds_is_left_alone(left: torch.Tensor, right: torch.Tensor) -> None:
    assert parts_of(pair(left, right), Tally(), NAMES) == ()


def test_a_side_that_cannot_be_read_is_named() -> None:
    one: Any = pair(torch.zeros(6, 2), torch.zeros(6, 2))
    short = one.right._replace(extents=(one.right.extents[0]._replace(length=20),))
    with pytest.raises(SideError) as caught:
        parts_of(Pair(one.left, short), Tally(), NAMES)
    assert caught.value.side == 1
