"""Folders of torch.distributed.checkpoint: read as torch reads them, all else refused."""

from __future__ import annotations

import json
import pickle
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torch

from ckpttool import open_checkpoint
from ckpttool.files.sources import FileSource, read_bytes
from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError, MalformedError, UnsupportedError
from ckpttool.findings.uses import Use
from ckpttool.formats.distributed import chunks, folder
from ckpttool.formats.distributed import files as files_of_parts
from ckpttool.formats.pickles import stack
from ckpttool.inputs.paths import targets_of
from ckpttool.tensors.catalogue import Checkpoint
from ckpttool.tensors.gather import fill
from tests.builders import distributed
from tests.builders import pickles as p
from tests.builders import torch_files as tf
from tests.builders.distributed import Piece
from tests.builders.distributed_defects import DEFECTS, NOT_READ

FIXTURES = Path(__file__).parents[3] / "fixtures"
RELEASES = ("2.2.2", "2.6.0", "2.13.0")

lists = pytest.mark.skipif(not distributed.LISTS, reason="the classes of this torch lie elsewhere")
writes = pytest.mark.skipif(not distributed.WRITES, reason="this torch does not write all of it")


def bytes_of(checkpoint: Checkpoint, name: str) -> bytes:
    info = checkpoint[name]
    out = bytearray(info.nbytes)
    fill(info, 0, memoryview(out))
    return bytes(out)


def raw(tensor: torch.Tensor) -> bytes:
    flat = tensor.contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""


def files_of(checkpoint: Checkpoint) -> list[FileSource]:
    return [source for source in checkpoint.sources if isinstance(source, FileSource)]


def refused(path: Path) -> CkpttoolError:
    with pytest.raises(CkpttoolError) as caught:
        open_checkpoint(path)
    return caught.value


def uses_of(path: Path) -> Any:
    try:
        with open_checkpoint(path) as checkpoint:
            return checkpoint.uses
    except CkpttoolError as error:
        return error.uses


# --- what writers write --------------------------------------------------------------------


@pytest.mark.parametrize("release", RELEASES)
def test_folders_of_real_releases_are_read_bit_for_bit(release: str) -> None:
    place = FIXTURES / f"distributed-torch-{release}"
    expected = json.loads((place / "expected.json").read_bytes())["tensors"]
    with open_checkpoint(place) as checkpoint:
        assert (checkpoint.format, checkpoint.wrapper) == ("torch-distributed", "model")
        found = {
            name: {
                "dtype": info.dtype.name,
                "shape": list(info.shape),
                "sha256": sha256(bytes_of(checkpoint, name)).hexdigest(),
            }
            for name, info in checkpoint.items()
        }
        assert found == expected
        assert {"optimizer", "epoch"} <= {entry.key for entry in checkpoint.entries}
        assert (checkpoint.uses, checkpoint.remarks) == ((), ())


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return distributed.written(tmp_path_factory.mktemp("distributed"))


@writes
@pytest.mark.parametrize("world", [1, 2, 4])
@pytest.mark.parametrize("kind", ["dcp", "fsdp"])
def test_a_folder_holds_what_torch_makes_of_it(written: Path, kind: str, world: int) -> None:
    folder = written / f"{kind}-{world}"
    torch_s: Any = torch.load(f"{folder}.pth", weights_only=False)
    with open_checkpoint(folder) as ours, open_checkpoint(f"{folder}.pth") as theirs:
        assert (ours.wrapper, ours.tensors.keys()) == (theirs.wrapper, theirs.tensors.keys())
        for name, tensor in torch_s["model"].items():
            assert str(tensor.dtype) == f"torch.{ours[name].dtype.name}"
            assert ours[name].shape == tuple(tensor.shape)
            assert bytes_of(ours, name) == raw(tensor), name
        told = {entry.key: entry[1:] for entry in ours.entries if entry.key != "storage_meta"}
        assert told == {entry.key: entry[1:] for entry in theirs.entries}
        assert [row[:3] for row in ours.outside] == [row[:3] for row in theirs.outside]


@writes
def test_rows_stay_extents_of_the_files_and_the_rest_is_assembled(written: Path) -> None:
    with open_checkpoint(written / "dcp-4") as checkpoint:
        rows, columns = checkpoint["wide.weight.axis0"], checkpoint["wide.weight.axis1"]
        assert [type(extent.source) for extent in rows.extents] == [FileSource] * 4
        (assembled,) = columns.extents
        assert assembled.source not in checkpoint.sources


