"""The main job on a file of the published size: written, inspected, verified, damaged."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ckpttool import open_checkpoint
from ckpttool.files.sources import FileSource
from ckpttool.formats import open_source
from ckpttool.models.sample import write_sample
from mae.config import DEFAULT
from tests.builders.memory import FarSource

pytestmark = pytest.mark.full_size

#: Bytes of the published encoder's 303,301,632 parameters in float32.
ENCODER_BYTES = 1_213_206_528
MAIN = "from ckpttool.cli import main; main()"


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("full") / "mae_pretrain_vit_large.pth"
    write_sample(str(path), DEFAULT, full=False, seed=0)
    return path


def run(*arguments: str) -> tuple[int, Any]:
    """Run a command that reports JSON in a process of its own."""
    command = [sys.executable, "-c", MAIN, *arguments, "--format", "json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False, timeout=600)
    return done.returncode, json.loads(done.stdout)


def test_the_stand_in_has_the_published_layout(stand_in: Path) -> None:
    with open_checkpoint(str(stand_in)) as checkpoint:
        assert checkpoint.wrapper == "model"
        assert len(checkpoint.tensors) == 294
        assert sum(info.nbytes for info in checkpoint.tensors.values()) == ENCODER_BYTES


def test_the_header_takes_few_requests_where_the_file_is_on_another_machine(
    stand_in: Path,
) -> None:
    far = FarSource(FileSource(str(stand_in)))
    with open_source(far, None) as checkpoint:
        assert len(checkpoint.tensors) == 294
    assert len(far.requests) <= 6
    assert far.asked < 1_000_000


def test_the_stand_in_passes_and_is_recognised_as_untrained(stand_in: Path) -> None:
    code, report = run("verify", str(stand_in))
    (file,) = report["files"]
    encoder = file["coverage"]["groups"]["encoder"]
    assert (code, report["verdict"]) == (0, "pass")
    assert (encoder["expected"], encoder["matched"], encoder["missing"]) == (294, 294, [])
    assert file["parameters"] == 303_301_632
    assert file["forward"]["status"] == "run"
    assert "MOD001" in {finding["code"] for finding in file["findings"]}


def test_one_flipped_bit_fails_by_its_checksum(stand_in: Path) -> None:
    with open_checkpoint(str(stand_in)) as checkpoint:
        offset = checkpoint.tensors["blocks.12.mlp.fc1.weight"].extents[0].offset + 1_000_001
    descriptor = os.open(stand_in, os.O_RDWR)
    try:
        byte = os.pread(descriptor, 1, offset)
        os.pwrite(descriptor, bytes([byte[0] ^ 1]), offset)
        code, report = run("verify", "--no-forward", str(stand_in))
    finally:
        os.pwrite(descriptor, byte, offset)
        os.close(descriptor)
    (file,) = report["files"]
    assert code == 1
    assert "INT004" in {finding["code"] for finding in file["findings"]}


def test_inspecting_lists_every_tensor(stand_in: Path) -> None:
    code, report = run("inspect", str(stand_in))
    assert code == 0
    assert len(report["files"][0]["tensors"]) == 294
