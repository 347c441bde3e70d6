from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ckpttool.files.sources import READ_COST
from ckpttool.findings.errors import (
    CkpttoolError,
    MalformedError,
    UnreadableError,
    UnsupportedError,
)
from ckpttool.tensors import gather
from ckpttool.tensors.dtypes import DTYPES
from ckpttool.tensors.gather import chunks, fill, read_small
from tests.builders.tensors import (
    FencedSource,
    from_array,
    in_memory,
    in_one_file,
    in_parts,
    too_short,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ckpttool.tensors.catalogue import TensorInfo


def contiguous(info: TensorInfo, chunk: int = 48) -> bytes:
    """The tensor's bytes, put together from chunks."""
    return b"".join(bytes(piece) for piece in chunks(info, memoryview(bytearray(chunk))))


def view_of(storage: NDArray[Any], shape: tuple[int, ...], strides: tuple[int, ...]) -> bytes:
    """What numpy says of the same geometry."""
    steps = tuple(stride * storage.itemsize for stride in strides)
    return np.ndarray(shape, storage.dtype, storage.data, 0, steps).tobytes()


@pytest.mark.parametrize("chunk", [16, 48, 4096])
def test_a_row_major_tensor_is_its_bytes(chunk: int) -> None:
    array = np.arange(35, dtype=np.float32).reshape(5, 7)
    assert contiguous(from_array(array), chunk) == array.tobytes()


def test_a_joined_tensor_is_read_part_after_part() -> None:
    parts = [bytes(range(24)), b"", bytes(range(100, 140)), b"abcd"]
    assert contiguous(in_parts(parts, "float32", (17,))) == b"".join(parts)


def test_reading_may_start_anywhere() -> None:
    info = in_parts([b"01234567", b"89abcdef"], "float32", (4,))
    out = bytearray(6)
    fill(info, 5, memoryview(out))
    assert out == b"56789a"


@pytest.mark.parametrize(
    ("shape", "strides", "elements"),
    [
        pytest.param((6, 5), (1, 6), 30, id="transposed"),
        pytest.param((2, 3, 4), (4, 8, 1), 24, id="permuted"),
        pytest.param((5,), (3,), 13, id="every third"),
        pytest.param((4, 3), (0, 1), 3, id="expanded rows"),
        pytest.param((3, 4), (1, 0), 3, id="expanded columns"),
        pytest.param((7, 3), (1, 1), 9, id="overlapping windows"),
        pytest.param((1, 4, 1), (99, 2, 99), 7, id="axes of one element"),
        pytest.param((), (), 1, id="scalar"),
        pytest.param((3, 0), (0, 1), 0, id="empty"),
    ],
)
@pytest.mark.parametrize("chunk", [16, 4096])
def test_a_strided_tensor_is_what_numpy_says(
    shape: tuple[int, ...], strides: tuple[int, ...], elements: int, chunk: int
) -> None:
    storage = np.arange(elements, dtype=np.uint32)
    info = in_memory(storage.tobytes(), "float32", shape, strides)
    assert contiguous(info, chunk) == view_of(storage, shape, strides)


@st.composite
def geometries(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...]]:
    shape = draw(st.lists(st.integers(1, 5), min_size=0, max_size=4))
    strides = [draw(st.integers(0, 12)) for _ in shape]
    return tuple(shape), tuple(strides)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    geometry=geometries(),
    dtype=st.sampled_from(["uint8", "float16", "float32", "float64", "complex128"]),
    chunk=st.sampled_from([16, 48, 1024]),
    scratch=st.sampled_from([16, 64, 1 << 20]),
    read_cost=st.sampled_from([0, 8, 1 << 14]),
)
def test_any_geometry_is_gathered_from_reads_inside_the_extent(
    geometry: tuple[tuple[int, ...], tuple[int, ...]],
    dtype: str,
    chunk: int,
    scratch: int,
    read_cost: int,
) -> None:
    shape, strides = geometry
    elements = 1 + sum((length - 1) * stride for length, stride in zip(shape, strides))
    width = DTYPES[dtype].itemsize
    storage = np.frombuffer(np.arange(elements * width).astype(np.uint8), f"V{width}")
    info = in_memory(storage.tobytes(), dtype, shape, strides)
    with pytest.MonkeyPatch.context() as patched:  # small limits, so that every way is taken
        patched.setattr(gather, "CHUNK", scratch)
        patched.setattr(gather, "READ_COST", read_cost)
        assert contiguous(info, chunk) == view_of(storage, shape, strides)


def test_a_column_of_a_wide_matrix_is_not_paid_for_with_the_matrix() -> None:
    rows, width = 8, 100_000
    matrix = np.arange(rows * width, dtype=np.uint32)
    info = in_memory(matrix[: (rows - 1) * width + 1].tobytes(), "float32", (rows,), (width,))
    assert contiguous(info) == matrix[::width].tobytes()
    source = info.extents[0].source
    assert isinstance(source, FencedSource)
    assert source.read_bytes == info.nbytes


