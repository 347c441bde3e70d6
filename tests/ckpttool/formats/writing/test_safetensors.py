from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

from ckpttool.findings.errors import MalformedError
from ckpttool.formats import open_checkpoint
from ckpttool.formats.safetensors import header as limits
from ckpttool.formats.writing import safetensors
from ckpttool.formats.writing.safetensors import plan
from ckpttool.tensors.dtypes import DTYPES
from tests.builders.pieces import MIXED_TURNED, mixed, of_dtype, put

if TYPE_CHECKING:
    from pathlib import Path

    from ckpttool.formats.writing.file_layout import PlannedTensor

METADATA = {"format": "pt", "zebra": "1", "apple": "2"}


def test_the_header_is_laid_out_to_the_byte() -> None:
    layout = plan([of_dtype("uint8", (3,), "b"), of_dtype("float32", (2,), "a")], {"format": "pt"})
    header = (
        b'{"__metadata__":{"format":"pt"},'
        b'"b":{"dtype":"U8","shape":[3],"data_offsets":[8,11]},'
        b'"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
    )
    length = -(-(len(header) + 8) // 64) * 64 - 8
    assert layout.head == struct.pack("<Q", length) + header.ljust(length)
    assert [(slot.offset, slot.length) for slot in layout.slots] == [
        (length + 8, 8),
        (length + 16, 3),
    ]
    assert layout.size == length + 19


@pytest.mark.filterwarnings("ignore:`np.bool` is a deprecated")  # of the library's doing
def test_the_library_reads_back_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    pieces = [one for one in mixed() if one.name != "half"]  # numpy has no bfloat16
    put(path, plan(pieces, METADATA))
    found = load_file(path)
    assert set(found) == {one.name for one in pieces}
    np.testing.assert_array_equal(found["steps"], np.arange(5))
    np.testing.assert_array_equal(found["turned"], MIXED_TURNED)
    np.testing.assert_array_equal(found["swapped"], MIXED_TURNED.T)
    assert found["scalar"].shape == ()
    assert found["empty"].shape == (0, 4)
    with safe_open(path, framework="np") as file:
        assert file.metadata() == METADATA


def test_the_strict_reader_reads_back_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    pieces = mixed()
    put(path, plan(pieces, METADATA))
    with open_checkpoint(str(path)) as checkpoint:
        assert list(checkpoint.metadata.items()) == list(METADATA.items())
        assert {name: (info.dtype, info.shape) for name, info in checkpoint.tensors.items()} == {
            one.name: (one.dtype, one.shape) for one in pieces
        }


def test_every_tensor_is_aligned_to_its_elements() -> None:
    layout = plan(mixed(), METADATA)
    assert [slot.offset % slot.piece.dtype.itemsize for slot in layout.slots] == [0] * 8
    assert len(layout.head) % 64 == 0


@pytest.mark.parametrize("turned", [False, True])
def test_the_header_keeps_the_order_of_the_pieces(tmp_path: Path, turned: bool) -> None:
    pieces = mixed()[::-1] if turned else mixed()
    put(tmp_path / "m", plan(pieces, METADATA))
    with open_checkpoint(str(tmp_path / "m")) as checkpoint:
        assert list(checkpoint.tensors) == [piece.name for piece in pieces]


def test_bytes_of_one_width_lie_in_the_order_of_the_pieces() -> None:
    layout = plan([of_dtype(dtype, name=name) for name, dtype in WIDTHS.items()], {})
    assert [slot.piece.name for slot in layout.slots] == ["z", "b", "y", "a", "x"]


WIDTHS = {"y": "int16", "z": "float32", "a": "bfloat16", "x": "uint8", "b": "int32"}


@pytest.mark.parametrize("workers", [1, 5])
def test_any_number_of_workers_writes_the_same_file(tmp_path: Path, workers: int) -> None:
    put(tmp_path / "one", plan(mixed(), METADATA), workers=2)
    put(tmp_path / "other", plan(mixed(), METADATA), workers=workers)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_without_metadata_there_is_none() -> None:
    header = plan([of_dtype("uint8")], {}).head
    assert list(json.loads(header[8:])) == ["weight"]


@pytest.mark.parametrize("name", ['quo"te', "back\\slash", "line\nbreak", "Ünïcode ☃", "", "𝄞"])
def test_any_text_can_be_a_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / "m.safetensors"
    put(path, plan([of_dtype("int16", name=name)], {"key\t": name}))
    with open_checkpoint(str(path)) as checkpoint:
        assert list(checkpoint.tensors) == [name]
        assert checkpoint.metadata == {"key\t": name}
    assert list(load_file(path)) == [name]


@pytest.mark.parametrize(
    "code", sorted(dtype.name for dtype in DTYPES.values() if dtype.safetensors)
)
def test_every_dtype_with_a_code_is_read_back(tmp_path: Path, code: str) -> None:
    path = tmp_path / "m.safetensors"
    put(path, plan([of_dtype(code, (4, 2))], {}))
    with open_checkpoint(str(path)) as checkpoint:
        assert checkpoint.tensors["weight"].dtype.name == code


DEFECTS: dict[str, PlannedTensor] = {
    "the name of the metadata": of_dtype("uint8", name="__metadata__"),
    "half of a surrogate pair": of_dtype("uint8", name="a\ud800"),
    "a name without end": of_dtype("uint8", name="n" * (limits.MAX_NAME + 1)),
    "complex128": of_dtype("complex128"),
    "packed 4-bit floats of no dimensions": of_dtype("float4_e2m1fn_x2", ()),
    "too many dimensions": of_dtype("uint8", (1,) * (limits.MAX_DIMENSIONS + 1)),
    "elements that fill no bytes": of_dtype("float4_e2m1", (3,)),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_what_the_format_cannot_hold_is_refused(defect: str) -> None:
    with pytest.raises(MalformedError) as caught:
        plan([of_dtype("float32", name="good"), DEFECTS[defect]], {})
    assert caught.value.rule is not None
    assert caught.value.rule.code == "CVT101"
    assert caught.value.tensor == DEFECTS[defect].name


def test_whether_the_format_takes_tensors_is_told_before_any_is_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    good = [of_dtype("float32", name=name).info for name in "ab"]
    assert safetensors.takes(good)
    assert not any(safetensors.takes([*good, defect.info]) for defect in DEFECTS.values())
    monkeypatch.setattr(safetensors, "MAX_TENSORS", 1)
    assert not safetensors.takes(good)


def test_more_tensors_than_a_reader_takes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    two = [of_dtype("uint8", name=name) for name in "ab"]
    monkeypatch.setattr(safetensors, "MAX_TENSORS", 2)
    plan(two, {})
    monkeypatch.setattr(safetensors, "MAX_TENSORS", 1)
    with pytest.raises(MalformedError, match="more tensors than a reader takes"):
        plan(two, {})


def test_too_much_metadata_is_refused() -> None:
    with pytest.raises(MalformedError, match="CVT101"):
        plan([of_dtype("uint8")], {"key": "v" * limits.MAX_METADATA})


def test_a_header_that_our_reader_would_refuse_is_not_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(safetensors, "MAX_HEADER", 200)
    plan([of_dtype("uint8")], {})
    with pytest.raises(MalformedError, match="CVT101"):
        plan([of_dtype("uint8", name="n" * 200)], {})
