"""Coverage: what matches, what is missing, and what differs."""

from __future__ import annotations

import pytest

from ckpttool.findings.results import Mismatch
from ckpttool.models.canonical import canonicalize
from ckpttool.models.choosing import choose
from ckpttool.models.coverage import cover, is_matched, parts_in_blocks
from ckpttool.models.schema import Schema, SchemaEntry, schema_of
from ckpttool.tensors.catalogue import TensorInfo
from ckpttool.tensors.dtypes import DTYPES
from mae.config import CONFIGS
from tests.builders.tensors import hollow

SCHEMA = Schema(
    "two",
    ("encoder", "decoder"),
    {
        "norm.weight": SchemaEntry("norm.weight", (4,), "float32", "encoder"),
        "norm.bias": SchemaEntry("norm.bias", (4,), "float32", "encoder"),
        "mask_token": SchemaEntry("mask_token", (1, 1, 2), "float32", "decoder"),
    },
)


def tensors(**changed: tuple[tuple[int, ...], str]) -> dict[str, TensorInfo]:
    shapes: dict[str, tuple[tuple[int, ...], str]] = {
        "norm.weight": ((4,), "float32"),
        "norm.bias": ((4,), "float32"),
    }
    shapes.update({name.replace("__", "."): given for name, given in changed.items()})
    return {
        name: TensorInfo(name, DTYPES[dtype], shape, None, ())
        for name, (shape, dtype) in shapes.items()
    }


def test_a_whole_encoder_is_covered_and_the_decoder_absent() -> None:
    coverage = cover(tensors(), SCHEMA)
    encoder, decoder = coverage.groups["encoder"], coverage.groups["decoder"]
    assert (encoder.expected, encoder.matched, encoder.missing) == (2, 2, ())
    assert (encoder.parameters, encoder.covered, encoder.complete) == (8, 8, True)
    assert (decoder.missing, decoder.absent, decoder.covered) == (("mask_token",), True, 0)
    assert not coverage.unrelated


@pytest.mark.parametrize(
    ("shape", "dtype", "matched"),
    [
        pytest.param((4,), "bfloat16", True, id="another floating width fills the place"),
        pytest.param((4,), "int32", False, id="integers do not"),
        pytest.param((5,), "float32", False, id="nor does another shape"),
        pytest.param((2, 2), "float16", False, id="nor the same number of elements"),
    ],
)
def test_every_difference_is_listed(shape: tuple[int, ...], dtype: str, matched: bool) -> None:
    encoder = cover(tensors(norm__bias=(shape, dtype)), SCHEMA).groups["encoder"]
    (found,) = encoder.mismatched
    assert (found.name, found.found_shape, found.found_dtype) == ("norm.bias", shape, dtype)
    assert (found.expected_shape, found.expected_dtype) == ((4,), "float32")
    assert is_matched(found) is matched
    assert (encoder.matched, encoder.covered) == ((2, 8) if matched else (1, 4))


def test_what_the_model_has_no_place_for_is_listed() -> None:
    coverage = cover(tensors(head=((1,), "float32")), SCHEMA)
    assert coverage.unexpected == ("head",)


def test_no_name_in_common_is_another_model() -> None:
    other = {"conv": TensorInfo("conv", DTYPES["float32"], (4,), None, ())}
    assert cover(other, SCHEMA).unrelated


def test_of_a_file_that_has_the_core_alone_a_chance_match_is_no_part_of_the_rest() -> None:
    found = tensors(mask_token=((1, 1, 4), "float32"))
    assert not cover(found, SCHEMA).groups["decoder"].absent
    coverage = cover(found, SCHEMA, core_alone=True)
    assert coverage.groups["decoder"].absent
    assert coverage.groups["encoder"].complete
    assert coverage.unexpected == ("mask_token",)


def strange_parts(names: list[str], prefix: str = "") -> list[str]:
    """What blocks of a base model are said to have besides, where these names are there too."""
    shapes = {**CONFIGS["mae_vit_base_patch16"].shapes, **dict.fromkeys(names, (3,))}
    canonical = canonicalize(
        {f"{prefix}{name}": hollow(f"{prefix}{name}", shape) for name, shape in shapes.items()}
    )
    judged = choose(canonical)
    schema = schema_of(judged.family, judged.config, judged.name)
    return parts_in_blocks(canonical, cover(canonical.tensors, schema))


@pytest.mark.parametrize("prefix", ["", "module.net."])
def test_what_blocks_have_beside_the_models_parts_is_told_once_for_all_blocks(prefix: str) -> None:
    names = [f"blocks.{n}.{one}" for n in range(12) for one in ("PCM.0.weight", "attn.tau")]
    names += ["decoder_blocks.0.attn.meta_mlp.fc1.weight"]
    assert strange_parts(names, prefix=prefix) == ["PCM", "attn.tau", "attn.meta_mlp"]


@pytest.mark.parametrize(
    "name", ["head.weight", "extra.0.weight", "blocks.12.norm1.weight", "prompts", "blocks.x"]
)
def test_what_lies_outside_of_blocks_or_has_a_role_there_is_no_part_of_them(name: str) -> None:
    assert strange_parts([name]) == []


@pytest.mark.parametrize(
    ("expected", "found", "shape", "loads"),
    [
        ("float32", "bfloat16", (4,), True),
        ("float32", "int64", (4,), False),
        ("int8", "float32", (4,), False),
        ("int64", "float32", (), True),
        ("int64", "int32", (), False),
    ],
)
def test_floats_load_as_floats_and_a_counter_as_either(
    expected: str, found: str, shape: tuple[int, ...], loads: bool
) -> None:
    assert is_matched(Mismatch("a", shape, expected, shape, found)) is loads