@pytest.mark.parametrize(
    ("dtype", "big", "little"),
    [
        ("float32", ">f4", "<f4"),
        ("float16", ">f2", "<f2"),
        ("int64", ">i8", "<i8"),
        ("int8", "i1", "i1"),
        ("complex64", ">c8", "<c8"),
        ("complex128", ">c16", "<c16"),
    ],
)
@pytest.mark.parametrize("strides", [None, (1, 3)], ids=["row-major", "transposed"])
def test_big_endian_elements_are_turned_round(
    dtype: str, big: str, little: str, strides: tuple[int, int] | None
) -> None:
    array = np.arange(1, 13).reshape(4, 3)
    stored = array.astype(big)
    wanted = array.astype(little) if strides is None else array.T.astype(little)
    info = in_memory(stored.tobytes(), dtype, wanted.shape, strides, big_endian=True)
    assert contiguous(info) == wanted.tobytes()


def test_bfloat16_is_turned_round_by_its_two_bytes() -> None:
    assert contiguous(in_memory(b"\x3f\x80", "bfloat16", (1,), big_endian=True)) == b"\x80\x3f"


@pytest.mark.parametrize(
    ("info", "error"),
    [
        pytest.param(too_short(), MalformedError, id="row-major"),
        pytest.param(too_short()._replace(strides=(1,)), MalformedError, id="strided"),
        pytest.param(too_short()._replace(extents=()), MalformedError, id="no bytes at all"),
        pytest.param(
            in_memory(bytes(64), "uint8", (2,) * 33, (1, 0) * 16 + (1,)),
            UnsupportedError,
            id="too many axes for numpy",
        ),
    ],
)
def test_a_tensor_beyond_its_bytes_is_an_error(
    info: TensorInfo, error: type[CkpttoolError]
) -> None:
    with pytest.raises(error) as caught:
        fill(info, 0, memoryview(bytearray(min(info.nbytes, 64))))
    assert caught.value.rule is not None


# --- many small ones ------------------------------------------------------------------------


def read(tensors: list[TensorInfo]) -> list[bytes]:
    return read_small(tensors, [info.nbytes for info in tensors])


@pytest.mark.parametrize(
    ("apart", "reads"),
    [
        pytest.param(0, 1, id="side by side"),
        pytest.param(READ_COST, 1, id="a gap that costs less than a read"),
        pytest.param(READ_COST + 1, 4, id="a larger gap"),
    ],
)
def test_neighbours_are_read_at_once(apart: int, reads: int) -> None:
    parts = [b"one.", b"two.two.", b"three...", b"four"]
    tensors = in_one_file(parts, "uint8", apart)
    source: Any = tensors[0].extents[0].source
    assert read(tensors) == parts
    assert source.reads == reads


def test_a_read_at_once_stays_within_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gather, "CHUNK", 8)
    tensors = in_one_file([b"abc", b"def", b"ghi", b"jkl", b"0123456789"], "uint8")
    source: Any = tensors[0].extents[0].source
    assert read(tensors) == [b"abc", b"def", b"ghi", b"jkl", b"0123456789"]
    assert source.reads == 3


def test_order_overlaps_and_other_files_change_nothing() -> None:
    one, other = in_one_file([b"abcd", b"efgh"], "uint8"), in_one_file([b"01", b"23"], "uint8")
    extent = one[0].extents[0]
    across = one[0]._replace(extents=(extent._replace(offset=2, length=4),))
    inside = one[0]._replace(extents=(extent._replace(offset=3, length=1),), shape=(1,))
    tensors = [other[1], one[1], across, one[0], inside, other[0]]
    assert read(tensors) == [b"23", b"efgh", b"cdef", b"abcd", b"d", b"01"]


def test_strided_joined_and_big_endian_tensors_are_gathered() -> None:
    values = np.arange(6, dtype="<u2").reshape(2, 3)
    turned = in_memory(values.tobytes(), "uint16", (3, 2), (1, 3))
    joined = in_parts([b"abc", b"d"], "uint16", (2,))
    swapped = in_memory(b"\0\1", "uint16", (1,), big_endian=True)
    assert read([turned, joined, swapped]) == [values.T.tobytes(), b"abcd", b"\1\0"]


def test_the_tensor_whose_bytes_are_missing_is_named() -> None:
    with pytest.raises(MalformedError) as caught:
        read([*in_one_file([b"ab"], "uint8"), too_short()._replace(name="short")])
    assert caught.value.tensor == "short"
    tensors = in_one_file([b"ab", b"cd", b"ef"], "uint8")
    source: Any = tensors[0].extents[0].source
    source.end = 5
    with pytest.raises(UnreadableError) as cut:
        read(tensors)
    assert cut.value.tensor == "t2"
