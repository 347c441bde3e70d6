"""Files of each kind that people hand in, small, and what they are told to be.

Weights are random where a model learns them, so that nothing looks untrained, and tables are exact.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ckpttool.models.layouts import hf_vitmae
from mae.config import MAEConfig, is_decoder_name, is_head_name
from mae.large.pos_embed import get_2d_sincos_pos_embed
from tests.builders import neighbours
from tests.builders.sizes import TINY as TINY

State = Dict[str, Tensor]

_VIT = "ViT/8 MAE of 2 blocks of width 16 at 32 px"
_DECODER = "decoder 1 x 8"
_ENCODER_USE = "for features and fine-tuning; without a decoder it reconstructs no images"
_FULL_USE = "for pre-training, reconstruction, and all that an encoder is for"
_CLASSIFIER_USE = "for these classes as it is; without its head, for features and fine-tuning"
_BACKBONE_USE = "for the model that it belongs to; without its heads, for fine-tuning"


class KindCase(NamedTuple):
    """A file, and its diagnosis.

    Attributes:
        title: what it is called on the page.
        content: what ``torch.save`` writes.
        kind: the key of the diagnosis.
        text: its first line.
        code: of the error that ``verify`` ends with; ``""`` where it passes.
    """

    title: str
    content: Callable[[], Any]
    kind: str
    text: str
    code: str = ""


def trained(config: MAEConfig = TINY, seed: int = 0) -> State:
    """All tensors of a model, as if it was trained."""
    generator = torch.Generator().manual_seed(seed)
    state = {
        name: torch.randn(shape, generator=generator) * 0.1 + (1 if _is_gain(name) else 0)
        for name, shape in config.shapes.items()
    }
    for name in {"pos_embed", "decoder_pos_embed"} & state.keys():
        width = state[name].shape[-1]
        table = get_2d_sincos_pos_embed(width, config.grid, cls_token=config.rows_before > 0)
        state[name] = torch.from_numpy(table).float()[None]
    if config.probe:
        state["head.0.running_var"] = state["head.0.running_var"].abs() + 0.5
        state["head.0.num_batches_tracked"] = torch.tensor(90)
    return state


def _is_gain(name: str) -> bool:
    return "norm" in name and name.endswith("weight")


def encoder(config: MAEConfig = TINY) -> State:
    """The encoder of a trained model, as most published files have it."""
    state = trained(config)
    return {name: state[name] for name in state if not is_decoder_name(name)}


def _behind(prefix: str, state: State) -> State:
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


def _random(shapes: neighbours.Shapes) -> State:
    return {name: torch.rand(shape) for name, shape in shapes.items()}


def training_checkpoint() -> object:
    """What the published training code saves: weights, optimizer and progress."""
    return {"model": trained(), "optimizer": {"state": {}, "param_groups": []}, "epoch": 799}


def averaged_beside() -> object:
    """Weights and their exponential moving average."""
    raw = encoder()
    average = {name: tensor * 0.999 for name, tensor in raw.items()}
    average["pos_embed"] = raw["pos_embed"]
    return {"state_dict": raw, "state_dict_ema": average, "epoch": 30}


def interpolated() -> object:
    """An encoder for images twice as large, its table interpolated as fine-tuning scripts do."""
    config = TINY._replace(img_size=64)
    state = encoder(config)
    table = encoder()["pos_embed"]
    grid = table[:, 1:].reshape(1, 4, 4, 16).permute(0, 3, 1, 2)
    grid = functional.interpolate(grid, size=(8, 8), mode="bicubic", align_corners=False)
    patches = grid.permute(0, 2, 3, 1).reshape(1, 64, 16)
    return {**state, "pos_embed": torch.cat([table[:, :1], patches], 1)}


def learned() -> object:
    """A supervised ViT with exactly the names of an encoder."""
    state = encoder()
    generator = torch.Generator().manual_seed(15)
    return {**state, "pos_embed": 0.02 * torch.randn(state["pos_embed"].shape, generator=generator)}


def detector() -> object:
    """A detector around an encoder without a class token, with relative positions."""
    config = TINY._replace(
        class_token=False, class_row=True, decoder_depth=0, pooling="none", rel_pos=(7, 5)
    )
    heads = {"roi_heads.box_predictor.cls_score.weight": torch.rand(81, 16)}
    return {"model": {**_behind("backbone.net.", trained(config)), **heads}}


def segmenter() -> object:
    """A segmenter around an encoder."""
    heads = {"decode_head.conv_seg.weight": torch.rand(5, 16, 1, 1)}
    return {"state_dict": {**_behind("backbone.", encoder()), **heads}}


def lightning() -> object:
    """Encoder and decoder behind prefixes of their own, and a probe beside."""
    state = trained()
    split = {
        (f"decoder.{name}" if is_decoder_name(name) else f"backbone.vit.{name}"): tensor
        for name, tensor in state.items()
    }
    return {"state_dict": {**split, "online_classifier.weight": torch.rand(3, 16)}}


def other_spelling() -> object:
    """A fork with query, key and value apart, and its MLP without a module around."""
    out: State = {}
    for name, tensor in encoder().items():
        if ".attn.qkv." in name:
            for part, piece in zip("qkv", tensor.chunk(3)):
                out[name.replace("attn.qkv", f"attn.{part}_proj")] = piece.clone()
        else:
            out[name.replace(".mlp.fc", ".fc")] = tensor
    return {"model": out}


def beit() -> object:
    """A BEiT, which has relative positions, layer scales, and biases of query and value alone."""
    state = encoder(TINY._replace(qkv_bias=False))
    del state["pos_embed"]
    for block in range(2):
        for name in ("attn.q_bias", "attn.v_bias", "gamma_1", "gamma_2"):
            state[f"blocks.{block}.{name}"] = torch.rand(16)
        state[f"blocks.{block}.attn.relative_position_bias_table"] = torch.rand(52, 2)
    return {"model": state}


def of_transformers() -> State:
    """A classifier in the names of Hugging Face's ViTForImageClassification."""
    config = TINY._replace(num_classes=5)
    state = trained(config)
    out: State = {}
    for name, tensor in state.items():
        others = hf_vitmae.HF_VITMAE.names_of(name) or (name,)
        out.update(zip(others, tensor.chunk(len(others))))
    return out