@writes
@pytest.mark.parametrize("world", [1, 2, 4])
def test_tensors_kept_as_safetensors_are_read_too(written: Path, world: int) -> None:
    torch_s: Any = torch.load(written / f"dcp-{world}.pth", weights_only=False)["model"]
    with open_checkpoint(written / f"safe-{world}") as checkpoint:
        assert checkpoint.format == "torch-distributed"
        assert len(checkpoint) > 20
        for name in checkpoint:
            assert bytes_of(checkpoint, name) == raw(torch_s[name]), name
        assert [entry.key for entry in checkpoint.entries][:1] == ["epoch"]


@writes
def test_a_part_named_by_itself_says_what_to_name(written: Path) -> None:
    for kind in ("dcp-2", "safe-2", "safe-1"):
        error = refused(written / kind / distributed.FILE)
        assert (type(error), error.rule) == (UnsupportedError, rules.UNSUPPORTED)
        assert ".distcp" in error.message
        assert "the folder" in str(error.fix)


# --- made by hand --------------------------------------------------------------------------


@lists
def test_chunks_along_both_axes_become_one_tensor(tmp_path: Path) -> None:
    with open_checkpoint(distributed.good(tmp_path / "c")) as checkpoint:
        assert list(checkpoint) == ["weight", "bias", "scale"]
        assert bytes_of(checkpoint, "weight") == raw(distributed.WEIGHT)
        assert bytes_of(checkpoint, "bias") == raw(torch.arange(5.0))
        assert bytes_of(checkpoint, "scale") == raw(torch.tensor(2.0))
        assert ("epoch", "int", "3") in [entry[:3] for entry in checkpoint.entries]


@lists
def test_the_folder_stands_for_its_metadata(tmp_path: Path) -> None:
    path = distributed.good(tmp_path / "c")
    with open_checkpoint(tmp_path / "c") as checkpoint:
        assert checkpoint.path == str(path)


@lists
@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_is_named_with_the_tensor(tmp_path: Path, defect: str) -> None:
    build, code, words = DEFECTS[defect]
    error = refused(build(tmp_path / "c"))
    assert isinstance(error, MalformedError)
    assert error.rule is not None
    assert (error.rule.code, words in str(error)) == (code, True), str(error)


@lists
@pytest.mark.parametrize("kind", NOT_READ)
def test_what_is_not_read_is_no_defect(tmp_path: Path, kind: str) -> None:
    build, code, words = NOT_READ[kind]
    error = refused(build(tmp_path / "c"))
    assert not isinstance(error, MalformedError)
    assert error.rule is not None
    assert (error.rule.code, words in str(error)) == (code, True), str(error)


@lists
def test_only_a_file_that_is_too_short_is_to_be_fetched_again(tmp_path: Path) -> None:
    for place, (name, (build, code, _)) in enumerate(DEFECTS.items()):
        error = refused(build(tmp_path / str(place)))
        fix = error.fix or (error.rule.fix if error.rule else "")
        assert ("copy the file again" in fix) is (code == "FIL006"), name


@lists
def test_safetensors_in_the_place_of_archives_are_joined(tmp_path: Path) -> None:
    with open_checkpoint(distributed.as_safetensors(tmp_path)) as checkpoint:
        assert bytes_of(checkpoint, "rows") == raw(distributed.WEIGHT)


@lists
def test_the_byte_order_of_another_machine_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "byteorder", "big")
    path = distributed.write(tmp_path)
    monkeypatch.undo()
    with open_checkpoint(path) as checkpoint:
        assert len(checkpoint.unread) == len(distributed.SHAPES)
        assert not checkpoint.tensors
        assert "byte order of another machine" in str(checkpoint.unread)


@lists
def test_a_tensor_that_is_listed_as_sparse_is_not_read(tmp_path: Path) -> None:
    with open_checkpoint(distributed.write(tmp_path, change=distributed.sparse)) as checkpoint:
        assert "bias" not in checkpoint.tensors
        assert "a tensor that is not strided" in str(checkpoint.unread)


@lists
def test_a_chunk_that_is_a_sparse_tensor_is_not_read(tmp_path: Path) -> None:
    pieces = [*distributed.PIECES[:4], Piece("model.bias", (0,), torch.arange(5.0).to_sparse())]
    with open_checkpoint(distributed.write(tmp_path, pieces)) as checkpoint:
        assert list(checkpoint) == ["weight"]
        assert checkpoint.unread == (("bias", "a sparse tensor"),)


@lists
def test_a_tensor_of_more_axes_than_can_be_put_together_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ckpttool.formats.distributed.whole._MAX_AXES", 1)
    with open_checkpoint(distributed.write(tmp_path)) as checkpoint:
        assert list(checkpoint) == ["bias", "scale"]
        ((name, reason),) = checkpoint.unread
    assert (name, reason) == ("weight", "a tensor of more axes than can be put together")


@lists
def test_shapes_and_places_may_be_plain_tuples(tmp_path: Path) -> None:
    path = distributed.write(tmp_path, change=distributed.in_plain_tuples)
    with open_checkpoint(path) as checkpoint:
        assert bytes_of(checkpoint, "weight") == raw(distributed.WEIGHT)


