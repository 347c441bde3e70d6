"""Masked autoencoders (arXiv:2111.06377), by the names of the published files."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Callable, Mapping

from ckpttool.models.families.mae_comparing import at_image, contradicts, fitted
from ckpttool.models.families.mae_forward import MAE_FORWARD
from ckpttool.models.families.mae_restoring import MAE_RESTORING
from ckpttool.models.families.mae_sizes import FREE, read_sizes
from ckpttool.models.families.mae_words import with_all, words_of
from ckpttool.models.families.vit_mae_config import VIT_MAE_CONFIG, hints_of
from ckpttool.models.family import Family, Positions, SizeReader
from mae.config import CONFIGS, DEFAULT, is_decoder_name, is_head_name

if TYPE_CHECKING:
    from ckpttool.models.layouts.conventions import Convention
    from ckpttool.models.layouts.renames import Layout, NameRule
    from mae.config import MAEConfig


def _load() -> Callable[..., Any]:
    # not from mae.large: it loads its names late, and an error in torch would look like its own
    from mae.large.classifier import ViTClassifier
    from mae.large.mae_vit_large import MAEViTLarge

    def build(config: MAEConfig, **options: Any) -> Any:
        return (ViTClassifier if config.num_classes else MAEViTLarge)(config, **options)

    return build


def _load_layouts() -> tuple[Layout, ...]:
    from ckpttool.models.layouts import facebook, hf_vitmae, openmmlab

    return (
        facebook.FACEBOOK,
        # before V5_SAVED, which spells an encoder alone the same: of equals the first is reported
        hf_vitmae.HF_VITMAE,
        hf_vitmae.HF_VITMAE_V5_SAVED,
        hf_vitmae.HF_VITMAE_V5,
        hf_vitmae.HF_VITMAE_MODEL,
        hf_vitmae.HF_VITMAE_MODEL_V5,
        openmmlab.MMPRETRAIN,
        openmmlab.MMSEG,
    )


def _load_alternatives() -> tuple[NameRule, ...]:
    from ckpttool.models.layouts.alternatives import ALTERNATIVES

    return ALTERNATIVES


def _load_conventions() -> Mapping[str, Convention]:
    from ckpttool.models.layouts.conventions import CONVENTIONS

    return CONVENTIONS


def _table(width: int, config: MAEConfig) -> Positions | None:
    if width % 4:
        return None
    # late: most commands read no values, and do without numpy
    from mae.large.pos_embed import get_1d_positions, get_1d_sincos_pos_embed

    encode = partial(get_1d_sincos_pos_embed, width // 2)
    return Positions(*config.grid, config.rows_before, encode, get_1d_positions)


def _group_of(name: str) -> str:
    if is_decoder_name(name):
        return "decoder"
    return "head" if is_head_name(name) else "encoder"


MAE = Family(
    name="mae",
    sizes=CONFIGS,
    default=DEFAULT,
    shapes=lambda config: config.shapes,
    load=_load,
    forward=MAE_FORWARD,
    groups=("encoder", "decoder", "head"),
    group_of=_group_of,
    stacks={"blocks": "encoder", "decoder_blocks": "decoder"},
    rows={
        "norms": ("norm1", "norm2"),
        "qkv": ("attn.qkv",),
        "proj": ("attn.proj",),
        "fc1": ("mlp.fc1",),
        "fc2": ("mlp.fc2",),
    },
    load_layouts=_load_layouts,
    load_conventions=_load_conventions,
    # three, because a file may lack tensors; the third is for a decoder alone
    anchors=("patch_embed.proj.weight", "blocks.0.norm1.weight", "decoder_embed.weight"),
    patches="patch_embed.proj.weight",
    tables={
        "pos_embed": lambda config: _table(config.embed_dim, config),
        "decoder_pos_embed": lambda config: _table(config.decoder_embed_dim, config),
    },
    layernorms=r"(?:^|\.)(?:norm\d*|decoder_norm|fc_norm)\.(weight|bias)$",
    classifier=("head.", "fc_norm.", "classifier."),  # the last is Hugging Face's
    config_file=VIT_MAE_CONFIG,
    # beside the links in the README of https://github.com/facebookresearch/mae; six hexadecimal
    # digits are what is known, so equality is as certain as 24 bits make it
    published={
        "mae_pretrain_vit_base.pth": "8cad7c",
        "mae_pretrain_vit_large.pth": "b8b06e",
        "mae_pretrain_vit_huge.pth": "9bdbb0",
        "mae_finetuned_vit_base.pth": "1b25e9",
        "mae_finetuned_vit_large.pth": "51f550",
        "mae_finetuned_vit_huge.pth": "2541f2",
    },
    published_at="https://dl.fbaipublicfiles.com/mae/",
    depths={"blocks": "depth", "decoder_blocks": "decoder-depth"},
    fused={"attn.qkv": ("query", "key", "value")},
    dtypes={"head.0.num_batches_tracked": "int64"},
    words=words_of,
    with_all=with_all,
    reading=SizeReader(read_sizes, contradicts, fitted, hints_of, FREE, at_image),
    restoring=MAE_RESTORING,
    load_alternatives=_load_alternatives,
)
