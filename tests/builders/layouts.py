"""Catalogues of tensors that exist in name only, in the layouts that checkpoints come in."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ckpttool.files.sources import FileSource
from ckpttool.tensors.catalogue import Extent, TensorInfo
from ckpttool.tensors.dtypes import DTYPES

if TYPE_CHECKING:
    from typing import Iterable

    from ckpttool.models.layouts.renames import Layout

_BLOCK = ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")


def encoder_names(depth: int) -> list[str]:
    """The published encoder's names, written out without the tables under test."""
    return [
        "cls_token",
        "pos_embed",
        *_leaves("patch_embed.proj"),
        *(name for n in range(depth) for stem in _BLOCK for name in _leaves(f"blocks.{n}.{stem}")),
        *_leaves("norm"),
    ]


def decoder_names(depth: int) -> list[str]:
    """The published decoder's names."""
    stems = [f"decoder_blocks.{n}.{stem}" for n in range(depth) for stem in _BLOCK]
    modules = ["decoder_embed", *stems, "decoder_norm", "decoder_pred"]
    leaves = [name for stem in modules for name in _leaves(stem)]
    return ["mask_token", "decoder_pos_embed", *leaves]


def vit_large_names() -> list[str]:
    """All 294 + 104 names of the full ViT-Large."""
    return [*encoder_names(24), *decoder_names(8)]


def _leaves(stem: str) -> tuple[str, str]:
    return f"{stem}.weight", f"{stem}.bias"


def spelled(layout: Layout, canonical: Iterable[str]) -> list[str]:
    """The names of ``layout`` for canonical ones, parts in order, what it drops left out."""
    return [other for name in canonical for other in layout.names_of(name) or ()]


def catalogue(names: Iterable[str], shape: tuple[int, ...] = (2, 2)) -> dict[str, TensorInfo]:
    """Float32 tensors of ``shape``, lying one after the other in a file that nobody opens."""
    return {name: tensor(name, shape, offset=64 * place) for place, name in enumerate(names)}


def tensor(name: str, shape: tuple[int, ...] = (2, 2), *, offset: int = 0) -> TensorInfo:
    """One such tensor."""
    info = TensorInfo(name, DTYPES["float32"], shape, None, ())
    # A source that cannot be read from: the layouts have no business with bytes.
    source = FileSource.__new__(FileSource)
    return info._replace(extents=(Extent(source, offset, info.nbytes),))


class Wrapped(NamedTuple):
    """Names as a training run wraps them.

    Attributes:
        names: those of the file.
        model: canonical names of what is of the model.
        removed: what is taken out, and from how many names; a dot before what is inside of names.
        prefix: what is said to be the prefix.
        beside: names of what is not of the model, as they are listed.
    """

    names: list[str]
    model: list[str]
    removed: list[tuple[str, int]]
    prefix: str
    beside: tuple[str, ...] = ()


def _inside(names: Iterable[str], text: str, *before: str) -> list[str]:
    """``names`` with ``text`` before the first of ``before`` that a name has inside."""
    return [
        next((name.replace(one, f".{text}{one[1:]}") for one in before if one in name), name)
        for name in names
    ]


def _behind(prefix: str, names: Iterable[str]) -> list[str]:
    return [prefix + name for name in names]


def _fsdp(names: Iterable[str]) -> list[str]:
    around_blocks = _inside(names, "_fsdp_wrapped_module.", ".norm1.", ".attn.", ".norm2.", ".mlp.")
    return _behind("_fsdp_wrapped_module.", around_blocks)


def _peft(names: Iterable[str]) -> list[str]:
    """Names of a model with adapters in its attention, as PEFT saves all of it."""
    layers = (".attn.qkv.", ".attn.proj.")
    found = []
    for name in names:
        stem, _, leaf = name.rpartition(".")
        adapted = any(f"{stem}.".endswith(one) for one in layers)
        found.append(f"{stem}.base_layer.{leaf}" if adapted else name)
        if adapted and leaf == "weight":
            found += [f"{stem}.lora_{side}.default.weight" for side in "AB"]
    return _behind("base_model.model.", found)


