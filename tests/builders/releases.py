"""Folders as they are published: a tiny model, its config.json, its card and its licence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict

import torch
from safetensors.torch import save_file

from tests.builders import checkpoints
from tests.builders.sizes import TINY

#: What the config.json of a tiny model says, in the words of ViTMAE.
CONFIG: Dict[str, Any] = {
    "model_type": "vit_mae",
    "architectures": ["ViTMAEForPreTraining"],
    "hidden_size": TINY.embed_dim,
    "num_hidden_layers": TINY.depth,
    "num_attention_heads": TINY.num_heads,
    "intermediate_size": 64,
    "hidden_act": "gelu",
    "patch_size": TINY.patch_size,
    "image_size": TINY.img_size,
    "num_channels": 3,
    "qkv_bias": True,
    "layer_norm_eps": 1e-06,
    "norm_pix_loss": False,
    "decoder_hidden_size": TINY.decoder_embed_dim,
    "decoder_num_hidden_layers": TINY.decoder_depth,
    "decoder_num_attention_heads": TINY.decoder_num_heads,
    "decoder_intermediate_size": 32,
}

CARD = "---\nlicense: cc-by-nc-4.0\ntags:\n- mae\n---\n\n# A tiny masked autoencoder\n"


def release(
    folder: Path, *, config: Any = None, card: str | None = CARD, weights: Any = None
) -> Path:
    """Write a release and return its model.safetensors.

    ``config`` holds other settings than the right ones, or is the text of config.json.
    """
    path = folder / "model.safetensors"
    save_file(checkpoints.state() if weights is None else weights, path, metadata={"format": "pt"})
    text = config if isinstance(config, str) else json.dumps({**CONFIG, **(config or {})})
    (folder / "config.json").write_text(text, encoding="utf-8")
    if card is not None:
        (folder / "README.md").write_text(card, encoding="utf-8")
    return path


def pickled(folder: Path, content: checkpoints.Content, name: str, **config: object) -> Path:
    """Write a .pth and a config.json with other settings than the right ones beside it."""
    (folder / "README.md").write_text(CARD, encoding="utf-8")
    (folder / "config.json").write_text(json.dumps({**CONFIG, **config}), encoding="utf-8")
    return Path(checkpoints.saved(folder, content, name))


def shards(folder: Path, *extra: str) -> Path:
    """Write a release of two shards, and further files; return the index."""
    state = checkpoints.state()
    names = list(state)
    halves = {"1": names[: len(names) // 2], "2": names[len(names) // 2 :]}
    weight_map = {}
    for number, part in halves.items():
        file = f"model-0000{number}-of-00002.safetensors"
        save_file({name: state[name] for name in part}, folder / file, metadata={"format": "pt"})
        weight_map.update(dict.fromkeys(part, file))
    for name in extra:
        save_file({"x": torch.ones(1)}, folder / name, metadata={"format": "pt"})
    path = folder / "model.safetensors.index.json"
    total = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
    said = {"metadata": {"total_size": total}, "weight_map": weight_map}
    path.write_text(json.dumps(said), encoding="utf-8")
    (folder / "README.md").write_text(CARD, encoding="utf-8")
    return path
