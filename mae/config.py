"""The sizes of the published masked autoencoders, as one table. Imports no framework."""

from __future__ import annotations

from math import prod
from typing import NamedTuple, Optional, Tuple, Union


class MAEConfig(NamedTuple):
    """What makes one masked autoencoder, or a model that was made from its encoder.

    Widths are in features, ``img_size`` and ``patch_size`` in pixels.

    Attributes:
        img_size: the side of square images, or (height, width).
        mlp_ratio: the width within an MLP, in widths of its block.
        decoder_mlp_ratio: the same in the decoder; ``None`` for the encoder's.
        class_token: whether a class token goes before the patches.
        class_row: whether the position table has a row for a class token that is not there, as the
            backbones of detectors keep it.
        qkv_bias: whether query, key and value have a bias.
        decoder_depth: 0 for a model without a decoder.
        num_classes: of a classifier, which has a head in place of the decoder; 0 for none.
        pooling: what a classifier looks at and which LayerNorm is the last: the class token after
            ``norm``, or the mean of the patches before ``fc_norm``; ``none`` for no last LayerNorm.
        probe: whether the head is a linear probe's, with a BatchNorm before its linear layer.
        rel_pos: of each block, the number of relative positions along one axis, as in the
            backbones of detectors (arXiv:2203.16527); empty for none.
    """

    embed_dim: int
    depth: int
    num_heads: int
    patch_size: int = 16
    img_size: Union[int, Tuple[int, int]] = 224
    in_chans: int = 3
    mlp_ratio: float = 4.0
    decoder_embed_dim: int = 512
    decoder_depth: int = 8
    decoder_num_heads: int = 16
    layer_norm_eps: float = 1e-6
    norm_pix_loss: bool = False
    decoder_mlp_ratio: Optional[float] = None
    class_token: bool = True
    class_row: bool = False
    qkv_bias: bool = True
    num_classes: int = 0
    pooling: str = "norm"
    probe: bool = False
    rel_pos: Tuple[int, ...] = ()

    @property
    def image(self) -> tuple[int, int]:
        """Height and width of an image, in pixels."""
        size = self.img_size
        return (size, size) if isinstance(size, int) else size

    @property
    def grid(self) -> tuple[int, int]:
        """Patches of one image: rows and columns."""
        height, width = self.image
        return height // self.patch_size, width // self.patch_size

    @property
    def num_patches(self) -> int:
        """Patches of one image."""
        rows, columns = self.grid
        return rows * columns

    @property
    def tokens(self) -> int:
        """Tokens of one image: its patches, and the class token if there is one."""
        return self.num_patches + self.class_token

    @property
    def rows_before(self) -> int:
        """Rows of the position table that are no patch's."""
        return int(self.class_token or self.class_row)

    @property
    def has_decoder(self) -> bool:
        """Whether there is a decoder."""
        return self.decoder_depth > 0 and not self.num_classes

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name to shape of every tensor of the model, in the order of its state dict.

        Spelled out, so that names and shapes can be compared with a file's without torch. All are
        float32, but for the count of a probe's BatchNorm.
        """
        width, narrow = self.embed_dim, self.decoder_embed_dim
        side = self.patch_size
        positions = self.num_patches + self.rows_before
        shapes: dict[str, tuple[int, ...]] = {}
        if self.class_token:
            shapes["cls_token"] = (1, 1, width)
        shapes["pos_embed"] = (1, positions, width)
        if self.has_decoder:
            shapes["mask_token"] = (1, 1, narrow)
            shapes["decoder_pos_embed"] = (1, positions, narrow)
        shapes["patch_embed.proj.weight"] = (width, self.in_chans, side, side)
        shapes["patch_embed.proj.bias"] = (width,)
        shapes.update(self._blocks("blocks", self.depth, width, self.mlp_ratio))
        if self.pooling != "none":
            shapes.update(_layernorm(self.pooling, width))
        if self.num_classes:
            return {**shapes, **self._head()}
        if not self.has_decoder:
            return shapes
        ratio = self.mlp_ratio if self.decoder_mlp_ratio is None else self.decoder_mlp_ratio
        return {
            **shapes,
            **_linear("decoder_embed", width, narrow),
            **self._blocks("decoder_blocks", self.decoder_depth, narrow, ratio),
            **_layernorm("decoder_norm", narrow),
            **_linear("decoder_pred", narrow, side**2 * self.in_chans),
        }

    @property
    def parameters(self) -> int:
        """Number of elements of all tensors of the model."""
        return sum(map(prod, self.shapes.values()))

    def _head(self) -> dict[str, tuple[int, ...]]:
        if not self.probe:
            return _linear("head", self.embed_dim, self.num_classes)
        return {
            "head.0.running_mean": (self.embed_dim,),
            "head.0.running_var": (self.embed_dim,),
            "head.0.num_batches_tracked": (),
            **_linear("head.1", self.embed_dim, self.num_classes),
        }

    def _blocks(
        self, stack: str, depth: int, width: int, mlp_ratio: float
    ) -> dict[str, tuple[int, ...]]:
        hidden = hidden_width(width, mlp_ratio)
        qkv = _linear("attn.qkv", width, 3 * width)
        if not self.qkv_bias:
            del qkv["attn.qkv.bias"]
        block = {
            **_layernorm("norm1", width),
            **qkv,
            **_linear("attn.proj", width, width),
            **_layernorm("norm2", width),
            **_linear("mlp.fc1", width, hidden),
            **_linear("mlp.fc2", hidden, width),
        }
        shapes: dict[str, tuple[int, ...]] = {}
        for number in range(depth):
            if stack == "blocks" and self.rel_pos:
                wide = (self.rel_pos[number], self.embed_dim // self.num_heads)
                shapes[f"{stack}.{number}.attn.rel_pos_h"] = wide
                shapes[f"{stack}.{number}.attn.rel_pos_w"] = wide
            for name, shape in block.items():
                shapes[f"{stack}.{number}.{name}"] = shape
        return shapes


def hidden_width(width: int, mlp_ratio: float) -> int:
    """Return the width within the MLP of a block."""
    return int(width * mlp_ratio)


def _linear(name: str, fan_in: int, fan_out: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (fan_out, fan_in), f"{name}.bias": (fan_out,)}


def _layernorm(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


#: Name to size; encoder sizes from table 1 of arXiv:2010.11929, decoder from arXiv:2111.06377.
#: The demo model is this project's own: small enough to train on a processor and to keep in git.
CONFIGS = {
    "mae_vit_base_patch16": MAEConfig(embed_dim=768, depth=12, num_heads=12),
    "mae_vit_large_patch16": MAEConfig(embed_dim=1024, depth=24, num_heads=16),
    "mae_vit_huge_patch14": MAEConfig(embed_dim=1280, depth=32, num_heads=16, patch_size=14),
    "mae_vit_demo_patch8": MAEConfig(
        embed_dim=128,
        depth=4,
        num_heads=4,
        patch_size=8,
        img_size=64,
        decoder_embed_dim=64,
        decoder_depth=2,
        decoder_num_heads=4,
    ),
}

#: The model that the tool checks against unless told otherwise.
DEFAULT = "mae_vit_large_patch16"


def is_decoder_name(name: str) -> bool:
    """Whether a tensor of the published layout belongs to the decoder, not the encoder."""
    return name == "mask_token" or name.startswith("decoder_")


def is_head_name(name: str) -> bool:
    """Whether a tensor belongs to the head of a classifier."""
    return name.startswith("head.")
