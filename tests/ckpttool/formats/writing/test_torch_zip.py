from __future__ import annotations

import io
import pickletools
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from ckpttool.files.sources import ByteSource
from ckpttool.findings.errors import MalformedError
from ckpttool.formats import open_checkpoint
from ckpttool.formats.archives.archive import read_archive
from ckpttool.formats.writing import torch_zip
from ckpttool.formats.writing.torch_zip import finish, plan
from ckpttool.tensors.catalogue import TensorInfo
from ckpttool.tensors.dtypes import DTYPES, DType, by_elements
from ckpttool.tensors.values import start_values
from tests.builders.memory import SparseSource
from tests.builders.pieces import MIXED_TURNED, mixed, of_dtype, piece, put
from tests.builders.tensors import from_array, in_memory

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Mapping


# torch 2.0 warns of its own storages while it loads
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")


def loaded(path: Path) -> Any:
    return torch.load(path, weights_only=True, map_location="cpu")


def test_torch_reads_back_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "m.pth"
    put(path, plan(mixed()))
    state = loaded(path)
    assert list(state) == [one.name for one in mixed()]
    for one in mixed():
        assert (str(state[one.name].dtype), tuple(state[one.name].shape)) == (
            f"torch.{one.dtype.name}",
            one.shape,
        )
        assert state[one.name].is_contiguous()
    np.testing.assert_array_equal(state["steps"].numpy(), np.arange(5))
    np.testing.assert_array_equal(state["turned"].numpy(), MIXED_TURNED)
    np.testing.assert_array_equal(state["swapped"].numpy(), MIXED_TURNED.T)


def test_torch_maps_what_was_written(tmp_path: Path) -> None:
    if torch.__version__ < "2.1":
        pytest.skip("torch.load maps files since 2.1")
    path = tmp_path / "m.pth"
    put(path, plan(mixed()))
    state = torch.load(path, weights_only=True, mmap=True)
    np.testing.assert_array_equal(state["turned"].numpy(), MIXED_TURNED)


def test_the_strict_reader_finds_every_sum_right(tmp_path: Path) -> None:
    path = tmp_path / "m.pth"
    put(path, plan(mixed(), wrapper="model"))
    with open_checkpoint(str(path)) as checkpoint:
        assert checkpoint.wrapper == "model"
        assert checkpoint.entries == ()
        assert {name: (info.dtype, info.shape) for name, info in checkpoint.tensors.items()} == {
            one.name: (one.dtype, one.shape) for one in mixed()
        }
        assert len(checkpoint.checksums) == 7  # one of the eight is empty
        assert start_values(checkpoint.tensors, checkpoint.checksums).result().bad_checksums == ()


def test_zipfile_finds_nothing_wrong(tmp_path: Path) -> None:
    path = tmp_path / "m.pth"
    put(path, plan(mixed()))
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.namelist()[:4] == [
            "archive/data.pkl",
            "archive/byteorder",
            "archive/version",
            "archive/data/0",
        ]
        pickletools.dis(archive.read("archive/data.pkl"), out=io.StringIO())


def test_the_bytes_of_every_storage_are_aligned() -> None:
    layout = plan(mixed())
    assert [slot.offset % 64 for slot in layout.slots] == [0] * len(layout.slots)


@pytest.mark.parametrize("wrapper", [None, "model", "a.b"])
def test_the_state_dict_lies_under_its_wrapper(tmp_path: Path, wrapper: str | None) -> None:
    path = tmp_path / "m.pth"
    put(path, plan([of_dtype("uint8", (2,))], wrapper=wrapper))
    state = loaded(path)
    for key in wrapper.split(".") if wrapper else ():
        assert list(state) == [key]
        state = state[key]
    assert state["weight"].tolist() == [0, 1]
    with open_checkpoint(str(path)) as checkpoint:
        assert checkpoint.wrapper == wrapper


def test_an_alias_is_a_view_of_the_same_storage(tmp_path: Path) -> None:
    path = tmp_path / "m.pth"
    info = from_array(np.arange(6, dtype=np.float32).reshape(2, 3), "kept")
    layout = plan([piece(info._replace(name="before"), alias_of="kept"), piece(info)])
    put(path, layout)
    state = loaded(path)
    assert state["before"].data_ptr() == state["kept"].data_ptr()
    assert [slot.piece.name for slot in layout.slots] == ["kept"]


@pytest.mark.parametrize(
    "dtype",
    [dtype for dtype in DTYPES.values() if dtype.bits % 8 == 0],
    ids=lambda dtype: str(dtype.name),
)
def test_every_dtype_of_torch_is_read_back(tmp_path: Path, dtype: DType) -> None:
    path = tmp_path / "m.pth"
    put(path, plan([of_dtype(dtype.name, (4, 1))]))
    with open_checkpoint(str(path)) as checkpoint:
        assert checkpoint.tensors["weight"].dtype == by_elements(dtype, (4, 1))[0]
    if dtype.storage is not None or (hasattr(torch, dtype.name) and torch.__version__ >= "2.6"):
        assert str(loaded(path)["weight"].dtype) == f"torch.{dtype.name}"


