"""The schema is what the model holds, sorted into the groups of its family."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ckpttool.models.families.mae import MAE
from ckpttool.models.schema import SchemaEntry, schema_of
from mae.config import CONFIGS, DEFAULT, MAEConfig
from tests.builders.families import TOY
from tests.builders.layouts import vit_large_names
from tests.builders.sizes import TINY

if TYPE_CHECKING:
    from ckpttool.models.family import Family


def test_the_schema_of_vit_large_has_the_published_counts() -> None:
    schema = schema_of(MAE, CONFIGS[DEFAULT], DEFAULT)
    assert schema.name == DEFAULT
    parts = [
        [entry.numel for entry in schema.entries.values() if entry.group == group]
        for group in schema.groups
    ]
    assert [len(part) for part in parts] == [294, 104]
    assert [sum(part) for part in parts] == [303_301_632, 26_240_256]
    assert set(schema.entries) == set(vit_large_names())


def built(family: Family, config: MAEConfig) -> list[tuple[str, tuple[int, ...], str]]:
    """Name, shape and dtype of every tensor of the model itself, in its order."""
    state = family.load()(config, device="meta").state_dict()
    return [
        (name, tuple(one.shape), str(one.dtype)[len("torch.") :]) for name, one in state.items()
    ]


def told(family: Family, config: MAEConfig) -> list[tuple[str, tuple[int, ...], str]]:
    return [one[:3] for one in schema_of(family, config, "any").entries.values()]


@pytest.mark.parametrize("name", CONFIGS)
def test_the_schema_of_every_size_is_that_of_the_built_model(name: str) -> None:
    assert told(MAE, CONFIGS[name]) == built(MAE, CONFIGS[name])


def test_the_schema_of_another_family_is_that_of_its_built_model() -> None:
    assert told(TOY, TINY) == built(TOY, TINY)


sizes = st.builds(
    lambda heads, width, depth, patch, grid, channels, ratio, theirs, narrow, less: MAEConfig(
        embed_dim=4 * heads * width,
        depth=depth,
        num_heads=heads,
        patch_size=patch,
        img_size=patch * grid,
        in_chans=channels,
        mlp_ratio=ratio,
        decoder_embed_dim=4 * theirs * narrow,
        decoder_depth=less,
        decoder_num_heads=theirs,
    ),
    *(st.integers(1, 4), st.integers(1, 5), st.integers(0, 11), st.integers(1, 16)),
    *(st.integers(1, 6), st.integers(1, 4), st.floats(0.5, 6)),
    *(st.integers(1, 4), st.integers(1, 5), st.integers(0, 3)),
)


@settings(max_examples=30, deadline=None)
@given(sizes)
def test_the_schema_of_any_size_is_that_of_the_built_model(config: MAEConfig) -> None:
    assert told(MAE, config) == built(MAE, config)


def test_an_entry_knows_shape_dtype_and_group() -> None:
    entries = schema_of(MAE, CONFIGS[DEFAULT], DEFAULT).entries
    name = "blocks.3.attn.qkv.weight"
    assert entries[name] == SchemaEntry(name, (3072, 1024), "float32", "encoder")
    assert entries[name].numel == 3 * 1024**2
    assert entries["mask_token"].group == entries["decoder_pos_embed"].group == "decoder"
    assert entries["pos_embed"].group == entries["cls_token"].group == "encoder"
