"""A command that takes one checkpoint takes a glob or a folder that has one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from ckpttool.findings.errors import UnreadableError, UsageError
from ckpttool.formats import checkpoint_file
from ckpttool.inputs.paths import one_file
from tests.builders import shards, torch_shards
from tests.builders.safetensors import sharing


def test_a_folder_stands_for_the_checkpoint_in_it(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "README.md").write_text("# A model")
    (tmp_path / "model.safetensors").write_bytes(sharing({"a": 1}))
    assert one_file(str(tmp_path)) == str(tmp_path / "model.safetensors")


def test_shards_are_one_checkpoint(tmp_path: Path) -> None:
    assert one_file(str(shards.good(tmp_path).parent)) == str(tmp_path / shards.INDEX)


def test_torch_shards_are_one_checkpoint(tmp_path: Path) -> None:
    assert one_file(str(torch_shards.good(tmp_path).parent)) == str(tmp_path / torch_shards.INDEX)


def test_a_folder_of_several_is_refused_with_their_names(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(sharing({"a": 1}))
    torch.save({"a": torch.ones(1)}, tmp_path / "pytorch_model.bin")
    with pytest.raises(UsageError, match="one checkpoint") as caught:
        one_file(str(tmp_path))
    assert str(caught.value.found).startswith("2: ")


def test_a_folder_without_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# Nothing")
    with pytest.raises(UnreadableError, match="no checkpoint in this folder"):
        one_file(str(tmp_path))


def test_a_file_stays_what_it_is(tmp_path: Path) -> None:
    assert one_file(str(tmp_path / "gone.pth")) == str(tmp_path / "gone.pth")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs")
@pytest.mark.parametrize("name", [".metadata", "latest"])
def test_a_pipe_in_the_place_of_a_file_of_a_checkpoint_is_not_waited_for(
    name: str, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / name)
    assert checkpoint_file(str(tmp_path)) == str(tmp_path)
