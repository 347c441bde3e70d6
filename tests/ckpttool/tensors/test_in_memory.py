"""A tensor as numpy and torch have it: every type, every way that its bytes may lie."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from ckpttool import open_checkpoint
from ckpttool.findings.errors import (
    CkpttoolError,
    MalformedError,
    UnreadableError,
    UnsupportedError,
)
from ckpttool.tensors.dtypes import DTYPES
from tests.builders import tensors

NATIVE = [name for name in DTYPES if name != "bool" and hasattr(np, name)]
KNOWN = [name for name in DTYPES if isinstance(getattr(torch, name, None), torch.dtype)]


@pytest.mark.parametrize("name", [*NATIVE, "bool"])
def test_types_that_numpy_has_come_as_they_are(name: str) -> None:
    array = np.array([[1, 0, 1], [1, 1, 0]], name)
    found = tensors.from_array(array).numpy()
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("name", ["bfloat16", *(n for n in KNOWN if n.startswith("float8"))])
def test_what_numpy_lacks_is_widened_exactly(name: str) -> None:
    raw = torch.arange(256, dtype=torch.uint8)
    if name == "bfloat16":
        raw = torch.stack([torch.arange(256, dtype=torch.uint8), raw], 1).reshape(-1)
    own = raw.view(getattr(torch, name))
    found = tensors.in_memory(raw.numpy().tobytes(), name, own.shape).numpy()
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, own.to(torch.float32).numpy())


@pytest.mark.parametrize(
    ("name", "bits"), [("bfloat16", "uint16"), ("float8_e5m2", "uint8"), ("float64", "uint64")]
)
def test_a_view_is_of_the_bits(name: str, bits: str) -> None:
    expected = np.arange(6, dtype=bits).reshape(2, 3)
    found = tensors.in_memory(expected.tobytes(), name, (2, 3)).numpy(view=True)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_bits_without_an_integer_come_as_bytes() -> None:
    assert tensors.in_memory(b"\x21\x43", "float4_e2m1", (4,)).numpy(view=True).tolist() == [33, 67]
    whole = np.array([1 + 2j], "complex128")
    assert tensors.from_array(whole).numpy(view=True).tobytes() == whole.tobytes()


def test_an_array_cannot_be_written_to() -> None:
    info = tensors.from_array(np.zeros(3, np.float32))
    for array in (info.numpy(), info.numpy(view=True)):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


@pytest.mark.parametrize("name", KNOWN)
def test_torch_gets_the_very_type(name: str) -> None:
    own = getattr(torch, name)
    raw = bytes([1, 0] * 8)
    found = tensors.in_memory(raw, name, (len(raw) // DTYPES[name].itemsize,)).torch()
    assert found.dtype is own
    assert bytes(found.view(torch.uint8).flatten().tolist()) == raw


@pytest.mark.parametrize("read", [lambda one: one.numpy(), lambda one: one.torch().numpy()])
def test_strides_parts_and_byte_order_are_taken_care_of(read: Any) -> None:
    transposed = tensors.in_memory(np.arange(6, dtype="<f4").tobytes(), "float32", (3, 2), (1, 3))
    assert read(transposed).tolist() == [[0, 3], [1, 4], [2, 5]]
    big = tensors.in_memory(np.arange(3, dtype=">i2").tobytes(), "int16", (3,), big_endian=True)
    assert read(big).tolist() == [0, 1, 2]
    assert read(tensors.in_parts([b"\1\2", b"\3"], "uint8", (3,))).tolist() == [1, 2, 3]


@pytest.mark.parametrize("shape", [(0,), (2, 0, 3), ()])
def test_no_element_and_one_alone_have_their_shapes(shape: tuple[int, ...]) -> None:
    info = tensors.from_array(np.ones(shape, np.float32))
    assert info.numpy().shape == shape == tuple(info.torch().shape)
    assert info.numpy(view=True).shape == shape


@pytest.mark.parametrize("shape", [(0, 3, 2**60), (2**62, 0), (0, 2**40, 2**40)])
def test_sizes_beside_a_zero_that_numpy_cannot_hold_are_an_error_of_ours(
    shape: tuple[int, ...],
) -> None:
    info = tensors.from_array(np.zeros((0,), np.float32))._replace(shape=shape)
    for view in (False, True):
        with pytest.raises(UnsupportedError, match="numpy cannot hold a shape of such sizes"):
            info.numpy(view=view)


def test_sizes_beside_a_zero_that_torch_cannot_hold_are_an_error_of_ours() -> None:
    info = tensors.from_array(np.zeros((0,), np.float32))
    assert info._replace(shape=(0, 3, 2**60)).torch().shape == (0, 3, 2**60)
    with pytest.raises(UnsupportedError, match="torch cannot hold a shape of such sizes"):
        info._replace(shape=(2**40, 2**40, 0)).torch()


def test_a_type_that_numpy_lacks_altogether_is_named_with_the_way_out() -> None:
    with pytest.raises(UnsupportedError, match=r"float4_e2m1.*view=True"):
        tensors.in_memory(b"\x21", "float4_e2m1", (2,)).numpy()
    with pytest.raises(UnsupportedError, match=r"no type float6_e2m3.*view=True"):
        tensors.in_memory(b"123", "float6_e2m3", (4,)).torch()


def test_a_few_bytes_are_not_written_out_without_end() -> None:
    hostile = tensors.in_memory(b"\0\0\0\0", "float32", (1 << 40,), (0,))
    for read in (hostile.numpy, hostile.torch):
        with pytest.raises(MalformedError, match="expand far beyond the file"):
            read()


def test_an_error_names_the_tensor() -> None:
    with pytest.raises(CkpttoolError, match="tensor weight"):
        tensors.too_short().numpy()


@pytest.mark.parametrize("read", [lambda one: one.numpy(), lambda one: one.torch()])
def test_bytes_that_were_overwritten_in_place_are_an_error(tmp_path: Path, read: Any) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"w": torch.zeros(3)}, path)
    with open_checkpoint(path) as checkpoint:
        with path.open("r+b") as file:
            file.seek(-4, os.SEEK_END)
            file.write(b"\1\1\1\1")
        os.utime(path, ns=(1, 1))  # whatever the resolution of the clock is
        with pytest.raises(UnreadableError, match="changed while"):
            read(checkpoint["w"])
