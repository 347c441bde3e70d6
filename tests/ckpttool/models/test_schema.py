"""The schema is what the model holds, sorted into the groups of its family."""

from __future__ import annotations

from ckpttool.models.families.mae import MAE
from ckpttool.models.schema import SchemaEntry, schema_of
from mae.config import CONFIGS, DEFAULT
from tests.builders.layouts import vit_large_names


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


def test_an_entry_knows_shape_dtype_and_group() -> None:
    entries = schema_of(MAE, CONFIGS[DEFAULT], DEFAULT).entries
    name = "blocks.3.attn.qkv.weight"
    assert entries[name] == SchemaEntry(name, (3072, 1024), "float32", "encoder")
    assert entries[name].numel == 3 * 1024**2
    assert entries["mask_token"].group == entries["decoder_pos_embed"].group == "decoder"
    assert entries["pos_embed"].group == entries["cls_token"].group == "encoder"