def never_loaded() -> object:
    """A decoder as it was initialised, behind an encoder that is trained."""
    state = trained()
    generator = torch.Generator().manual_seed(29)
    for name in filter(is_decoder_name, state):
        tensor = state[name]
        if tensor.dim() == 2:
            bound = (6 / sum(tensor.shape)) ** 0.5
            state[name] = (torch.rand(tensor.shape, generator=generator) * 2 - 1) * bound
        elif tensor.dim() == 1:
            state[name] = torch.full_like(tensor, 1.0 if _is_gain(name) else 0.0)
    return {"model": state}


def lost_biases() -> object:
    """A trained model whose biases of query, key and value were lost on the way."""
    state = trained()
    return {
        name: torch.zeros_like(tensor) if name.endswith("attn.qkv.bias") else tensor
        for name, tensor in state.items()
    }


def diverged() -> object:
    """A run that ended in NaN."""
    return {name: torch.full_like(tensor, float("nan")) for name, tensor in trained().items()}


def decoder_alone() -> object:
    """The decoder without its encoder."""
    state = trained()
    return {name: state[name] for name in state if is_decoder_name(name)}


def with_adapters() -> object:
    """A classifier whose blocks were fine-tuned with adapters beside their MLPs."""
    state = trained(TINY._replace(num_classes=5))
    for stem in ("blocks.0.adaptmlp", "blocks.1.adaptmlp"):
        state.update(
            {f"{stem}.down_proj.weight": torch.rand(4, 16), f"{stem}.scale": torch.rand(1)}
        )
    return {"model": state}


def not_merged() -> State:
    """A classifier of transformers in the state dict of its PEFT model, the trained head too."""
    out: State = {}
    for name, tensor in of_transformers().items():
        stem, _, leaf = name.rpartition(".")
        if stem.endswith("attention.query"):
            out[f"{stem}.base_layer.{leaf}"] = tensor
            out[f"{stem}.lora_A.default.weight"] = torch.rand(4, 16)
            out[f"{stem}.lora_B.default.weight"] = torch.rand(16, 4)
        elif stem == "classifier":
            out[f"{stem}.original_module.{leaf}"] = tensor
            out[f"{stem}.modules_to_save.default.{leaf}"] = tensor + 1
        else:
            out[name] = tensor
    return _behind("base_model.model.", out)


def convolutional_stem() -> object:
    """The encoder of a detector with convolutions in place of its patch embedding."""
    state = encoder(TINY._replace(class_token=False))
    patches = [name for name in state if name.startswith("patch_embed")]
    for number, (few, many) in enumerate([(3, 4), (4, 8), (8, 12), (12, 16)]):
        state[f"patch_embed.proj.{number}.0.weight"] = torch.rand(many, few, 3, 3)
        state[f"patch_embed.proj.{number}.1.weight"] = torch.rand(many)
    return {"model": {name: state[name] for name in state if name not in patches}}


def flat_table() -> object:
    """An encoder whose position table lost the axis of the batch."""
    state = encoder()
    return {**state, "pos_embed": state["pos_embed"][0]}


