"""Catalogues of tensors that exist in name only, in the layouts that checkpoints come in."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
