"""What a file of a masked autoencoder is and is good for, in words."""

from __future__ import annotations

from ckpttool.findings.text import count
from ckpttool.models.family import Kind, Words
from mae.config import MAEConfig, hidden_width

#: The sizes of which there are published files.
PUBLISHED = ("mae_vit_base_patch16", "mae_vit_large_patch16", "mae_vit_huge_patch14")

_POOLED = {"norm": "class token, norm", "fc_norm": "mean of the patches, fc_norm"}


#: Widths of arXiv:2010.11929, arXiv:2012.12877 and arXiv:2106.04560 -> letter, depth and heads.
VITS = {
    192: ("Ti", 12, 3),
    384: ("S", 12, 6),
    768: ("B", 12, 12),
    1024: ("L", 24, 16),
    1280: ("H", 32, 16),
    1408: ("g", 40, 16),
    1664: ("G", 48, 16),
}


def words_of(kind: Kind, config: MAEConfig, name: str) -> Words:
    """Return what a file is called, what it is, and what it is good for.

    Args:
        kind: what the file has of the model.
        config: the sizes of the model.
        name: a known name, or the sizes in words.
    """
    if kind is Kind.FULL:
        return Words(
            "full",
            f"{name}, encoder and decoder",
            "for pre-training, reconstruction, and all that an encoder is for",
        )
    if kind is Kind.CLASSIFIER:
        classes = f"{config.num_classes:,} class{'es' if config.num_classes != 1 else ''}"
        what = "linear probe" if config.probe else "classifier"
        pooled = _POOLED.get(config.pooling, "class token")
        return Words(
            "classifier",
            f"a {what} of {classes} on the encoder of {name} ({pooled})",
            "for these classes as it is; without its head, for features and fine-tuning",
        )
    if kind is Kind.BACKBONE:
        how = ["relative positions"] if config.rel_pos else []
        how += [] if config.class_token else ["no class token"]
        how += ["no last norm"] if config.pooling == "none" else []
        told = f" ({', '.join(how)})" if how else ""
        return Words(
            "backbone",
            f"a detector or segmenter with the encoder of {name} as its backbone{told}",
            "for the model that it belongs to; without its heads, for fine-tuning",
        )
    both = with_all(name)
    theirs = f" ({both[-1]} has one)" if both else ""
    return Words(
        "encoder",
        f"the encoder of {name}",
        f"for features and fine-tuning; without a decoder{theirs} it reconstructs no images",
    )


def with_all(name: str) -> tuple[str, ...]:
    """Return the published files of a known size that have the decoder; ``()`` of any other."""
    if name not in PUBLISHED:
        return ()
    size = name[len("mae_") :].rpartition("_")[0]  # mae_vit_large_patch16
    return (f"mae_pretrain_{size}_full.pth", f"mae_visualize_{size}.pth")


def described(config: MAEConfig, with_decoder: bool) -> str:
    """Return a model of no known size in words: ``ViT-B/16 MAE at 448 px, decoder 4 x 256``."""
    letter, depth, _ = VITS.get(config.embed_dim, ("", 0, 0))
    # relative positions and no class token are those of detectors' backbones
    kind = "" if config.rel_pos else " MAE"
    name = f"ViT-{letter}/{config.patch_size}{kind}"
    if depth != config.depth:
        blocks = count(config.depth, "block")
        name = f"ViT/{config.patch_size}{kind} of {blocks} of width {config.embed_dim}"
    height, width = config.image
    published = MAEConfig(embed_dim=config.embed_dim, depth=config.depth, num_heads=1)
    size = f"{height}" if height == width else f"{height} x {width}"
    parts = [f"{name} at {size} px"]
    if config.in_chans != published.in_chans:
        parts.append(f"{config.in_chans} channel{'s' if config.in_chans != 1 else ''}")
    hidden = hidden_width(config.embed_dim, config.mlp_ratio)
    if hidden != 4 * config.embed_dim:
        parts.append(f"{hidden} wide within the MLP")
    if not config.class_token and not config.rel_pos and not config.class_row:
        parts.append("no class token")
    if not config.qkv_bias:
        parts.append("no bias in qkv")
    decoder = config.decoder_depth, config.decoder_embed_dim
    if with_decoder and decoder != (published.decoder_depth, published.decoder_embed_dim):
        parts.append(f"decoder {config.decoder_depth} x {config.decoder_embed_dim}")
    return ", ".join(parts)
