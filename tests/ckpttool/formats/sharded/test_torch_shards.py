"""An index of files of torch.save: read as one checkpoint, and no less strictly than each alone."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import torch

import ckpttool
from ckpttool import open_checkpoint
from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError, MalformedError, UnsupportedError
from ckpttool.findings.uses import Use
from tests.builders import torch_shards
from tests.builders.checkpoints import attack_beside
from tests.builders.safetensors import sharing

# by torch 2.0, of torch.save
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_the_tensors_of_all_shards_are_those_that_were_saved(tmp_path: Path, legacy: bool) -> None:
    with open_checkpoint(torch_shards.good(tmp_path, legacy=legacy)) as checkpoint:
        assert checkpoint.format == "torch-sharded"
        assert set(checkpoint.tensors) == set(torch_shards.state())
        for name, tensor in torch_shards.state().items():
            assert torch.equal(checkpoint.tensors[name].torch(), tensor)


def test_tensors_of_different_files_are_no_views_of_each_other(tmp_path: Path) -> None:
    with open_checkpoint(torch_shards.good(tmp_path)) as checkpoint:
        storages = {name: info.storage for name, info in checkpoint.tensors.items()}
        assert storages["embed.weight"] == storages["head.weight"]
        assert len(set(storages.values())) == 4
        assert set(storages.values()) == set(checkpoint.storages)


def test_a_changed_byte_is_told_of_the_file_that_it_is_in(tmp_path: Path) -> None:
    index = torch_shards.good(tmp_path)
    with open_checkpoint(index) as checkpoint:
        (extent,) = checkpoint.tensors["layer.1.weight"].extents
        assert Path(extent.source.name).name == torch_shards.SECOND
        place = extent.offset
    data = bytearray((tmp_path / torch_shards.SECOND).read_bytes())
    data[place] ^= 1
    (tmp_path / torch_shards.SECOND).write_bytes(data)
    report = ckpttool.verify([str(index)], schema="none")
    (found,) = [one for one in report.files[0].findings if one.rule is rules.CHECKSUM]
    assert torch_shards.SECOND in str(found)


def test_a_conversion_writes_safetensors_shards_under_the_name_that_is_looked_for(
    tmp_path: Path,
) -> None:
    index = torch_shards.good(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    ckpttool.convert(str(index), to="safetensors", max_shard_size="70B")
    written = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert set(written["weight_map"].values()) <= {one.name for one in tmp_path.iterdir()}
    with open_checkpoint(tmp_path / "model.safetensors.index.json") as checkpoint:
        for name, info in checkpoint.tensors.items():
            assert torch.equal(info.torch(), torch_shards.state()[name])


@pytest.mark.parametrize("name", [torch_shards.FIRST, torch_shards.SECOND])
def test_what_any_shard_would_call_is_told_with_its_file(tmp_path: Path, name: str) -> None:
    index = torch_shards.good(tmp_path)
    state = torch.load(tmp_path / name, weights_only=True)
    torch.save({**state, "x": attack_beside()["payload"]}, tmp_path / name)
    report = ckpttool.verify([str(index)], schema="none")
    assert report.exit_code == 1
    told = [one for one in report.files[0].findings if one.rule.code.startswith("SEC")]
    assert told
    assert any(name in str(one) for one in told)


def test_a_shard_with_more_than_tensors_is_not_read_through_the_index(tmp_path: Path) -> None:
    state = torch_shards.state()
    index = torch_shards.write(tmp_path, {"a.bin": {**state, "epoch": 3}})
    with pytest.raises(UnsupportedError, match="more than a state dict") as caught:
        open_checkpoint(index)
    assert str(caught.value.path).endswith("a.bin")
    assert caught.value.found == "epoch"


def test_a_shard_with_its_tensors_under_a_key_is_not_read_through_the_index(
    tmp_path: Path,
) -> None:
    torch.save({"model": torch_shards.state()}, tmp_path / "a.bin")
    index = torch_shards.write_index(tmp_path, {"embed.weight": "a.bin"})
    with pytest.raises(UnsupportedError, match="more than a state dict") as caught:
        open_checkpoint(index)
    assert caught.value.found == "a state dict under model"


def test_safetensors_beside_torch_files_in_one_index_are_read(tmp_path: Path) -> None:
    index = torch_shards.good(tmp_path)
    (tmp_path / torch_shards.SECOND).write_bytes(
        sharing({"layer.0.weight": 8, "layer.1.weight": 4})
    )
    with open_checkpoint(index) as checkpoint:
        assert checkpoint.format == "torch-sharded"
        assert len(checkpoint.tensors) == 5


@pytest.mark.parametrize("cut", [1, 100, 1000])
def test_a_shard_that_was_cut_is_named(tmp_path: Path, cut: int) -> None:
    index = torch_shards.good(tmp_path)
    path = tmp_path / torch_shards.FIRST
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(CkpttoolError) as caught:
        open_checkpoint(index)
    assert str(caught.value.path) == str(path)


def test_a_name_that_lies_in_no_shard_or_in_another_is_refused(tmp_path: Path) -> None:
    index = torch_shards.good(tmp_path)
    document = json.loads(index.read_text())
    document["weight_map"]["layer.0.weight"] = torch_shards.FIRST
    document["weight_map"]["gone"] = torch_shards.FIRST
    index.write_text(json.dumps(document))
    with pytest.raises(MalformedError, match="gone lies in no shard") as caught:
        open_checkpoint(index)
    assert f"layer.0.weight lies in {torch_shards.SECOND}" in caught.value.message


def test_a_plain_pickle_is_no_shard(tmp_path: Path) -> None:
    index = torch_shards.good(tmp_path)
    (tmp_path / torch_shards.SECOND).write_bytes(pickle.dumps({"layer.0.weight": 1}))
    with pytest.raises(UnsupportedError):
        open_checkpoint(index)


def test_calls_in_a_shard_stand_in_the_order_of_the_files(tmp_path: Path) -> None:
    index = torch_shards.good(tmp_path)
    for name in (torch_shards.FIRST, torch_shards.SECOND):
        state = torch.load(tmp_path / name, weights_only=True)
        torch.save({**state, "x": attack_beside()["payload"]}, tmp_path / name)
    with pytest.raises(CkpttoolError) as caught:
        open_checkpoint(index)
    assert any(use.use is not Use.NAMED for use in caught.value.uses)


def test_a_name_that_all_shards_refer_to_is_listed_once(tmp_path: Path) -> None:
    with open_checkpoint(torch_shards.good(tmp_path)) as checkpoint:
        names = [str(one) for one in checkpoint.references]
    assert names[:2] == ["torch._utils._rebuild_tensor_v2", "torch.FloatStorage"]
    assert len(set(names)) == len(names)
