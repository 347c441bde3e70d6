"""A name that ends as files of another format do is told, and any other is not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ckpttool import open_checkpoint
from ckpttool.findings import rules
from tests.builders import safetensors, shards, torch_files

ZIP, SAFETENSORS = torch_files.torch_zip(), safetensors.file()
LYING = [
    ("a.safetensors", ZIP),
    ("a.SafeTensors", ZIP),
    ("a.safetensors", torch_files.torch_legacy()),
    ("a.pth", SAFETENSORS),
    ("model.fp16.bin", SAFETENSORS),
    ("a.ckpt", SAFETENSORS),
    ("checkpoint.pth.tar", SAFETENSORS),
]
HONEST = [
    ("a.pth", ZIP),
    ("a.bin", ZIP),
    ("checkpoint.pth.tar", torch_files.torch_legacy()),
    ("a.tar", torch_files.torch_tar()),
    ("model.safetensors", SAFETENSORS),
    ("0a1b2c", SAFETENSORS),
    ("0a1b2c", ZIP),
    ("weights.model", ZIP),
    ("safetensors", ZIP),
    ("a.pth.1", SAFETENSORS),
]


@pytest.mark.parametrize(("name", "data"), LYING, ids=[name for name, _ in LYING])
def test_a_name_that_lies_is_told(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    with open_checkpoint(str(tmp_path / name)) as checkpoint:
        assert [remark.rule for remark in checkpoint.remarks] == [rules.OTHER_NAME]


@pytest.mark.parametrize(("name", "data"), HONEST)
def test_a_name_that_fits_or_says_nothing_is_quiet(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    with open_checkpoint(str(tmp_path / name)) as checkpoint:
        assert checkpoint.remarks == ()


def test_an_index_has_a_name_of_its_own(tmp_path: Path) -> None:
    with open_checkpoint(str(shards.good(tmp_path))) as checkpoint:
        assert checkpoint.remarks == ()


@pytest.mark.skipif(torch.__version__ < "2.13", reason="older ones look at the content")
def test_torch_itself_goes_by_the_name(tmp_path: Path) -> None:
    torch.save({"w": torch.ones(1)}, tmp_path / "a.safetensors")
    with pytest.raises(Exception, match="header"):
        torch.load(tmp_path / "a.safetensors", weights_only=True)