@lists
def test_a_chunk_without_elements_needs_no_place(tmp_path: Path) -> None:
    path = distributed.write(tmp_path, change=distributed.empty_chunk)
    with open_checkpoint(path) as checkpoint:
        assert bytes_of(checkpoint, "bias") == raw(torch.arange(5.0))
        assert checkpoint.remarks == ()


@lists
def test_a_place_for_a_chunk_of_no_tensor_is_told(tmp_path: Path) -> None:
    path = distributed.write(tmp_path, change=distributed.place_of_nothing)
    with open_checkpoint(path) as checkpoint:
        (remark,) = checkpoint.remarks
    assert remark.rule is rules.DISTRIBUTED_UNLISTED
    assert "places for 1 chunk of no tensor that it lists" in remark.message


@lists
def test_chunks_are_the_same_where_their_pickles_are_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "_KEPT", 0)
    with open_checkpoint(distributed.write(tmp_path)) as checkpoint:
        assert bytes_of(checkpoint, "weight") == raw(distributed.WEIGHT)


@lists
def test_of_many_files_some_stay_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files_of_parts, "MAX_OPEN", 1)
    with open_checkpoint(distributed.write(tmp_path)) as checkpoint:
        assert [file.fileno() == -1 for file in files_of(checkpoint)] == [False, False, True]
        assert bytes_of(checkpoint, "weight") == raw(distributed.WEIGHT)