def test_the_same_pieces_give_the_same_bytes(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other.pth"
    put(one, plan(mixed(), wrapper="model"), workers=1)
    put(other, plan(mixed(), wrapper="model"), workers=4)
    assert one.read_bytes() == other.read_bytes()


def test_long_names_and_big_numbers_survive_the_pickle(tmp_path: Path) -> None:
    path = tmp_path / "m.pth"
    names = [f"{'n' * 300}.{index}" for index in range(300)]  # past the short memo
    pieces = [of_dtype("uint8", (1,), name) for name in names]
    wide = of_dtype("uint8", (0, 2**40, 300), "wide")
    put(path, plan([*pieces, wide]))
    state = loaded(path)
    assert list(state) == [*names, "wide"]
    assert state["wide"].shape == (0, 2**40, 300)


@pytest.mark.parametrize(("dtype", "shape"), [("float4_e2m1", (2, 3)), ("float6_e3m2", (4,))])
def test_what_torch_cannot_hold_is_refused(dtype: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(MalformedError, match="CVT101"):
        plan([of_dtype(dtype, shape)])


@pytest.mark.parametrize(
    ("limit", "most", "told"),
    [
        ("MAX_TENSORS", 2, "more tensors than a reader takes"),
        ("MAX_MEMBERS", 5, "more tensors than a reader takes"),
        ("MAX_DIRECTORY", 500, "the archive's directory would be larger"),
        ("MAX_PICKLE", 400, "the pickle would be larger"),
    ],
)
def test_more_than_a_reader_takes_is_refused(
    limit: str, most: int, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch_zip, limit, most)
    plan([of_dtype("uint8", name=name) for name in "ab"])
    with pytest.raises(MalformedError, match=told):
        plan([of_dtype("uint8", name=name) for name in "abcdefgh"])


# --- beyond four gigabytes, without writing them ------------------------------------------


def huge(sizes: Mapping[str, int]) -> list[TensorInfo]:
    """Tensors of so many bytes that are nowhere."""
    empty = in_memory(b"", "uint8", (0,))
    return [empty._replace(name=name, shape=(size,)) for name, size in sizes.items()]


@pytest.mark.parametrize(
    "sizes",
    [
        pytest.param({"a": 2**32 - 2}, id="the last that needs no zip64"),
        pytest.param({"a": 2**32 - 1}, id="the first that needs zip64"),
        pytest.param({"a": 2**33, "b": 5}, id="large, and small behind it"),
        pytest.param({"a": 2**31, "b": 2**31 + 7, "c": 1}, id="small offsets, then large"),
        pytest.param({"a": 2**40, "b": 2**40}, id="terabytes"),
    ],
)
def test_large_archives_are_read_strictly(sizes: dict[str, int]) -> None:
    layout = plan([piece(info) for info in huge(sizes)])
    crcs = dict.fromkeys(sizes, 0x01020304)
    source: ByteSource = SparseSource(layout.size, finish(layout, [], {}, crcs))
    members = read_archive(source).members
    assert [members[f"archive/data/{n}"].size for n in range(len(sizes))] == list(sizes.values())
    assert [members[f"archive/data/{n}"].offset for n in range(len(sizes))] == [
        slot.offset for slot in layout.slots
    ]
    assert members["archive/version"].crc32 == zlib.crc32(b"3\n")


def test_zipfile_reads_a_large_sparse_archive(tmp_path: Path) -> None:
    path = tmp_path / "m.pth"
    layout = plan([piece(info) for info in huge({"a": 2**32 + 5, "b": 3})])
    with path.open("wb") as file:
        file.truncate(layout.size)
        for offset, data in finish(layout, [], {}, {"a": 0, "b": zlib.crc32(bytes(3))}):
            file.seek(offset)
            file.write(data)
    with zipfile.ZipFile(path) as archive:
        assert archive.getinfo("archive/data/0").file_size == 2**32 + 5
        assert archive.read("archive/data/1") == bytes(3)
    if torch.__version__ >= "2.1":  # older ones would read four gigabytes
        state = torch.load(path, weights_only=True, mmap=True)
        assert state["a"].shape == (2**32 + 5,)


def test_many_members_need_the_long_end_record() -> None:
    names = {f"t{index}": 1 for index in range(0xFFFF)}
    layout = plan([piece(info) for info in huge(names)])
    source: ByteSource = SparseSource(
        layout.size, finish(layout, [], {}, dict.fromkeys(names, 0))[-1:]
    )
    tail = bytearray(98)
    source.read_into(layout.size - 98, memoryview(tail))
    assert tail[:4] == b"PK\x06\x06"
    assert tail[76:80] == b"PK\x05\x06"
    assert int.from_bytes(tail[24:32], "little") == 0xFFFF + 3