def no_class_row() -> object:
    """An encoder of a model that adds no position to its class token."""
    state = encoder()
    return {**state, "pos_embed": state["pos_embed"][:, 1:]}


def pruned() -> object:
    """An encoder of which half of a block's heads and a part of its MLP were taken out."""
    state = encoder(TINY._replace(num_heads=2))
    for name, rows, columns in (
        ("attn.qkv", 24, 16),
        ("attn.proj", 16, 8),
        ("mlp.fc1", 48, 16),
        ("mlp.fc2", 16, 48),
    ):
        weight, bias = f"blocks.1.{name}.weight", f"blocks.1.{name}.bias"
        state[weight] = state[weight][:rows, :columns].clone()
        state[bias] = state[bias][:rows].clone()
    return {"model": state}


def linear_patches() -> object:
    """An encoder whose patch embedding is a linear layer over the pixels of a patch."""
    state = encoder()
    return {**state, "patch_embed.proj.weight": state["patch_embed.proj.weight"].flatten(1)}


def both_norms() -> State:
    """A fine-tuned classifier with the last norm of the encoder that it was made of."""
    return {**encoder(), **trained(TINY._replace(num_classes=5, pooling="fc_norm"))}


def entrance() -> State:
    """What another model took of an MAE: patches and positions, without blocks."""
    state = encoder()
    names = [name for name in state if name.startswith(("patch_embed", "pos_embed"))]
    return _behind("vision_encoder.", {name: state[name] for name in names})


def headless(config: MAEConfig) -> State:
    """A classifier without its head."""
    state = trained(config)
    return {name: state[name] for name in state if not is_head_name(name)}


