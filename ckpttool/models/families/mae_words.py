"""What a file of a masked autoencoder is and is good for, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpttool.models.family import Kind, Words

if TYPE_CHECKING:
    from mae.config import MAEConfig

#: The sizes of which there are published files.
PUBLISHED = ("mae_vit_base_patch16", "mae_vit_large_patch16", "mae_vit_huge_patch14")

_POOLED = {"norm": "class token, norm", "fc_norm": "mean of the patches, fc_norm"}


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
