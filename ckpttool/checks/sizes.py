"""What the shapes of a file say of its model: which of the known sizes it is, and its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator

from ckpttool.checks.examined import block_of
from ckpttool.coverage import cover
from mae.config import CONFIGS

if TYPE_CHECKING:
    from ckpttool.checks.examined import Examined

_PATCHES, _TABLE = "patch_embed.proj.weight", "pos_embed"


def known_size(examined: Examined) -> str | None:
    """Return the other size of the model that the file fills, if there is exactly one.

    Its encoder is whole and every tensor that both have is of the right shape; the decoder is
    whole or absent. With the name of that size no finding of missing tensors and of shapes stays.
    """
    fitting = list(_fitting(examined))
    return fitting[0] if len(fitting) == 1 else None


def _fitting(examined: Examined) -> Iterator[str]:
    from ckpttool.schema import schema_of  # torch, which has been imported for the model's own

    tensors = examined.canonical.tensors
    token = tensors.get("cls_token")
    for name, config in CONFIGS.items():
        # most are told apart by their width, before their schema is made
        if config == examined.config or token is None or token.shape != (1, 1, config.embed_dim):
            continue
        coverage = cover(tensors, schema_of(config, name))
        encoder, decoder = coverage.groups["encoder"], coverage.groups["decoder"]
        if encoder.complete and (decoder.complete or decoder.absent):
            yield name


def settings(examined: Examined) -> dict[str, object]:
    """Return what the shapes say of the settings in a config.json, by their names there.

    What takes a tensor that is not there is left out, and so is what no shape shows: the number of
    heads, the activation.
    """
    shapes = {name: info.shape for name, info in examined.canonical.tensors.items()}
    found: dict[str, object] = {}
    if len(shapes.get(_PATCHES, ())) == 4:
        width, channels, patch, _ = shapes[_PATCHES]
        found.update(hidden_size=width, num_channels=channels, patch_size=patch)
        side = _side(shapes.get(_TABLE, ()))
        if side is not None:
            found["image_size"] = side * patch
    for side_name, prefix in (("blocks", ""), ("decoder_blocks", "decoder_")):
        numbers = {place[1] for place in map(block_of, shapes) if place and place[0] == side_name}
        # a hole in the numbers is a tensor that is missing, not another depth
        if numbers and numbers == set(range(len(numbers))):
            found[f"{prefix}num_hidden_layers"] = len(numbers)
        hidden = shapes.get(f"{side_name}.0.mlp.fc1.weight", ())
        if len(hidden) == 2:
            found[f"{prefix}intermediate_size"] = hidden[0]
            found[f"{prefix}hidden_size"] = hidden[1]
    if "blocks.0.attn.qkv.weight" in shapes:
        found["qkv_bias"] = "blocks.0.attn.qkv.bias" in shapes
    return found


def _side(shape: tuple[int, ...]) -> int | None:
    """Return the patches along one side of a square image, by its position table."""
    if len(shape) != 3:
        return None
    side = round(max(shape[1] - 1, 0) ** 0.5)
    return side if side * side + 1 == shape[1] else None