_ENCODER = encoder_names(2)
_DECODER = decoder_names(1)
_HEAD = ("head.weight", "head.bias")

#: What public files have before and inside of the published names.
WRAPPED = {
    "a module of Lightning": Wrapped(_behind("net.", _ENCODER), _ENCODER, [("net.", 30)], "net."),
    "two modules of Lightning": Wrapped(
        [
            *_behind("backbone.vit.", _ENCODER),
            "backbone.mask_token",
            *_behind("decoder.", _DECODER),
            "online_classifier.linear.weight",
        ],
        [*_ENCODER, *_DECODER],
        [("backbone.vit.", 30), ("decoder.", 20)],
        "backbone.vit.",
        ("backbone.mask_token", "online_classifier.linear.weight"),
    ),
    "compiled around DDP": Wrapped(
        _behind("_orig_mod.module.", _ENCODER),
        _ENCODER,
        [("_orig_mod.module.", 30)],
        "_orig_mod.module.",
    ),
    "DDP in Lightning": Wrapped(
        _behind("model.module.", [*_ENCODER, *_HEAD]),
        _ENCODER,
        [("model.module.", 32)],
        "model.module.",
        _HEAD,
    ),
    "compiled blocks": Wrapped(
        [name.replace("blocks.", "blocks._orig_mod.") for name in _ENCODER],
        _ENCODER,
        [("._orig_mod.", 24)],
        "",
    ),
    "MoCo": Wrapped(
        [
            *_behind("module.base_encoder.", _ENCODER),
            *_behind("module.momentum_encoder.", _ENCODER[:-1]),
            "module.predictor.0.weight",
        ],
        _ENCODER,
        [("module.base_encoder.", 30)],
        "module.base_encoder.",
        (*_behind("module.momentum_encoder.", _ENCODER[:-1]), "module.predictor.0.weight"),
    ),
    "a student and a teacher": Wrapped(
        [*_behind("student.backbone.", _ENCODER), *_behind("teacher.backbone.", _ENCODER)],
        _ENCODER,
        [("student.backbone.", 30)],
        "student.backbone.",
        tuple(_behind("teacher.backbone.", _ENCODER)),
    ),
    "the image tower of CLIP": Wrapped(
        [*_behind("model.visual.trunk.", _ENCODER), "model.text.token_embedding.weight"],
        _ENCODER,
        [("model.visual.trunk.", 30)],
        "model.visual.trunk.",
        ("model.text.token_embedding.weight",),
    ),
    "FSDP around all and around each block": Wrapped(
        _fsdp(_ENCODER),
        _ENCODER,
        [("_fsdp_wrapped_module.", 30), ("._fsdp_wrapped_module.", 24)],
        "_fsdp_wrapped_module.",
    ),
    "blocks that are computed again": Wrapped(
        _inside(_ENCODER, "_checkpoint_wrapped_module.", ".norm1.", ".attn.", ".norm2.", ".mlp."),
        _ENCODER,
        [("._checkpoint_wrapped_module.", 24)],
        "",
    ),
    "adapters of PEFT": Wrapped(
        _peft(_ENCODER),
        _ENCODER,
        [("base_model.model.", 38), (".base_layer.", 8)],
        "base_model.model.",
        tuple(name[17:] for name in _peft(_ENCODER) if ".lora_" in name),
    ),
    "the first of a Sequential": Wrapped(
        [*_behind("encoder.0.", _ENCODER), "encoder.1.weight"],
        _ENCODER,
        [("encoder.0.", 30)],
        "encoder.0.",
        ("encoder.1.weight",),
    ),
    "blocks in a module of their own": Wrapped(
        [f"transformer.{name}" if "blocks" in name else name for name in _ENCODER],
        _ENCODER,
        [("transformer.", 24)],
        "transformer.",
    ),
    "a detector": Wrapped(
        [
            *_behind("backbone.net.", [name for name in _ENCODER if "blocks" in name]),
            *_behind("backbone.net.", ["pos_embed", "blocks.0.attn.rel_pos_h"]),
            "backbone.simfp_2.0.weight",
        ],
        [*(name for name in _ENCODER if "blocks" in name), "pos_embed"],
        [("backbone.net.", 26)],
        "backbone.net.",
        ("blocks.0.attn.rel_pos_h", "backbone.simfp_2.0.weight"),
    ),
}