CASES: List[KindCase] = [
    KindCase("An encoder", encoder, "encoder", f"the encoder of {_VIT}: {_ENCODER_USE}"),
    KindCase(
        "The whole model",
        trained,
        "full",
        f"{_VIT}, {_DECODER}, encoder and decoder: {_FULL_USE}",
    ),
    KindCase(
        "An image that is not square",
        lambda: trained(TINY._replace(img_size=(32, 24), in_chans=1)),
        "full",
        "ViT/8 MAE of 2 blocks of width 16 at 32 x 24 px, 1 channel, "
        f"{_DECODER}, encoder and decoder: {_FULL_USE}",
    ),
    KindCase(
        "A table that was interpolated",
        interpolated,
        "encoder",
        f"the encoder of {_VIT.replace('32 px', '64 px')}: {_ENCODER_USE}",
    ),
    KindCase(
        "A fine-tuned classifier",
        lambda: trained(TINY._replace(num_classes=5, pooling="fc_norm")),
        "classifier",
        f"a classifier of 5 classes on the encoder of {_VIT} (mean of the patches, fc_norm): "
        f"{_CLASSIFIER_USE}",
    ),
    KindCase(
        "A linear probe",
        lambda: trained(TINY._replace(num_classes=5, probe=True)),
        "classifier",
        f"a linear probe of 5 classes on the encoder of {_VIT} (class token, norm): "
        f"{_CLASSIFIER_USE}",
    ),
    KindCase(
        "A classifier of transformers",
        of_transformers,
        "classifier",
        f"a classifier of 5 classes on the encoder of {_VIT} (class token, norm): "
        f"{_CLASSIFIER_USE}",
    ),
    KindCase(
        "A training checkpoint",
        training_checkpoint,
        "full",
        f"{_VIT}, {_DECODER}, encoder and decoder: {_FULL_USE}; in a training checkpoint "
        "(epoch 799)",
    ),
    KindCase(
        "Averaged weights beside",
        averaged_beside,
        "encoder",
        f"the encoder of {_VIT}: {_ENCODER_USE}; in a training checkpoint (epoch 30); averaged "
        "weights (EMA) lie beside, under state_dict_ema",
    ),
    KindCase(
        "A detector",
        detector,
        "backbone",
        "a detector or segmenter with the encoder of ViT/8 of 2 blocks of width 16 at 32 px as "
        f"its backbone (relative positions, no class token, no last norm): {_BACKBONE_USE}",
    ),
    KindCase(
        "A segmenter",
        segmenter,
        "backbone",
        f"a detector or segmenter with the encoder of {_VIT} as its backbone: {_BACKBONE_USE}",
    ),
    KindCase(
        "Two prefixes",
        lightning,
        "full",
        f"{_VIT}, {_DECODER}, encoder and decoder: {_FULL_USE}",
    ),
    KindCase(
        "Another spelling",
        other_spelling,
        "encoder",
        f"the encoder of {_VIT}: {_ENCODER_USE}",
    ),
    KindCase(
        "A ViT that is no MAE",
        learned,
        "other",
        "a ViT with learned positions, as supervised, DINO or DeiT ones have, with the names of "
        f"the encoder of {_VIT}",
        "MOD010",
    ),
    KindCase(
        "A BEiT",
        beit,
        "other",
        "a BEiT, or a model of its code such as EVA or CAE, 2 blocks of width 16, patches of 8 x "
        "8: an MAE could take the weights of the blocks and the patch embedding (only q and v "
        "have biases: those of k are zeros); layer scales have no place there; it lacks a "
        "position table and the decoder",
        "STR023",
    ),
    KindCase(
        "A decoder that was never loaded",
        never_loaded,
        "full",
        f"{_VIT}, {_DECODER}, encoder and decoder: {_FULL_USE}",
        "MOD008",
    ),
    KindCase(
        "Biases that were lost",
        lost_biases,
        "full",
        f"{_VIT}, {_DECODER}, encoder and decoder: {_FULL_USE}",
        "NUM009",
    ),
    KindCase(
        "A run that diverged",
        diverged,
        "full",
        f"{_VIT}, {_DECODER}, encoder and decoder: {_FULL_USE}",
        "NUM001",
    ),
    KindCase(
        "A decoder alone",
        decoder_alone,
        "part",
        "a part of a model of the family mae, without its encoder",
        "STR001",
    ),
    KindCase(
        "Patches and positions alone",
        entrance,
        "part",
        "a part of a model of the family mae, without the blocks of its encoder",
        "STR001",
    ),
    KindCase(
        "Adapters in its blocks",
        with_adapters,
        "classifier",
        f"a classifier of 5 classes on the encoder of {_VIT} (class token, norm), with parts in "
        "its blocks that MAE has not: adaptmlp",
    ),
    KindCase(
        "Adapters of PEFT that are not merged",
        not_merged,
        "classifier",
        f"a classifier of 5 classes on the encoder of {_VIT} (class token, norm), with parts in "
        "its blocks that MAE has not: attention.attention.query.lora_A, "
        "attention.attention.query.lora_B",
    ),
    KindCase(
        "Adapters alone",
        lambda: _random(neighbours.adapters()),
        "other",
        "low-rank adapters (lora_A and lora_B of PEFT), which are added to the weights of a model",
        "STR023",
    ),
    KindCase(
        "Flat parameters",
        lambda: _random(neighbours.flat()),
        "other",
        "a model in flat parameters of FSDP, which have neither the names nor the shapes of its "
        "tensors (save it with FULL_STATE_DICT)",
        "STR023",
    ),
    KindCase(
        "A ViT of volumes",
        lambda: _random(neighbours.monai()),
        "other",
        "a ViT of MONAI, 2 blocks of width 8: an MAE could take the weights of the blocks under "
        "other names; it lacks a patch embedding and a position table of MAE's names and the "
        "decoder",
        "STR023",
    ),
    KindCase(
        "Convolutions in place of patches",
        convolutional_stem,
        "encoder",
        "the encoder of ViT/16 MAE of 2 blocks of width 16 at 64 px, no class token, incomplete: "
        "2 of 29 encoder tensors missing, or of another shape or type, while 8 others have no "
        "place in it",
        "STR001",
    ),
    KindCase(
        "A table without the axis of the batch",
        flat_table,
        "encoder",
        f"the encoder of {_VIT}, incomplete: 1 of 30 encoder tensors missing, or of another shape "
        "or type",
        "STR005",
    ),
    KindCase(
        "A table without the class token's row",
        no_class_row,
        "encoder",
        f"the encoder of {_VIT}, incomplete: 1 of 30 encoder tensors missing, or of another shape "
        "or type",
        "STR005",
    ),
    KindCase(
        "Pixels to patches by a linear layer",
        linear_patches,
        "encoder",
        f"the encoder of {_VIT}, incomplete: 1 of 30 encoder tensors missing, or of another shape "
        "or type",
        "STR005",
    ),
    KindCase(
        "A pruned encoder",
        pruned,
        "encoder",
        f"the encoder of {_VIT}, incomplete: 6 of 30 encoder tensors missing, or of another shape "
        "or type",
        "STR005",
    ),
    KindCase(
        "A classifier with both last norms",
        both_norms,
        "classifier",
        f"a classifier of 5 classes on the encoder of {_VIT} (mean of the patches, fc_norm): "
        f"{_CLASSIFIER_USE}",
    ),
    KindCase(
        "Names that nobody knows",
        lambda: {"any.weight": torch.rand(3, 3)},
        "unknown",
        "not known: the names are in none of the conventions of a known model",
        "STR023",
    ),
]
