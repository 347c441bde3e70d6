"""Folders of several models as diffusers writes them: a tiny pipeline with its components."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict

import torch
from safetensors.torch import save_file

Weights = Dict[str, torch.Tensor]

#: What the model_index.json of a pipeline says.
INDEX: Dict[str, Any] = {
    "_class_name": "StableDiffusionPipeline",
    "_diffusers_version": "0.30.0",
    "feature_extractor": [None, None],
    "scheduler": ["diffusers", "PNDMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}


def pipeline(folder: Path, **changes: Any) -> Path:
    """Write a pipeline of four components with weights of 4,000, 800 and 200 bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "model_index.json", {**INDEX, **changes})
    _write(folder / "scheduler" / "scheduler_config.json", {"_class_name": "PNDMScheduler"})
    _write(folder / "tokenizer" / "vocab.json", {"a": 0})
    model(folder / "text_encoder", "model.safetensors", 100, architectures=["CLIPTextModel"])
    name = "diffusion_pytorch_model.safetensors"
    model(folder / "unet", name, 1_000, _class_name="UNet2DConditionModel")
    model(folder / "vae", name, 200, _class_name="AutoencoderKL")
    return folder


def model(folder: Path, name: str, elements: int, **config: Any) -> Path:
    """Write a component: its weights, half of them in each of two tensors, and its config.json."""
    _write(folder / "config.json", config)
    half = elements // 2
    tensors = {"conv.weight": torch.ones(half), "conv.bias": torch.ones(elements - half)}
    save_file(tensors, folder / name, {"format": "pt"})
    return folder / name


def _write(path: Path, document: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")
