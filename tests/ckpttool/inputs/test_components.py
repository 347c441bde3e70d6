"""What the folders of a release are for, by the files in them that say so."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from ckpttool.findings.inventory import Item, Standing
from ckpttool.inputs.components import components, sizes
from ckpttool.inputs.paths import targets_of
from tests.builders import pipelines

if TYPE_CHECKING:
    from pathlib import Path


def said(folder: Path) -> dict[str, str]:
    found = components(targets_of([str(folder)]).items)
    return {one.folder[len(str(folder)) :].lstrip("/"): one.what for one in found}


def alone(folder: Path, name: str, text: str) -> dict[str, str]:
    (folder / name).write_text(text, encoding="utf-8")
    items = [Item(str(folder / name), Standing.KNOWN, "JSON")]
    return {one.said_by: one.what for one in components(items)}


def test_a_pipeline_says_what_each_of_its_folders_is_for(tmp_path: Path) -> None:
    assert said(pipelines.pipeline(tmp_path)) == {
        "": "StableDiffusionPipeline",
        "scheduler": "PNDMScheduler",
        "text_encoder": "CLIPTextModel",
        "tokenizer": "CLIPTokenizer",
        "unet": "UNet2DConditionModel",
        "vae": "AutoencoderKL",
    }


def test_a_pipeline_counts_before_what_a_folder_says_of_itself(tmp_path: Path) -> None:
    folder = pipelines.pipeline(tmp_path, unet=["diffusers", "Another"])
    assert said(folder)["unet"] == "Another"


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        (
            "config.json",
            {"architectures": ["LlamaForCausalLM"], "model_type": "llama"},
            "LlamaForCausalLM",
        ),
        ("config.json", {"model_type": "llama"}, "llama"),
        ("config.json", {"_class_name": "AutoencoderKL"}, "AutoencoderKL"),
        ("adapter_config.json", {"peft_type": "LORA"}, "LoRA adapter"),
    ],
)
def test_a_model_says_its_class(
    tmp_path: Path, name: str, content: dict[str, object], expected: str
) -> None:
    assert alone(tmp_path, name, json.dumps(content)) == {name: expected}


@pytest.mark.parametrize(
    "text",
    ["", "[", "[]", "{}", '{"architectures": [1]}', '{"architectures": {}}', '{"_class_name": []}'],
)
def test_what_says_nothing_is_no_component(tmp_path: Path, text: str) -> None:
    assert alone(tmp_path, "config.json", text) == {}
    assert alone(tmp_path, "model_index.json", text) == {}


def test_a_pipeline_names_folders_below_it_alone(tmp_path: Path) -> None:
    parts = {"../up": ["a", "Up"], "/etc": ["a", "Etc"], "..": ["a", "Dots"], "in": ["a", "In"]}
    found = alone(tmp_path, "model_index.json", json.dumps(parts))
    assert list(found.values()) == ["In"]


def test_a_file_far_too_large_is_not_read(tmp_path: Path) -> None:
    text = json.dumps({"model_type": "a" * 2_000_000})
    assert alone(tmp_path, "config.json", text) == {}


def test_sizes_are_those_of_files_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"123")
    paths = (str(tmp_path / "a"), str(tmp_path / "gone"), f"{tmp_path}/")
    assert sizes(Item(path, Standing.KNOWN, "text") for path in paths) == {paths[0]: 3}
