"""Safetensors files of parts: together they are one checkpoint, each alone is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

import ckpttool
from ckpttool import open_checkpoint
from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError, MalformedError, UnreadableError
from tests.builders import distributed
from tests.ckpttool.formats.distributed.test_folder import bytes_of, raw, writes

WEIGHT = distributed.WEIGHT


def refused(path: Path) -> CkpttoolError:
    with pytest.raises(CkpttoolError) as caught:
        open_checkpoint(path)
    return caught.value


@pytest.mark.parametrize("named", ["", distributed.part_name(1), distributed.part_name(2)])
def test_any_of_the_files_and_the_folder_stand_for_all(tmp_path: Path, named: str) -> None:
    distributed.good_parts(tmp_path)
    with open_checkpoint(tmp_path / named) as checkpoint:
        assert checkpoint.format == "safetensors-unconsolidated"
        assert bytes_of(checkpoint, "weight") == raw(WEIGHT)
        assert bytes_of(checkpoint, "bias") == raw(torch.arange(5.0))
        assert checkpoint.metadata == {"format": "pt"}
        (remark,) = checkpoint.remarks
        assert remark.rule is rules.DISTRIBUTED_SIZES


@writes
@pytest.mark.parametrize("world", [1, 2, 4])
def test_what_torch_writes_is_read_bit_for_bit(
    world: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    written = distributed.written(tmp_path_factory.mktemp("distributed"))
    whole: Any = torch.load(written / f"dcp-{world}.pth", weights_only=False)["model"]
    with open_checkpoint(written / f"parts-{world}") as checkpoint:
        assert len(checkpoint) > 20
        for name, info in checkpoint.items():
            assert info.shape == tuple(whole[name].shape)
            assert bytes_of(checkpoint, name) == raw(whole[name]), name


def test_a_file_of_whole_tensors_with_the_key_may_be_the_first_of_several_renamed(
    tmp_path: Path,
) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(distributed.part({"weight": ((0, 0), WEIGHT)}))
    with open_checkpoint(path) as checkpoint:
        assert checkpoint.format == "safetensors"
        (remark,) = checkpoint.remarks
        assert (remark.rule, remark.severity) == (rules.DISTRIBUTED_SIZES, rules.Severity.NOTE)


def test_files_without_the_key_are_left_alone(tmp_path: Path) -> None:
    path = distributed.good_parts(tmp_path)
    safetensors.torch.save_file({"x": torch.ones(1)}, tmp_path / "other.safetensors")
    with open_checkpoint(path) as checkpoint:
        assert "x" not in checkpoint


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (({"w": ((0, 0), WEIGHT[:, :2])}, {"w": ((0, 3), WEIGHT[:, 3:])}), "from [0, 2] on"),
        (({"w": ((0, 0), WEIGHT)}, {"w": ((0, 5), WEIGHT[:, 5:])}), "overlap"),
        (({"w": ((0, 0), WEIGHT)}, {"w": ((0, 0), WEIGHT)}), "twice"),
        (({"w": ((0, 0), WEIGHT)}, {"w": ((4, 0), WEIGHT.to(torch.int64))}), "differ in type"),
        (({"w": ((0, 0), WEIGHT)}, {"w": ((4,), WEIGHT[0])}), "differ in type"),
    ],
)
def test_parts_that_make_up_no_tensor_are_named(tmp_path: Path, files: Any, words: str) -> None:
    error = refused(distributed.parts(tmp_path / "c", *files))
    assert (type(error), error.tensor, error.rule) == (
        MalformedError,
        "w",
        rules.DISTRIBUTED_CHUNKS,
    )
    assert words in error.message


@pytest.mark.parametrize(
    "told",
    [
        "no JSON",
        "[]",
        "{}",
        '{"w": {}}',
        '{"w": {"saved_offsets": [0]}}',
        '{"w": {"saved_offsets": [0, -1]}}',
        '{"w": {"saved_offsets": [0, 1.5]}}',
        '{"w": {"saved_offsets": [0, true]}}',
        '{"w": 3}',
        "[" * 100_000,
    ],
)
def test_sharding_information_in_another_form_is_refused(tmp_path: Path, told: str) -> None:
    path = tmp_path / distributed.part_name(1)
    safetensors.torch.save_file({"w": WEIGHT}, path, {"DCP_SHARDING_INFO": told})
    assert refused(path).rule is rules.DISTRIBUTED_METADATA


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    path = distributed.good_parts(tmp_path / "c")
    outside = tmp_path / "outside"
    (tmp_path / "c" / distributed.part_name(2)).replace(outside)
    (tmp_path / "c" / distributed.part_name(2)).symlink_to(outside)
    assert isinstance(refused(path), UnreadableError)


def test_a_broken_file_beside_is_named(tmp_path: Path) -> None:
    path = distributed.good_parts(tmp_path)
    second = tmp_path / distributed.part_name(2)
    second.write_bytes(second.read_bytes()[:-1])
    error = refused(path)
    assert (error.rule, error.path) == (rules.TRUNCATED, str(second))


def test_a_large_offset_is_a_hole_and_no_memory(tmp_path: Path) -> None:
    told = json.dumps({"w": {"saved_offsets": [2**60, 0]}})
    path = tmp_path / distributed.part_name(1)
    safetensors.torch.save_file({"w": WEIGHT}, path, {"DCP_SHARDING_INFO": told})
    assert "from [0, 0] on" in refused(path).message


def test_a_whole_set_is_not_said_to_be_a_part_of_one(tmp_path: Path) -> None:
    path = distributed.good_parts(tmp_path)
    (file,) = ckpttool.verify([str(path)], schema="none").files
    assert not any("rest of the checkpoint" in one for one in file.unchecked)
