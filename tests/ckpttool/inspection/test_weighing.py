"""What takes up the bytes of a file: the parts add up, and nothing counts twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import save_file

from ckpttool.inspection.listing import inspect
from tests.builders import checkpoints, state_dicts
from tests.builders.checkpoints import saved
from tests.builders.repository import FIXTURES

if TYPE_CHECKING:
    from pathlib import Path

    from ckpttool.findings.listing import ByteCount

FILES = (
    "torch-1.0.0/training.pth",
    "torch-1.6.0/layouts.legacy.pth",
    "torch-1.12.1/training.pth",
    "torchao-0.18.0/int8.pt",
    "peft-0.21.2/float32/base.safetensors",
    "distributed-torch-2.6.0",
    "deepspeed-0.19.8/zero2/global_step2",
)


def counted(path: object) -> ByteCount:
    found = inspect(str(path)).bytes
    assert found is not None
    return found


def beside(path: str) -> dict[str, tuple[int, int]]:
    return {one.key: (one.tensors, one.nbytes) for one in inspect(path).entries}


@pytest.mark.parametrize("name", FILES)
def test_the_parts_add_up_to_the_file(name: str) -> None:
    found = counted(FIXTURES / name)
    assert found.total == sum(found[1:])
    assert found.container > 0


def test_an_optimizer_is_weighed_with_its_moments_and_steps() -> None:
    path = str(FIXTURES / "torch-1.12.1" / "training.pth")
    assert beside(path)["optimizer"] == (150, 74_312)
    assert beside(path)["epoch"] == (0, 0)
    assert counted(path).beside == 74_312


def test_what_a_second_state_dict_shares_with_the_first_counts_once(tmp_path: Path) -> None:
    weight = torch.ones(100)
    content: dict[str, Any] = {
        "model": {"a": weight, "b": weight[:10]},
        "ema": {"a": weight, "c": torch.ones(3)},
    }
    path = saved(tmp_path, lambda: content)
    assert beside(path) == {"ema": (2, 12)}
    assert counted(path)[1:3] == (400, 12)


def test_of_a_view_all_of_its_storage_is_in_the_file(tmp_path: Path) -> None:
    path = saved(tmp_path, lambda: {"w": torch.ones(1000)[:2].view(2, 1)})
    assert counted(path).tensors == 4_000


def test_tensors_that_are_not_read_are_counted_apart(tmp_path: Path) -> None:
    found = counted(saved(tmp_path, checkpoints.sparse_tensor_added))
    assert (found.unread, found.beside) == (60, 0)


def test_a_file_without_anything_beside_has_nothing_beside(tmp_path: Path) -> None:
    assert counted(saved(tmp_path, checkpoints.sound)).beside == 0
    path = tmp_path / "a.safetensors"
    save_file({"w": torch.ones(5)}, path)
    assert counted(path)[1:5] == (20, 0, 0, 0)


def test_entries_that_are_not_listed_count_with_the_last_line(tmp_path: Path) -> None:
    content = {"model": {"w": torch.ones(500)}}
    content.update({f"k{number}": {"t": torch.ones(1)} for number in range(1_200)})
    path = saved(tmp_path, lambda: content)
    assert counted(path).beside == 4_800
    listing = inspect(path)
    assert listing.entries[-1].tensors == 200


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")
def test_a_bare_storage_and_a_quantized_tensor_are_weighed(tmp_path: Path) -> None:
    content = {"model": {"w": torch.ones(50)}, "raw": torch.ones(7).untyped_storage()}
    assert beside(saved(tmp_path, lambda: content))["raw"] == (0, 28)
    found = counted(saved(tmp_path, state_dicts.quantized))
    assert found.unread > 0
