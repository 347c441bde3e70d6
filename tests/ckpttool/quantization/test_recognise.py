"""The tensors of a file are put together to quantized weights, with a configuration and without."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ckpttool.quantization.packed import Packed
from ckpttool.quantization.recognise import Contents, packed_in
from ckpttool.quantization.settings import NONE, settings_in
from ckpttool.tensors.catalogue import TensorInfo
from ckpttool.tensors.dtypes import DTYPES
from tests.builders.quantized import PLAIN
from tests.builders.quantized_models import MODELS, MODULES, SHAPE, Model, Tensors


def infos(tensors: Tensors) -> dict[str, TensorInfo]:
    return {
        name: TensorInfo(name, DTYPES[str(tensor.dtype)[6:]], tuple(tensor.shape), None, ())
        for name, tensor in tensors.items()
    }


def contents(model: Model, *, configured: bool = True) -> Contents:
    settings = settings_in({"quantization_config": model.config}) if configured else NONE
    return packed_in(infos(model.tensors), settings)


def misfits(packed: Packed) -> list[tuple[str, Any]]:
    """The parts that are not as the scheme expects them."""
    return [
        (role, info)
        for role, info in packed.parts.items()
        if role in packed.expected
        for expected in [packed.expected[role]]
        if (expected.shapes and info.shape not in expected.shapes) or not expected.fits(info.dtype)
    ]


SCHEMES = {
    "fp8 in blocks": "scaled-fp8",
    "fp8 of tensors": "scaled-fp8",
    "fp8 of channels": "scaled-fp8",
    "int8 of channels": "scaled-int8",
    "bnb-4bit nested": "bnb-4bit",
    "mxfp4 of experts": "mxfp4",
    "mxfp4 packed": "mxfp4",
    "nvfp4 of modelopt": "nvfp4",
    "nvfp4 packed": "nvfp4",
}


@pytest.mark.parametrize("configured", [True, False], ids=["configured", "not configured"])
@pytest.mark.parametrize("name", MODELS)
def test_every_weight_is_found_whole_and_nothing_else(name: str, configured: bool) -> None:
    model = MODELS[name]()
    found = contents(model, configured=configured)
    if name == "mxfp4 of experts":
        layers = [f"model.layers.{layer}.mlp.experts" for layer in (0, 1)]
        weights = {f"{layer}.{part}" for layer in layers for part in ("gate_up_proj", "down_proj")}
    else:
        weights = {f"{module}.weight" for module in MODULES}
    assert set(found.packed) == weights
    assert (found.orphans, found.beside, found.narrow) == ({}, {}, {})
    for one in found.packed.values():
        assert one.scheme == SCHEMES.get(name, name)
        assert (one.absent, misfits(one)) == ({}, [])
    left = set(model.tensors) - found.claimed
    assert all(
        name.endswith(("bias", "norm.weight", "_tokens.weight", "_head.weight"))
        or name.rpartition(".")[0] in MODULES
        for name in left
    )


@pytest.mark.parametrize("name", MODELS)
def test_the_shape_is_the_models(name: str) -> None:
    for one in contents(MODELS[name]()).packed.values():
        if name == "fp8 in blocks":
            assert (one.shape, one.block) == ((80, 100), (32, 32))
        elif name == "mxfp4 of experts":
            rows = 8 if "gate" in one.name else 4
            assert (one.shape, one.block) == ((3, 64, rows), (1, 32, 1))
        elif name.startswith("bnb-4bit"):
            assert one.shape is None  # it is in the state, which no header shows
        else:
            assert one.shape == SHAPE


def test_a_part_that_is_gone_is_told_by_the_name_that_it_would_have() -> None:
    model = MODELS["fp8 in blocks"]()
    gone = f"{MODULES[3]}.weight_scale_inv"
    del model.tensors[gone]
    for configured in (True, False):
        (one,) = [
            one for one in contents(model, configured=configured).packed.values() if one.absent
        ]
        assert (one.name, one.absent) == (f"{MODULES[3]}.weight", {"scale": gone})


def test_parts_without_codes_are_orphans_and_parts_beside_a_whole_weight_are_told_apart() -> None:
    model = MODELS["fp8 in blocks"]()
    del model.tensors[f"{MODULES[0]}.weight"]
    model.tensors[f"{MODULES[1]}.weight"] = torch.ones(80, 100).bfloat16()
    found = contents(model)
    assert set(found.orphans) == {f"{MODULES[0]}.weight"}
    assert set(found.beside) == {f"{MODULES[1]}.weight"}


def test_a_plain_cast_to_8_bits_is_no_quantized_weight() -> None:
    narrow = {f"{module}.weight": torch.ones(4, 4).to(torch.float8_e4m3fn) for module in MODULES}
    found = packed_in(infos(narrow))
    assert (found.packed, set(found.narrow)) == ({}, set(narrow))


@pytest.mark.parametrize("name", PLAIN)
def test_scales_of_a_plain_model_make_no_quantized_weight(name: str) -> None:
    assert packed_in(infos(PLAIN[name]())).packed == {}


def test_halves_of_bytes_with_exponents_beside_them_are_floats_of_4_bits() -> None:
    """DeepSeek's own names, for experts in 4 bits beside the rest in 8."""
    exponents = getattr(torch, "float8_e8m0fnu", None)
    if exponents is None:
        pytest.skip("this torch has no bare exponents")
    tensors = {
        "layers.0.ffn.experts.0.w1.weight": torch.zeros(8, 32, dtype=torch.int8),
        "layers.0.ffn.experts.0.w1.scale": torch.ones(8, 2).to(exponents),
        "layers.0.attn.wq.weight": torch.zeros(8, 64).to(torch.float8_e4m3fn),
        "layers.0.attn.wq.scale": torch.ones(1, 1),
    }
    found = packed_in(infos(tensors))
    assert {one.scheme for one in found.packed.values()} == {"mxfp4", "scaled-fp8"}
    assert found.packed["layers.0.ffn.experts.0.w1.weight"].shape == (8, 64)
    assert all(misfits(one) == [] for one in found.packed.values())
