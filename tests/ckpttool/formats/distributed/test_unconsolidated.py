"""Safetensors files of parts: together they are one checkpoint, each alone is not."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

import ckpttool
from ckpttool import open_checkpoint
from ckpttool.findings import rules
from ckpttool.findings.errors import (
    CkpttoolError,
    MalformedError,
    UnreadableError,
    UnsupportedError,
)
from ckpttool.formats.distributed import unconsolidated
from tests.builders import distributed, torch_files
from tests.ckpttool.formats.distributed.test_folder import bytes_of, files_of, raw, writes

WEIGHT = distributed.WEIGHT
EMPTY = torch.ones(0, 1)


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


def test_a_file_beside_with_its_places_in_another_form_is_named(tmp_path: Path) -> None:
    path = distributed.good_parts(tmp_path)
    second = tmp_path / distributed.part_name(2)
    safetensors.torch.save_file({"w": WEIGHT}, second, {"DCP_SHARDING_INFO": "[]"})
    error = refused(path)
    assert (error.rule, error.path) == (rules.DISTRIBUTED_METADATA, str(second))


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 1213234688\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (POINTER, "git lfs pull"),
        (bytes(300), "the length of the header is not possible"),
        (safetensors.torch.save({"x": torch.ones(1)}), "called one of parts of tensors"),
        (torch_files.torch_zip(), "called one of parts of tensors"),
    ],
    ids=["a pointer of Git LFS", "zeros", "no places", "an archive of torch"],
)
def test_a_file_that_is_only_called_one_of_parts_does_not_pass_silently(
    content: bytes, words: str, tmp_path: Path
) -> None:
    path = distributed.good_parts(tmp_path)
    third = tmp_path / distributed.part_name(3)
    third.write_bytes(content)
    error = refused(path)
    assert error.path == str(third)
    assert words in str(error)


def test_another_file_beside_may_be_anything(tmp_path: Path) -> None:
    path = distributed.good_parts(tmp_path)
    (tmp_path / "other.safetensors").write_bytes(POINTER)
    with open_checkpoint(path) as checkpoint:
        assert bytes_of(checkpoint, "weight") == raw(WEIGHT)


def test_two_names_of_one_file_are_refused(tmp_path: Path) -> None:
    path = distributed.good_parts(tmp_path)
    os.link(tmp_path / distributed.part_name(2), tmp_path / distributed.part_name(3))
    error = refused(path)
    assert (type(error), error.rule) == (MalformedError, rules.DISTRIBUTED_CHUNKS)
    assert "is the same file as" in error.message


@pytest.mark.parametrize(("odd", "told"), [(1, "that of shard-00002"), (2, "(and of 1 more)")])
def test_headers_of_files_beside_that_are_oddly_spelled_are_told(
    odd: int, told: str, tmp_path: Path
) -> None:
    files = ({"w": ((row, 0), WEIGHT[row : row + 1])} for row in range(3))
    path = distributed.parts(tmp_path, *files)
    for number in range(2, 2 + odd):
        beside = tmp_path / distributed.part_name(number)
        beside.write_bytes(distributed.oddly_spelled(beside.read_bytes()))
    with open_checkpoint(path) as checkpoint:
        (message,) = (
            one.message for one in checkpoint.remarks if one.rule is rules.SAFETENSORS_SPELLING
        )
    assert message.startswith("the header has white space other than spaces behind it; that of")
    assert told in message


def test_of_many_files_some_stay_open_and_there_is_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = distributed.parts(tmp_path, *({"w": ((n, 0), WEIGHT[n : n + 1])} for n in range(4)))
    monkeypatch.setattr(unconsolidated, "MAX_OPEN", 1)
    with open_checkpoint(path) as checkpoint:
        assert [file.fileno() == -1 for file in files_of(checkpoint)] == [False, False, True, True]
        assert bytes_of(checkpoint, "w") == raw(WEIGHT)
    monkeypatch.setattr(unconsolidated, "MAX_FILES", 2)
    assert refused(path).rule is rules.LIMIT


def test_a_tensor_without_elements_has_no_bytes(tmp_path: Path) -> None:
    files = ({"e": ((0, 0), torch.ones(0, 3)), "w": ((0,), torch.ones(2))}, {"e": ((0, 3), EMPTY)})
    with open_checkpoint(distributed.parts(tmp_path, *files)) as checkpoint:
        assert (checkpoint["e"].shape, checkpoint["e"].extents) == ((0, 4), ())


def test_elements_below_a_byte_are_not_put_together(tmp_path: Path) -> None:
    error = refused(distributed.parts_in_four_bits(tmp_path))
    assert (type(error), error.tensor) == (UnsupportedError, "w")
    assert "elements below a byte" in error.message


def test_a_tensor_of_more_axes_than_can_be_put_together_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ckpttool.formats.distributed.whole._MAX_AXES", 1)
    error = refused(distributed.good_parts(tmp_path))
    assert (type(error), error.tensor) == (UnsupportedError, "weight")
    assert "more axes than can be put together" in error.message


def test_a_large_offset_is_a_hole_and_no_memory(tmp_path: Path) -> None:
    told = json.dumps({"w": {"saved_offsets": [2**60, 0]}})
    path = tmp_path / distributed.part_name(1)
    safetensors.torch.save_file({"w": WEIGHT}, path, {"DCP_SHARDING_INFO": told})
    assert "from [0, 0] on" in refused(path).message


def test_a_whole_set_is_not_said_to_be_a_part_of_one(tmp_path: Path) -> None:
    path = distributed.good_parts(tmp_path)
    (file,) = ckpttool.verify([str(path)], schema="none").files
    assert not any("rest of the checkpoint" in one for one in file.unchecked)
