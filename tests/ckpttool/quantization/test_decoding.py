"""A decoded weight has the numbers that its format says, wherever it is read from."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
import torch

from ckpttool.findings.errors import UnreadableError
from ckpttool.quantization import decoding
from ckpttool.quantization.codes import Coded, Grid, Planes
from ckpttool.quantization.decoding import DecodedSource, decoded
from ckpttool.tensors.dtypes import DTYPES
from tests.builders import coded, tensors

TYPES = ("float32", "bfloat16", "float16")
#: Shapes of (planes, rows, columns) for blocks of 128 x 128: whole ones, odd ones, a single code.
SHAPES = ((1, 256, 384), (1, 300, 200), (1, 130, 129), (3, 5, 7), (1, 1, 1), (2, 1, 300))


def numbers(codes: torch.Tensor, dtype: str) -> torch.Tensor:
    """The numbers of 8-bit floats, by the layout of their bits."""
    encoding = DTYPES[dtype].encoding
    assert encoding is not None
    table = torch.tensor([encoding.number(bits) for bits in range(256)])
    return table[codes.long()]


def same(found: Any, expected: torch.Tensor) -> bool:
    """Whether two tensors have the same bits, but for NaN, which may be any."""
    bits = {2: torch.int16, 4: torch.int32}[expected.element_size()]
    equal = found.contiguous().view(bits) == expected.contiguous().view(bits)
    return bool((equal | (found.isnan() & expected.isnan())).all())


def read(weight: Coded, expected: torch.Tensor) -> torch.Tensor:
    dtype = DTYPES[str(expected.dtype)[len("torch.") :]]
    return decoded("weight", weight, tuple(expected.shape), dtype).torch()


@pytest.mark.parametrize("target", TYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz"])
def test_blocks_of_fp8_are_float32_products_rounded_once(
    dtype: str, shape: tuple[int, int, int], target: str
) -> None:
    codes = coded.any_bytes(*shape)
    scales = torch.rand(shape[0], -(-shape[1] // 128), -(-shape[2] // 128)) / 1000
    product = numbers(codes, dtype) * coded.spread(scales, (128, 128), codes.shape)
    expected = product.to(getattr(torch, target))
    assert same(read(coded.in_blocks(codes, scales, (128, 128), dtype), expected), expected)


def test_every_code_of_fp8_is_what_torch_makes_of_it() -> None:
    if not hasattr(torch, "float8_e4m3fn"):
        pytest.skip("this torch has no such type")
    codes = torch.arange(256, dtype=torch.uint8).reshape(1, 2, 128)
    expected = codes.view(torch.float8_e4m3fn).float()
    found = read(coded.in_blocks(codes, torch.ones(1, 1, 1), (2, 128)), expected)
    assert same(found, expected)
    assert found.isnan().sum() == 2  # 0x7f and 0xff


@pytest.mark.parametrize("block", [(2, 300), (1, 300), (1, 16), (1, 7), (3, 5)], ids=str)
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_integers_less_their_zero_points_are_multiplied_by_the_scale(
    kind: torch.dtype, block: tuple[int, int]
) -> None:
    codes = coded.any_bytes(1, 2, 300).view(torch.int8)
    shape = 1, -(-2 // block[0]), -(-300 // block[1])
    scales = torch.rand(shape).to(kind)
    zeros = (coded.any_bytes(*shape).view(torch.int8) // 2).to(torch.int8)
    apart = [coded.spread(one.float(), block, codes.shape) for one in (scales, zeros)]
    expected = (codes.float() - apart[1]) * apart[0]
    weight = coded.in_blocks(codes, scales, block, "int8", zeros)
    assert same(read(weight, expected), expected)


@pytest.mark.parametrize("target", ["float32", "bfloat16"])
@pytest.mark.parametrize("shape", [(3, 70, 5, 16), (1, 3, 90, 16), (2, 129, 1, 16)], ids=str)
@pytest.mark.parametrize("tile", [1 << 21, 1 << 12])
def test_experts_of_gpt_oss_are_what_transformers_makes_of_them(
    shape: tuple[int, ...], target: str, tile: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_there = pytest.importorskip("transformers.integrations.mxfp4").convert_moe_packed_tensors
    monkeypatch.setattr(decoding, "_TILE", tile)
    blocks, scales = coded.any_bytes(*shape), coded.any_bytes(*shape[:3], below=255)
    expected = read_there(blocks, scales, dtype=getattr(torch, target))
    assert same(read(coded.mxfp4(blocks, scales), expected), expected)


def test_an_exponent_of_255_is_no_number() -> None:
    blocks, scales = coded.any_bytes(1, 2, 2, 16), torch.tensor([[[255, 127], [127, 0]]])
    found = read(coded.mxfp4(blocks, scales.to(torch.uint8)), torch.empty(1, 64, 2))
    assert found[0, :32, 0].isnan().all()
    assert not found[0, 32:].isnan().any()
    assert not found[0, :, 1].isnan().any()
    assert found[0, 32:, 1].abs().max() == 6 * 2.0**-127


def test_a_factor_follows_the_scale() -> None:
    """As bitsandbytes has it: two products, each rounded."""
    codes, scales = coded.any_bytes(1, 40, 30).view(torch.int8), torch.rand(1, 40, 1)
    weight = coded.in_blocks(codes, scales, (1, 30), "int8")._replace(factor=1 / 127)
    expected = (codes.float() * scales) * torch.tensor(1 / 127)
    assert same(read(weight, expected), expected)


@pytest.mark.parametrize("target", ["float32", "bfloat16"])
@pytest.mark.parametrize("transposed", [False, True])
def test_any_run_of_bytes_is_that_of_the_whole(
    transposed: bool, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "_STEP", 50)
    monkeypatch.setattr(decoding, "_TILE", 1 << 10)
    blocks, scales = coded.any_bytes(2, 9, 3, 16), coded.any_bytes(2, 9, 3, below=140)
    source = DecodedSource(
        coded.mxfp4(blocks, scales)._replace(transposed=transposed), DTYPES[target]
    )
    whole = memoryview(bytearray(source.size))
    source.read_into(0, whole)
    for start in (0, 1, 2, 3, 50, 301, source.size - 1):
        for length in (0, 1, 2, 5, 97, 400):
            part = bytearray(min(length, source.size - start))
            source.read_into(start, memoryview(part))
            assert part == whole[start : start + len(part)]


def test_nothing_is_read_beyond_the_weight() -> None:
    source = DecodedSource(
        coded.in_blocks(coded.any_bytes(1, 4, 4), torch.ones(1, 1, 1), (4, 4)), DTYPES["float32"]
    )
    for offset, length in ((-4, 8), (60, 8), (64, 1)):
        with pytest.raises(UnreadableError, match="end early"):
            source.read_into(offset, memoryview(bytearray(length)))


@pytest.mark.parametrize("shape", [(1, 0, 8), (1, 8, 0), (0, 8, 8)], ids=str)
def test_an_empty_weight_has_no_bytes(shape: tuple[int, int, int]) -> None:
    weight = coded.in_blocks(torch.empty(shape, dtype=torch.uint8), torch.ones(1, 1, 1), (8, 8))
    assert decoded("weight", weight, shape, DTYPES["float32"]).numpy().shape == shape


def test_a_file_that_changed_is_noticed_through_the_weight() -> None:
    weight = coded.in_blocks(coded.any_bytes(1, 1, 4), torch.ones(1, 1, 1), (1, 4))
    changed = tensors.changed_while_read()._replace(shape=(1, 1, 1))
    scales = Grid(changed, changed.dtype, Planes(1, 1, 1), 1, 4)
    DecodedSource(weight, DTYPES["float32"]).check_unchanged()
    with pytest.raises(UnreadableError, match="changed"):
        DecodedSource(weight._replace(scales=scales), DTYPES["float32"]).check_unchanged()


def test_an_error_names_the_codes() -> None:
    weight = coded.in_blocks(coded.any_bytes(1, 1, 4), torch.ones(1, 1, 1), (1, 4))
    cut = tensors.cut_while_read("layer.weight_scale")._replace(shape=(1, 1, 1))
    weight = weight._replace(scales=Grid(cut, cut.dtype, Planes(1, 1, 1), 1, 4))
    with pytest.raises(UnreadableError) as caught:
        decoded("layer.weight", weight, (1, 1, 4), DTYPES["float32"]).numpy()
    assert caught.value.tensor == "weight"


@pytest.mark.parametrize("transposed", [False, True])
def test_memory_does_not_grow_with_the_weight(transposed: bool) -> None:
    blocks = torch.zeros(1, 1024, 256, 16, dtype=torch.uint8)  # 8 M codes, 32 MB as float32
    scales = torch.full((1, 1024, 256), 127, dtype=torch.uint8)
    weight = coded.mxfp4(blocks, scales)._replace(transposed=transposed)
    source = DecodedSource(weight, DTYPES["float32"])
    buffer = memoryview(bytearray(1 << 16))
    tracemalloc.start()
    for start in range(0, source.size, 8 * len(buffer)):
        source.read_into(start, buffer)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < (24 << 20 if transposed else 4 << 20)


def test_weights_are_read_by_several_threads() -> None:
    from concurrent.futures import ThreadPoolExecutor

    blocks, scales = coded.any_bytes(8, 40, 4, 16), coded.any_bytes(8, 40, 4, below=140)
    weight = decoded("weight", coded.mxfp4(blocks, scales), (8, 128, 40), DTYPES["bfloat16"])
    expected = weight.numpy(view=True)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: weight.numpy(view=True), range(8)):
            np.testing.assert_array_equal(found, expected)
