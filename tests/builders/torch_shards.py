"""Folders with an index of torch files, as transformers wrote them before safetensors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Dict, Mapping

import torch

INDEX = "pytorch_model.bin.index.json"
FIRST, SECOND = "pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"


def state() -> Dict[str, torch.Tensor]:
    """Five tensors, two of which are one and lie in the same shard."""
    weight = torch.arange(12.0).reshape(3, 4)
    return {
        "embed.weight": weight,
        "layer.0.weight": torch.ones(2, 2, dtype=torch.bfloat16),
        "layer.0.bias": torch.zeros(2),
        "layer.1.weight": torch.full((2, 2), 0.5),
        "head.weight": weight,
    }


def good(folder: Path, *, legacy: bool = False) -> Path:
    """The state in two shards; returns the path of the index."""
    every = state()
    parts: Mapping[str, Mapping[str, object]] = {
        FIRST: {name: every[name] for name in ("embed.weight", "head.weight", "layer.0.bias")},
        SECOND: {name: every[name] for name in ("layer.0.weight", "layer.1.weight")},
    }
    return write(folder, parts, legacy=legacy)


def write(folder: Path, parts: Mapping[str, Mapping[str, object]], *, legacy: bool = False) -> Path:
    """What is to lie in each file, and the index of its names."""
    folder.mkdir(exist_ok=True)
    weight_map: Dict[str, str] = {}
    for file, content in parts.items():
        torch.save(dict(content), folder / file, _use_new_zipfile_serialization=not legacy)
        tensors = [name for name, one in content.items() if isinstance(one, torch.Tensor)]
        weight_map.update(dict.fromkeys(tensors, file))
    total = sum(one.numel() * one.element_size() for one in state().values())
    return write_index(folder, weight_map, total)


def write_index(folder: Path, weight_map: Mapping[str, str], total: int = 0) -> Path:
    path = folder / INDEX
    document = {"metadata": {"total_size": total}, "weight_map": dict(weight_map)}
    path.write_text(json.dumps(document))
    return path
