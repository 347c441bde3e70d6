"""A tensor's group, block and role follow from its name, of a known model or of any."""

from __future__ import annotations

import pytest

from ckpttool.models import families
from ckpttool.models.places import TensorPlace, place_of

MAE = families.FAMILIES[0]


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("blocks.3.attn.qkv.weight", ("encoder", 3, "attn.qkv.weight")),
        ("decoder_blocks.0.norm1.bias", ("decoder", 0, "norm1.bias")),
        ("patch_embed.proj.weight", ("encoder", None, "patch_embed.proj.weight")),
        ("decoder_pred.bias", ("decoder", None, "decoder_pred.bias")),
    ],
)
def test_names_of_a_known_model_have_its_groups(
    name: str, place: tuple[str, int | None, str]
) -> None:
    assert place_of(name, MAE) == TensorPlace(*place)


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("model.layers.12.mlp.up_proj.weight", ("model.layers", 12, "mlp.up_proj.weight")),
        ("down.1.block.0.conv.bias", ("down", 1, "block.0.conv.bias")),
        ("head.weight", (None, None, "head.weight")),
        ("layers.3", (None, None, "layers.3")),
        ("a\n.2.b\n", ("a\n", 2, "b\n")),
        ("ids.12345678.x", (None, None, "ids.12345678.x")),
    ],
)
def test_names_of_any_model_have_its_stacks(
    name: str, place: tuple[str | None, int | None, str]
) -> None:
    assert place_of(name, None) == TensorPlace(*place)
