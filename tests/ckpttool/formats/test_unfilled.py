"""Records that were never filled are told apart from ones whose bytes changed."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch

from ckpttool.findings import rules
from ckpttool.formats.unfilled import crc32_of_zeros, is_unfilled
from ckpttool.verification.options import VerifyOptions
from ckpttool.verification.run import verify_file
from mae.config import CONFIGS
from tests.builders.sizes import TINY
from tests.rule_cases.runs import convert


@pytest.mark.parametrize("length", [0, 1, 2, 3, 7, 8, 255, 4096, 1_000_003])
def test_the_sum_of_zeros_is_that_of_zlib(length: int) -> None:
    assert crc32_of_zeros(length) == zlib.crc32(bytes(length))


@pytest.mark.parametrize(
    ("stored", "data", "expected"),
    [
        (0, bytes(8), True),
        (0, bytes(7) + b"x", False),
        (1, bytes(8), False),
        (0, b"", False),
    ],
)
def test_only_zeros_under_a_sum_of_zero_were_never_filled(
    stored: int, data: bytes, expected: bool
) -> None:
    assert is_unfilled(stored, zlib.crc32(data), len(data)) is expected


def skipped(folder: Path) -> Path:
    skip: Any = getattr(torch.serialization, "skip_data", None)
    if skip is None:
        pytest.skip("this torch cannot lay out a file without filling it")
    with skip():
        torch.save({"w": torch.ones(3, 2), "b": torch.ones(3)}, folder / "a.pth")
    return folder / "a.pth"


def test_a_file_of_skip_data_is_one_error_on_its_content(tmp_path: Path) -> None:
    path = skipped(tmp_path)
    with mock.patch.dict(CONFIGS, tiny=TINY):
        report = verify_file(str(path), VerifyOptions(model="tiny", forward=False))
    (told,) = [one for one in report.findings if one.rule.letters == "INT"]
    assert told.rule is rules.NEVER_FILLED
    assert "2 records never filled" in told.message


def test_convert_refuses_it_and_does_not_say_that_it_changed(tmp_path: Path) -> None:
    found = convert(str(skipped(tmp_path)), tmp_path / "out.safetensors")
    assert rules.NEVER_FILLED in {one.rule for one in found}
    assert rules.CHECKSUM not in {one.rule for one in found}
    assert not (tmp_path / "out.safetensors").exists()
