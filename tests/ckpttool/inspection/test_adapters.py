"""What a listing says of a low-rank adapter: rank, alpha, base model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import save_file

from ckpttool.inspection.listing import inspect
from tests.builders import adapters, checkpoints
from tests.builders.commands import invoke
from tests.builders.repository import FIXTURES

if TYPE_CHECKING:
    from ckpttool.findings.listing import AdapterFacts

WEIGHTS = "adapter_model.safetensors"


def of_peft(name: str) -> AdapterFacts:
    found = inspect(FIXTURES / "peft-0.21.2" / name / "lora" / WEIGHTS).adapter
    assert found is not None
    return found


def written(folder: Path, **changes: object) -> str:
    return str(
        Path(adapters.write(folder, adapters.lora(), {**adapters.CONFIG, **changes})) / WEIGHTS
    )


@pytest.mark.parametrize(
    ("name", "ranks", "alphas", "variants"),
    [
        ("float32", (2,), (8.0,), ()),
        ("patterns", (2, 4), (3.0, 8.0, 32.0), ()),
        ("rslora", (2,), (8.0,), ("rsLoRA",)),
        ("dora", (2,), (8.0,), ("DoRA",)),
        ("embeddings", (2,), (8.0,), ()),
    ],
)
def test_rank_and_alpha_of_what_peft_wrote(
    name: str, ranks: tuple[int, ...], alphas: tuple[float, ...], variants: tuple[str, ...]
) -> None:
    found = of_peft(name)
    assert (found.ranks, found.alphas, found.variants) == (ranks, alphas, variants)
    assert found.alpha_from == "adapter_config.json"
    assert found.trouble is None


def test_the_base_model_is_what_the_configuration_says(tmp_path: Path) -> None:
    path = written(tmp_path, base_model_name_or_path="org/model\x1b[2J")
    found = inspect(path).adapter
    assert found is not None
    assert found.base == "org/model\x1b[2J"
    text = invoke("inspect", path).out
    assert "base model   org/model\\x1b[2J" in text
    assert "LoRA adapter of rank" in text.splitlines()[0]


def test_without_a_configuration_the_rank_is_known_and_the_alpha_is_not(tmp_path: Path) -> None:
    path = tmp_path / "lora.safetensors"
    save_file(adapters.lora(), path)
    found = inspect(path).adapter
    assert found is not None
    assert found.ranks
    assert not found.alphas
    assert "alpha not known" in invoke("inspect", str(path)).out


def test_the_alpha_of_a_file_of_kohya_is_in_its_header(tmp_path: Path) -> None:
    path = tmp_path / "kohya.safetensors"
    tensors = {
        "lora_unet_q.lora_down.weight": torch.ones(4, 8),
        "lora_unet_q.lora_up.weight": torch.ones(8, 4),
        "lora_unet_q.alpha": torch.tensor(2.0),
    }
    save_file(tensors, path, {"ss_network_alpha": "2", "ss_sd_model_name": "sd.safetensors"})
    found = inspect(path).adapter
    assert found is not None
    assert (found.ranks, found.alphas, found.base) == ((4,), (2.0,), "sd.safetensors")
    for none in ("None", "nan", "1e999", ""):
        save_file(tensors, path, {"ss_network_alpha": none})
        assert "alpha in its tensors, not read" in invoke("inspect", str(path)).out


def test_a_configuration_of_another_rank_is_said(tmp_path: Path) -> None:
    found = inspect(written(tmp_path, r=64)).adapter
    assert found is not None
    assert "has rank 64 for" in str(found.trouble)


def test_a_configuration_that_is_none_is_said(tmp_path: Path) -> None:
    path = written(tmp_path)
    Path(path).with_name("adapter_config.json").write_text("[", encoding="utf-8")
    listing = inspect(path)
    assert listing.adapter is not None
    assert listing.adapter.trouble
    assert listing.exit_code == 0
    json.dumps(listing.to_dict())


def test_a_model_is_no_adapter(tmp_path: Path) -> None:
    assert inspect(checkpoints.saved(tmp_path, checkpoints.sound)).adapter is None
