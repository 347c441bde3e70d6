"""Arrays of numpy in a state dict are tensors: type, shape, order and bytes as numpy has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ckpttool import open_checkpoint
from ckpttool.findings.errors import MalformedError
from ckpttool.tensors.catalogue import TensorInfo
from ckpttool.tensors.gather import fill
from tests.builders import arrays
from tests.builders import pickles as p
from tests.builders import torch_files as t

NUMBERS = np.arange(24, dtype="f4").reshape(2, 3, 4)

ARRAYS: dict[str, Any] = {
    "rows": NUMBERS,
    "columns": np.asfortranarray(NUMBERS),
    "big-endian": NUMBERS.astype(">f8"),
    "big-endian columns": np.asfortranarray(NUMBERS.astype(">i2")),
    "turned": NUMBERS.T,
    "strided": NUMBERS[:, ::2],
    "no dimension": np.array(7, "i8"),
    "no elements": np.zeros((0, 3), "u1"),
    "truth values": NUMBERS > 3,
    "complex": NUMBERS.astype("c8"),
    "half": NUMBERS.astype("f2"),
}


def elements(info: TensorInfo) -> bytes:
    data = bytearray(info.nbytes)
    if data:
        fill(info, 0, memoryview(data))
    return bytes(data)


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS.keys())
def test_an_array_is_the_tensor_that_torch_would_make_of_it(
    array: Any, protocol: int, tmp_path: Path
) -> None:
    path = tmp_path / "a.pth"
    torch.save({"model": {"w": torch.ones(2), "a": array}}, path, pickle_protocol=protocol)
    with open_checkpoint(str(path)) as checkpoint:
        info = checkpoint.tensors["a"]
        native = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"))
        assert info.dtype.name == native.dtype.name
        assert info.shape == array.shape
        assert elements(info) == native.tobytes()


def test_a_state_dict_may_hold_nothing_but_arrays(tmp_path: Path) -> None:
    torch.save({"model": {"a.w": NUMBERS, "a.b": NUMBERS[0]}, "epoch": 1}, tmp_path / "a.pth")
    with open_checkpoint(str(tmp_path / "a.pth")) as checkpoint:
        assert checkpoint.wrapper == "model"
        assert list(checkpoint.tensors) == ["a.w", "a.b"]


def test_records_of_a_run_are_no_weights_beside_tensors(tmp_path: Path) -> None:
    content = {"weights": {"w": torch.ones(2)}, "history": {"loss": np.arange(1000.0)}}
    torch.save(content, tmp_path / "a.pth")
    with open_checkpoint(str(tmp_path / "a.pth")) as checkpoint:
        assert checkpoint.wrapper == "weights"
        assert [wrapper.key for wrapper in checkpoint.wrappers] == ["weights"]
        assert checkpoint.outside == ()


NO_NUMBERS = {
    "objects": np.array([None, "x"], dtype=object),
    "text": np.array(["a", "bc"]),
    "dates": np.array(["2024-01-01"], dtype="M8[D]"),
    "fields": np.zeros(2, dtype=[("x", "f4"), ("y", "i2")]),
    "a scalar": np.float32(3),
}


@pytest.mark.parametrize("value", NO_NUMBERS.values(), ids=NO_NUMBERS.keys())
def test_what_holds_no_plain_numbers_stays_an_entry(value: Any, tmp_path: Path) -> None:
    torch.save({"w": torch.ones(2), "a": value}, tmp_path / "a.pth")
    with open_checkpoint(str(tmp_path / "a.pth")) as checkpoint:
        assert list(checkpoint.tensors) == ["w"]
        assert [(entry.key, entry.inside) for entry in checkpoint.entries] == [("a", True)]


def test_bytes_that_do_not_fit_the_shape_are_refused(tmp_path: Path) -> None:
    eight = p.call(p.name("_codecs", "encode"), p.text("12345678"), p.text("latin1"))
    path = tmp_path / "a.pth"
    path.write_bytes(t.torch_zip(p.dict_of((p.text("a"), arrays.array(eight)))))
    with open_checkpoint(str(path)) as checkpoint:
        assert checkpoint.tensors["a"].shape == (2,)
    path.write_bytes(t.torch_zip(p.dict_of((p.text("a"), arrays.array(eight, b"K\x03\x85")))))
    with pytest.raises(MalformedError, match="other bytes than its shape needs"):
        open_checkpoint(str(path))


def test_of_one_axis_rows_and_columns_are_the_same(tmp_path: Path) -> None:
    eight = p.bytes_of(bytes(range(8)))
    path = tmp_path / "a.pth"
    path.write_bytes(t.torch_zip(p.dict_of((p.text("a"), arrays.array(eight, columns=arrays.YES)))))
    with open_checkpoint(str(path)) as checkpoint:
        info = checkpoint.tensors["a"]
        assert (info.shape, info.strides, elements(info)) == ((2,), None, bytes(range(8)))


def test_text_that_stands_for_no_bytes_is_refused(tmp_path: Path) -> None:
    text = p.call(p.name("_codecs", "encode"), p.text("\u20ac" * 8), p.text("latin1"))
    (tmp_path / "a.pth").write_bytes(t.torch_zip(p.dict_of((p.text("a"), arrays.array(text)))))
    with pytest.raises(MalformedError):
        open_checkpoint(str(tmp_path / "a.pth"))