def _numbered(stem: str, blocks: int, modules: Iterable[str]) -> list[str]:
    stems = [f"{stem}{number}.{module}" for number in range(blocks) for module in modules]
    return [name for one in stems for name in _leaves(one)]


_VIT_BLOCK = _BLOCK
_SWIN = [name for stage in range(4) for name in _numbered(f"layers.{stage}.blocks.", 2, _VIT_BLOCK)]

#: Models of which some names are those of a masked autoencoder, by what has such names.
OTHER_MODELS = {
    "ResNet": [
        "conv1.weight",
        *_leaves("bn1"),
        *_numbered("layer1.", 2, ("conv1", "bn1", "conv2", "bn2")),
        *_leaves("fc"),
    ],
    "Swin": [*_leaves("patch_embed.proj"), *_leaves("patch_embed.norm"), *_SWIN, *_leaves("norm")],
    "Swin in a detector": [
        *_behind("backbone.", [*_leaves("patch_embed.proj"), *_SWIN, *_leaves("norm0")]),
        *_leaves("decode_head.conv_seg"),
    ],
    "BERT": [
        "bert.embeddings.position_embeddings.weight",
        *_numbered(
            "bert.encoder.layer.",
            2,
            (
                "attention.self.query",
                "attention.self.key",
                "attention.self.value",
                "attention.output.dense",
                "attention.output.LayerNorm",
                "intermediate.dense",
                "output.dense",
                "output.LayerNorm",
            ),
        ),
    ],
    "CLIP": [
        "visual.class_embedding",
        "visual.conv1.weight",
        *(
            name
            for tower in ("visual.transformer.", "transformer.")
            for name in _numbered(
                f"{tower}resblocks.", 2, ("ln_1", "attn.out_proj", "mlp.c_fc", "mlp.c_proj")
            )
        ),
    ],
    "CLIP of transformers": [
        "vision_model.embeddings.class_embedding",
        *_numbered(
            "vision_model.encoder.layers.",
            2,
            (
                "layer_norm1",
                "self_attn.q_proj",
                "self_attn.k_proj",
                "self_attn.v_proj",
                "self_attn.out_proj",
                "layer_norm2",
                "mlp.fc1",
                "mlp.fc2",
            ),
        ),
    ],
    "OPT": [
        "model.decoder.embed_tokens.weight",
        *_numbered(
            "model.decoder.layers.",
            2,
            (
                "self_attn.q_proj",
                "self_attn.k_proj",
                "self_attn.v_proj",
                "self_attn.out_proj",
                "self_attn_layer_norm",
                "fc1",
                "fc2",
                "final_layer_norm",
            ),
        ),
    ],
    "DETR": _numbered(
        "transformer.encoder.layers.", 2, ("self_attn", "linear1", "linear2", "norm1", "norm2")
    ),
    "MLP-Mixer": [
        *_leaves("stem.proj"),
        *_numbered(
            "blocks.",
            2,
            (
                "norm1",
                "mlp_tokens.fc1",
                "mlp_tokens.fc2",
                "norm2",
                "mlp_channels.fc1",
                "mlp_channels.fc2",
            ),
        ),
        *_leaves("norm"),
    ],
    "DINOv2 in chunks": [
        "mask_token",
        *_leaves("patch_embed.proj"),
        *(name for chunk in range(3) for name in _numbered(f"blocks.{chunk}.", 2, _VIT_BLOCK)),
    ],
    "adapters alone": [
        f"base_model.model.blocks.{number}.attn.qkv.lora_{side}.weight"
        for number in range(2)
        for side in "AB"
    ],
    "chance names": ["cls_token", "mask_token", "pos_embed", "fc.weight", "fc.bias"],
}
