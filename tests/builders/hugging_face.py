"""Folders of small models as ``save_pretrained`` writes them, with a licence and a model card.

transformers is imported when one is built: tests that use them skip where it is missing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Dict, Tuple

import torch
from safetensors.torch import load_file, save_file

Config = Dict[str, Any]
Weights = Dict[str, torch.Tensor]

_SIZES: Config = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "vocab_size": 40,
}
#: Name -> the class, its configuration's class, and the sizes.
MODELS: Dict[str, Tuple[str, str, Config]] = {
    "decoder": ("LlamaForCausalLM", "LlamaConfig", {**_SIZES, "num_key_value_heads": 2}),
    "tied": (
        "LlamaForCausalLM",
        "LlamaConfig",
        {**_SIZES, "num_key_value_heads": 2, "tie_word_embeddings": True},
    ),
    "experts": (
        "MixtralForCausalLM",
        "MixtralConfig",
        {**_SIZES, "num_key_value_heads": 2, "num_local_experts": 4},
    ),
    "encoder": ("BertForMaskedLM", "BertConfig", _SIZES),
    "encoder-decoder": (
        "T5ForConditionalGeneration",
        "T5Config",
        {"d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 2, "num_heads": 2, "vocab_size": 40},
    ),
    "vision": (
        "ViTForImageClassification",
        "ViTConfig",
        {**_SIZES, "image_size": 32, "patch_size": 16, "num_labels": 3},
    ),
}


def saved(folder: Path, name: str, dtype: torch.dtype = torch.float32) -> Path:
    """Write one of :data:`MODELS` with random weights and return its folder."""
    import transformers

    model_class, config_class, sizes = MODELS[name]
    torch.manual_seed(0)
    model = getattr(transformers, model_class)(getattr(transformers, config_class)(**sizes))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape) / 4)
    transformers.utils.logging.disable_progress_bar()
    model.to(dtype).save_pretrained(folder)
    (folder / "README.md").write_text("---\nlicense: mit\n---\nA model.\n")
    return folder


def weights_of(folder: Path) -> str:
    """The path of a model's weights."""
    return str(folder / "model.safetensors")


def change_weights(folder: Path, change: Callable[[Weights], object]) -> str:
    """Write a model's weights after a change, and return their path."""
    weights = load_file(weights_of(folder))
    change(weights)
    save_file(weights, weights_of(folder), metadata={"format": "pt"})
    return weights_of(folder)


def change_config(folder: Path, **settings: object) -> str:
    """Write a model's ``config.json`` with other settings, and return its path."""
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **settings}))
    return str(path)


def in_fp8(folder: Path, block: int = 16) -> str:
    """Store the projections as 8-bit floats with a scale for each block; return their path."""

    def quantize(weights: Weights) -> None:
        for name in [name for name in weights if name.endswith("_proj.weight")]:
            rows, columns = (-(-side // block) for side in weights[name].shape)
            weights[name] = weights[name].to(torch.float8_e4m3fn)
            weights[f"{name}_scale_inv"] = torch.rand(rows, columns) + 0.5

    change_config(
        folder, quantization_config={"quant_method": "fp8", "weight_block_size": [block, block]}
    )
    return change_weights(folder, quantize)


def in_gptq(folder: Path, group: int = 8) -> str:
    """Store the projections as codes of four bits, eight in a word; return their path."""

    def quantize(weights: Weights) -> None:
        for name in [name for name in weights if name.endswith("_proj.weight")]:
            outputs, inputs = weights.pop(name).shape
            module, groups = name[: -len(".weight")], inputs // group
            weights[f"{module}.qweight"] = _words(inputs // 8, outputs)
            weights[f"{module}.qzeros"] = _words(groups, outputs // 8)
            weights[f"{module}.scales"] = torch.rand(groups, outputs).half() + 0.5
            weights[f"{module}.g_idx"] = torch.arange(inputs, dtype=torch.int32) // group

    settings = {"quant_method": "gptq", "bits": 4, "group_size": group, "sym": False}
    change_config(folder, quantization_config={**settings, "desc_act": False})
    return change_weights(folder, quantize)


def _words(*shape: int) -> torch.Tensor:
    limits = torch.iinfo(torch.int32)
    return torch.randint(limits.min, limits.max, shape, dtype=torch.int32)
