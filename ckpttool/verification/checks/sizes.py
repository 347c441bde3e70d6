"""What the shapes of a file say of its model: which of the known sizes it is, and its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterable, Iterator, NamedTuple

from ckpttool.models.coverage import cover
from ckpttool.verification.evidence import block_of
from mae.config import CONFIGS

if TYPE_CHECKING:
    from ckpttool.findings.results import Coverage
    from ckpttool.verification.evidence import Evidence

_PATCHES, _TABLE = "patch_embed.proj.weight", "pos_embed"


class Size(NamedTuple):
    """A known size of the model, and what a file is to it."""

    name: str
    coverage: Coverage

    @property
    def filled(self) -> bool:
        """Whether the file has the whole encoder of this size, and the whole decoder or none."""
        encoder, decoder = (self.coverage.groups[side] for side in ("encoder", "decoder"))
        return encoder.complete and (decoder.complete or decoder.absent)

    @property
    def misfits(self) -> frozenset[str]:
        """The names of the tensors that have another shape than in this size."""
        mismatched = (one for group in self.coverage.groups.values() for one in group.mismatched)
        return frozenset(one.name for one in mismatched if not one.same_shape)


def known_size(evidence: Evidence) -> Size | None:
    """Return the other size of the model whose encoder the file's is, if there is exactly one.

    It is as deep, and no tensor of it is of another shape. What is missing of it may be missing
    all the same, and the decoder may be another one.
    """
    found = list(_sizes(evidence))
    return found[0] if len(found) == 1 else None


def _sizes(evidence: Evidence) -> Iterator[Size]:
    from ckpttool.models.schema import (
        schema_of,  # torch, which has been imported for the model's own
    )

    tensors = evidence.canonical.tensors
    token = tensors.get("cls_token")
    depth = _depth(tensors, "blocks")
    for name, config in CONFIGS.items():
        # most are told apart by their width, before their schema is made
        if config == evidence.config or token is None or token.shape != (1, 1, config.embed_dim):
            continue
        size = Size(name, cover(tensors, schema_of(config, name)))
        encoder = size.coverage.groups["encoder"]
        if depth == config.depth and all(one.same_shape for one in encoder.mismatched):
            yield size


def _depth(names: Iterable[str], side: str) -> int | None:
    """Return how many blocks there are; a hole in their numbers is no other depth."""
    numbers = {place[1] for place in map(block_of, names) if place and place[0] == side}
    return len(numbers) if numbers and numbers == set(range(len(numbers))) else None


def settings(evidence: Evidence) -> dict[str, object]:
    """Return what the shapes say of the settings in a config.json, by their names there.

    What takes a tensor that is not there is left out, and so is what no shape shows: the number of
    heads, the activation.
    """
    shapes = {name: info.shape for name, info in evidence.canonical.tensors.items()}
    found: dict[str, object] = {}
    if len(shapes.get(_PATCHES, ())) == 4:
        width, channels, patch, _ = shapes[_PATCHES]
        found.update(hidden_size=width, num_channels=channels, patch_size=patch)
        side = _side(shapes.get(_TABLE, ()))
        if side is not None:
            found["image_size"] = side * patch
    for side_name, prefix in (("blocks", ""), ("decoder_blocks", "decoder_")):
        depth = _depth(shapes, side_name)
        if depth is not None:
            found[f"{prefix}num_hidden_layers"] = depth
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