@lists
def test_there_is_a_limit_to_files_and_to_objects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = distributed.write(tmp_path, raw={"note": b"12345"})
    for module, limit in (
        (chunks, "_MOST_BYTES"),
        (files_of_parts, "MAX_FILES"),
        (folder, "MAX_METADATA"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(module, limit, 1)
            assert refused(path).rule is rules.LIMIT


@lists
def test_files_that_are_not_listed_are_told(tmp_path: Path) -> None:
    with open_checkpoint(distributed.with_another_file(tmp_path)) as checkpoint:
        (remark,) = checkpoint.remarks
        assert remark.rule is rules.DISTRIBUTED_UNLISTED
        assert "__9_0.distcp" in remark.message


@lists
def test_what_megatron_keeps_beside_is_said_and_is_no_checkpoint_of_its_own(tmp_path: Path) -> None:
    """Objects that are parted over processes have names of their own, and lie among the parts."""
    objects: dict[str, object] = {
        "model.extra_state/shard_0_1": b"x",
        "rng_state/shard_0.0_1.1": [1, 2],
    }
    path = distributed.write(tmp_path, objects=objects)
    torch.save({"args": {"lr": 0.1}, "iteration": 5}, tmp_path / "common.pt")
    with open_checkpoint(path) as checkpoint:
        (remark,) = checkpoint.remarks
        assert (remark.severity, "common.pt" in remark.message) == (rules.Severity.NOTE, True)
        assert objects.keys() <= {entry.key for entry in checkpoint.entries}
    assert [target.path for target in targets_of([str(tmp_path)]).targets] == [str(path)]


@lists
def test_a_chunk_beyond_four_gibibytes_is_read(tmp_path: Path) -> None:
    path = distributed.write(tmp_path)
    far = 5 << 30
    with (tmp_path / "__1_0.distcp").open("r+b") as file:  # sparse: the hole takes no room
        data = file.read()
        file.truncate(far)
        file.seek(far)
        file.write(data)
    told = pickle.loads(path.read_bytes())
    for info in told.storage_data.values():
        info.offset += far if info.relative_path == "__1_0.distcp" else 0
    with open_checkpoint(distributed.dump(tmp_path, told)) as checkpoint:
        assert bytes_of(checkpoint, "weight") == raw(distributed.WEIGHT)


@lists
def test_files_in_folders_below_are_read(tmp_path: Path) -> None:
    (tmp_path / "rank" / "0").mkdir(parents=True)
    pieces = [piece._replace(file="rank/0/a.distcp") for piece in distributed.PIECES]
    with open_checkpoint(distributed.write(tmp_path, pieces)) as checkpoint:
        assert bytes_of(checkpoint, "weight") == raw(distributed.WEIGHT)


@lists
def test_without_paths_the_flat_names_stand_at_the_root(tmp_path: Path) -> None:
    def change(told: Any) -> None:
        told.planner_data = None

    with open_checkpoint(distributed.write(tmp_path, change=change)) as checkpoint:
        assert checkpoint.wrapper is None
        assert "model.weight" in checkpoint


@lists
def test_a_chunk_whose_columns_lie_one_after_the_other_is_read(tmp_path: Path) -> None:
    weight = distributed.WEIGHT
    pieces = [
        Piece("model.weight", (0, 0), weight[:, :4].t().contiguous().t()),
        Piece("model.weight", (0, 4), weight[:, 4:].clone()),
    ]
    path = distributed.write(tmp_path, pieces, shapes={"model.weight": (4, 6)})
    with open_checkpoint(path) as checkpoint:
        assert bytes_of(checkpoint, "weight") == raw(weight)


@lists
def test_an_object_with_tensors_in_it_is_beside_the_weights(tmp_path: Path) -> None:
    path = distributed.write(tmp_path, objects={"extra": [torch.ones(3), {"b": torch.ones(2)}]})
    with open_checkpoint(path) as checkpoint:
        assert sum(row.nbytes for row in checkpoint.outside) == 20
        assert {row.key.partition(".")[0] for row in checkpoint.outside} == {"extra"}


@lists
@pytest.mark.parametrize("data", [b"\x00\x01 no pickle", b""])
def test_bytes_that_are_no_archive_are_beside_the_weights(tmp_path: Path, data: bytes) -> None:
    path = distributed.write(tmp_path, raw={"blob": data})
    with open_checkpoint(path) as checkpoint:
        assert checkpoint.entries[0][:2] == ("blob", "bytes")
        assert checkpoint.uses == ()


@lists
def test_what_an_object_would_call_is_told(tmp_path: Path) -> None:
    attack = p.call(p.name("os", "system"), p.text("true"))
    for place, data in enumerate((tf.torch_zip(attack), p.pickle(attack))):
        path = distributed.write(tmp_path / str(place), raw={"blob": data})
        assert [(use.name, use.use) for use in uses_of(path)] == [("os.system", Use.ATTACK)]


@lists
def test_a_listing_that_attacks_is_told(tmp_path: Path) -> None:
    attack = p.call(p.name("os", "system"), p.text("true"))
    path = distributed.good(tmp_path / "c")
    data = path.read_bytes()
    name = data[11:62]  # behind protocol and frame: the name of the class of a listing
    # the call stands before the listing, and its result is dropped
    path.write_bytes(data[:2] + name + b"0" + attack + b"0" + data[11:])
    assert [use.name for use in uses_of(path)] == ["os.system"]


def test_another_object_of_the_same_module_is_no_checkpoint(tmp_path: Path) -> None:
    name = p.name("torch.distributed.checkpoint.metadata", "BytesStorageMetadata")
    path = tmp_path / "x"
    path.write_bytes(p.pickle(p.call(name)))
    assert isinstance(refused(path), UnsupportedError)


# --- how much is read ----------------------------------------------------------------------


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lengths of all reads of the ends of chunks."""
    counted: list[int] = []

    def counting(source: Any, offset: int, length: int) -> bytes:
        counted.append(length)
        return read_bytes(source, offset, length)

    monkeypatch.setattr(files_of_parts, "read_bytes", counting)
    return counted


@lists
def test_one_small_read_serves_a_chunk(tmp_path: Path, reads: list[int]) -> None:
    large = torch.arange(40_000.0)
    pieces = [Piece(f"w{n}", (0,), large + n) for n in range(10)]
    shapes = {piece.name: (40_000,) for piece in pieces}
    with open_checkpoint(distributed.write(tmp_path, pieces, shapes=shapes)) as checkpoint:
        assert len(checkpoint) == 10
    assert len(reads) <= len(pieces) + 1
    assert sum(reads) < 120_000


@lists
def test_small_chunks_side_by_side_are_read_together(tmp_path: Path, reads: list[int]) -> None:
    pieces = [Piece(f"w{n}", (), torch.tensor(float(n))) for n in range(200)]
    path = distributed.write(tmp_path, pieces, shapes={piece.name: () for piece in pieces})
    with open_checkpoint(path) as checkpoint:
        assert len(reads) == 1
        assert [bytes_of(checkpoint, one.name) for one in pieces] == [
            raw(one.tensor) for one in pieces
        ]


@lists
def test_the_files_are_closed_with_the_checkpoint(tmp_path: Path) -> None:
    with open_checkpoint(distributed.good(tmp_path)) as checkpoint:
        files = files_of(checkpoint)
    assert [file.fileno() for file in files] == [-1, -1, -1]


@lists
def test_a_listing_may_have_more_objects_for_its_size_than_other_pickles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces = [Piece("w", (n,), torch.tensor([float(n)])) for n in range(3_000)]
    path = distributed.write(tmp_path, pieces, shapes={"w": (3_000,)})
    monkeypatch.setattr(stack, "MAX_NODE_BYTES", 100_000)
    with open_checkpoint(path) as checkpoint:
        assert bytes_of(checkpoint, "w") == raw(torch.arange(3_000.0))
    monkeypatch.setattr(folder, "_EACH", stack.NODE_BYTES_EACH)
    assert refused(path).rule is rules.LIMIT
