"""The index of shards is written from what is in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Callable

import pytest
import torch

from ckpttool import open_checkpoint
from ckpttool.conversion.indexing import write_index
from ckpttool.findings.errors import (
    CkpttoolError,
    MalformedError,
    UnreadableError,
    UnsupportedError,
    UsageError,
)
from tests.builders import deepspeed, distributed, shards, torch_shards
from tests.builders.safetensors import sharing


def weight_map(path: str) -> object:
    return json.loads(Path(path).read_text())["weight_map"]


def test_a_folder_without_an_index_gets_one_that_is_read(tmp_path: Path) -> None:
    shards.good(tmp_path).unlink()
    written = write_index(tmp_path)
    assert written.path == str(tmp_path / shards.INDEX)
    assert weight_map(written.path) == dict(sorted(shards.MAP.items()))
    with open_checkpoint(written.path) as checkpoint:
        assert (len(checkpoint.tensors), written.size) == (written.tensors, 12)
        assert checkpoint.remarks == ()


def test_torch_shards_get_one_too(tmp_path: Path) -> None:
    torch_shards.good(tmp_path).unlink()
    written = write_index(tmp_path)
    assert written.path == str(tmp_path / torch_shards.INDEX)
    with open_checkpoint(written.path) as checkpoint:
        assert set(checkpoint.tensors) == set(torch_shards.state())


def test_safetensors_are_taken_where_both_lie(tmp_path: Path) -> None:
    shards.good(tmp_path).unlink()
    torch_shards.good(tmp_path).unlink()
    assert write_index(tmp_path).files == (shards.FIRST, shards.SECOND)


def test_a_right_index_stays_as_it_is(tmp_path: Path) -> None:
    path = shards.good(tmp_path)
    before = path.read_bytes()
    assert not write_index(tmp_path).is_new
    assert path.read_bytes() == before


def test_what_another_index_lacks_is_told_and_written_only_when_forced(tmp_path: Path) -> None:
    shards.good(tmp_path)
    path = shards.write(
        tmp_path, {"a": shards.SECOND, "b": shards.SECOND, "gone": shards.FIRST}, {"note": "kept"}
    )
    before = path.read_bytes()
    with pytest.raises(UsageError, match="another index") as caught:
        write_index(tmp_path)
    assert path.read_bytes() == before
    for word in ("1 tensor not listed: c", "in no shard: gone", "in another shard: a"):
        assert word in str(caught.value.found)
    written = write_index(tmp_path, force=True)
    assert (written.added, written.removed, written.moved) == (("c",), ("gone",), ("a",))
    document = json.loads(path.read_text())
    assert document["metadata"] == {"note": "kept", "total_size": 12, "total_parameters": 12}


def test_another_total_alone_is_a_reason_to_write(tmp_path: Path) -> None:
    shards.good(tmp_path)
    path = shards.write(tmp_path, shards.MAP, {"total_size": 3})
    with pytest.raises(UsageError, match="another total_size"):
        write_index(tmp_path)
    assert write_index(tmp_path, force=True).is_new
    assert json.loads(path.read_text())["metadata"]["total_size"] == 12


def test_two_series_and_a_file_beside_them_get_one_index(tmp_path: Path) -> None:
    shards.good(tmp_path).unlink()
    (tmp_path / "vision.safetensors").write_bytes(sharing({"v": 7}))
    (tmp_path / "mtp-00001-of-00001.safetensors").write_bytes(sharing({"m": 2}))
    written = write_index(tmp_path)
    assert Path(written.path).name == "model.safetensors.index.json"
    assert written.tensors == 5


def test_an_index_that_lists_some_of_the_files_is_completed(tmp_path: Path) -> None:
    shards.good(tmp_path).rename(tmp_path / "mine.safetensors.index.json")
    (tmp_path / "vision.safetensors").write_bytes(sharing({"v": 7}))
    written = write_index(tmp_path, force=True)
    assert Path(written.path).name == "mine.safetensors.index.json"
    assert written.added == ("v",)


def test_several_indexes_of_the_files_are_refused(tmp_path: Path) -> None:
    path = shards.good(tmp_path)
    (tmp_path / "other.safetensors.index.json").write_bytes(path.read_bytes())
    with pytest.raises(UsageError, match="several indexes list some of the files") as caught:
        write_index(tmp_path)
    assert "other.safetensors.index.json" in str(caught.value.found)


def test_a_tensor_in_two_files_is_refused(tmp_path: Path) -> None:
    shards.good(tmp_path).unlink()
    (tmp_path / "model.safetensors").write_bytes(sharing({"a": 3, "b": 4}))
    with pytest.raises(MalformedError, match="2 tensors in two files: a in") as caught:
        write_index(tmp_path)
    assert "name the files" in str(caught.value).lower()
    parts = [tmp_path / shards.FIRST, tmp_path / shards.SECOND]
    assert write_index(*parts).tensors == 3


def test_a_series_that_lacks_a_file_is_refused(tmp_path: Path) -> None:
    shards.good(tmp_path).unlink()
    (tmp_path / shards.SECOND).unlink()
    with pytest.raises(MalformedError, match="not all there"):
        write_index(tmp_path)
    assert not (tmp_path / shards.INDEX).exists()


def test_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="no such file"):
        write_index(str(tmp_path / "gone.safetensors"))


def test_files_of_two_folders_are_refused(tmp_path: Path) -> None:
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.safetensors").write_bytes(sharing({name: 1}))
    with pytest.raises(UsageError, match="one folder"):
        write_index(tmp_path / "x" / "a.safetensors", tmp_path / "y" / "a.safetensors")
    with pytest.raises(UsageError, match="own folder"):
        write_index(tmp_path / "x", output=tmp_path / "y" / "i.safetensors.index.json")


def test_a_folder_without_shards_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="no shard"):
        write_index(tmp_path)


def test_what_is_no_index_is_not_replaced(tmp_path: Path) -> None:
    shards.good(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UsageError, match="not an index"):
        write_index(tmp_path, output=tmp_path / "config.json", force=True)
    assert (tmp_path / "config.json").read_text() == "{}"


def test_a_broken_index_is_replaced_when_forced(tmp_path: Path) -> None:
    shards.good(tmp_path)
    path = shards.write_text(tmp_path, '{"weight_map": {"a": ')
    with pytest.raises(UsageError, match="another index"):
        write_index(tmp_path)
    write_index(tmp_path, force=True)
    with open_checkpoint(path) as checkpoint:
        assert len(checkpoint.tensors) == 3


def test_a_training_checkpoint_is_no_shard(tmp_path: Path) -> None:
    torch.save({"model": {"a": torch.ones(1)}, "epoch": 1}, tmp_path / "run.pth")
    with pytest.raises(CkpttoolError, match="more than a state dict"):
        write_index(tmp_path)


def test_an_adapter_is_no_shard_of_the_model_that_it_lies_beside(tmp_path: Path) -> None:
    shards.good(tmp_path).unlink()
    (tmp_path / "adapter_model.safetensors").write_bytes((tmp_path / shards.FIRST).read_bytes())
    with pytest.raises(UsageError, match="an adapter, and no shard"):
        write_index(tmp_path)
    assert write_index(tmp_path / shards.FIRST, tmp_path / shards.SECOND).is_new


def test_an_adapter_by_itself_may_have_an_index(tmp_path: Path) -> None:
    shards.good(tmp_path).unlink()
    (tmp_path / shards.FIRST).rename(tmp_path / "adapter_model.safetensors")
    (tmp_path / shards.SECOND).unlink()
    assert write_index(tmp_path).files == ("adapter_model.safetensors",)


@pytest.mark.parametrize(
    "build",
    [
        distributed.good_parts,
        deepspeed.stage_2,
        pytest.param(
            distributed.good, marks=pytest.mark.skipif(not distributed.LISTS, reason="old torch")
        ),
    ],
)
def test_a_folder_of_parts_that_processes_wrote_gets_no_index(
    build: Callable[[Path], Path], tmp_path: Path
) -> None:
    build(tmp_path / "run")
    before = sorted((tmp_path / "run").iterdir())
    with pytest.raises(UsageError, match="needs no index"):
        write_index(tmp_path / "run")
    assert sorted((tmp_path / "run").iterdir()) == before


def test_files_of_parts_are_no_shards(tmp_path: Path) -> None:
    first = distributed.good_parts(tmp_path)
    with pytest.raises(UnsupportedError, match="parts of tensors"):
        write_index(first)
    index = shards.write(tmp_path, {"weight": first.name, "bias": first.name})
    with pytest.raises(UnsupportedError, match="parts of tensors"):
        open_checkpoint(index)
