"""The names of models in transformers, as it builds them, tell what they are."""

from __future__ import annotations

from typing import Any, Callable

import pytest
import torch

from ckpttool.models.neighbours import neighbour_of

transformers: Any = pytest.importorskip("transformers")

SMALL = {
    "num_hidden_layers": 2,
    "hidden_size": 32,
    "num_attention_heads": 2,
    "intermediate_size": 64,
}
DECODER = {
    "decoder_num_hidden_layers": 1,
    "decoder_hidden_size": 32,
    "decoder_num_attention_heads": 2,
}
STAGES = {"depths": [1, 1], "num_heads": [1, 1], "embed_dim": 8}


def of(model: str, config: str, **sizes: Any) -> Callable[[], Any]:
    def build() -> Any:
        made = getattr(transformers, config, None)
        if made is None:
            pytest.skip(f"this transformers has no {config}")
        return getattr(transformers, model)(made(**sizes))

    return build


TOLD = {
    "VideoMAE": of("VideoMAEForPreTraining", "VideoMAEConfig", **SMALL, **DECODER),
    "BEiT": of("BeitModel", "BeitConfig", **SMALL, use_relative_position_bias=True),
    "DINOv2": of("Dinov2Model", "Dinov2Config", **SMALL),
    "DINOv3": of("DINOv3ViTModel", "DINOv3ViTConfig", **SMALL),
    "CLIP": of("CLIPVisionModel", "CLIPVisionConfig", **SMALL),
    "SigLIP": of("SiglipVisionModel", "SiglipVisionConfig", **SMALL),
    "Swin": of("SwinModel", "SwinConfig", **STAGES),
    "ConvNeXt": of("ConvNextModel", "ConvNextConfig", hidden_sizes=[8] * 4, depths=[1] * 4),
    "ResNet": of("ResNetModel", "ResNetConfig"),
    "BERT": of("BertModel", "BertConfig", **SMALL, vocab_size=64),
    "GPT-2": of("GPT2Model", "GPT2Config", n_layer=1),
    "Llama": of("LlamaModel", "LlamaConfig", **SMALL, vocab_size=64),
}
NOT_TOLD = {
    "an MAE": of("ViTMAEForPreTraining", "ViTMAEConfig", **SMALL, **DECODER),
    "a ViT": of("ViTModel", "ViTConfig", **SMALL),
    "a video model with all biases": of("VivitModel", "VivitConfig", **SMALL),
}


def name_of(build: Callable[[], Any]) -> str | None:
    with torch.device("meta"):
        shapes = {name: tuple(tensor.shape) for name, tensor in build().state_dict().items()}
    found = neighbour_of(shapes)
    return None if found is None else found.name


@pytest.mark.parametrize("name", TOLD)
def test_a_model_is_told(name: str) -> None:
    assert name_of(TOLD[name]) == name


@pytest.mark.parametrize("what", NOT_TOLD)
def test_a_model_without_markers_is_not(what: str) -> None:
    assert name_of(NOT_TOLD[what]) is None
