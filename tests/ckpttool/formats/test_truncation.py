"""Wherever a checkpoint is cut, it is said to be shorter than it says, with both sizes."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Iterator

import pytest
import safetensors.torch
import torch

from ckpttool import open_checkpoint
from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError, MalformedError
from tests.builders import shards, torch_files

STATE = {"model": {f"w{number}": torch.ones(20, 20) for number in range(4)}}
# What a format needs of a file to be told by it: a zip's signature, a tar's first header.
LEAST = {"zip": 4, "legacy": 2, "tar": 512, "safetensors": 2}


def saved(*, legacy: bool) -> bytes:
    stream = io.BytesIO()
    torch.save(STATE, stream, _use_new_zipfile_serialization=not legacy)
    return stream.getvalue()


FILES = {
    "zip": saved(legacy=False),
    "legacy": saved(legacy=True),
    # one block of zeros is the end mark, and any more are padding
    "tar": torch_files.torch_tar(end=bytes(512)),
    "safetensors": safetensors.torch.save(STATE["model"]),
}


def lengths(name: str) -> Iterator[int]:
    whole = len(FILES[name])
    yield from range(LEAST[name], min(whole, 600), 23)
    yield from range(600, whole, whole // 30)
    yield from range(max(whole - 110, LEAST[name]), whole, 3)


@pytest.mark.parametrize("name", FILES)
def test_a_cut_file_is_called_short(tmp_path: Path, name: str) -> None:
    path = tmp_path / ("a.safetensors" if name == "safetensors" else "a.pth")
    for length in lengths(name):
        path.write_bytes(FILES[name][:length])
        with pytest.raises(CkpttoolError) as caught:
            open_checkpoint(str(path))
        error = caught.value
        assert (isinstance(error, MalformedError), error.rule) == (True, rules.TRUNCATED), length
        assert error.expected is not None
        assert error.found is not None


def test_a_cut_zip_tells_how_long_its_tensors_make_it(tmp_path: Path) -> None:
    data = FILES["zip"]
    (tmp_path / "a.pth").write_bytes(data[:5_000])
    with pytest.raises(MalformedError) as caught:
        open_checkpoint(str(tmp_path / "a.pth"))
    assert caught.value.found == "5,000"
    told = int(str(caught.value.expected).split()[2].replace(",", ""))
    assert 4 * 1_600 < told < len(data)


def test_a_cut_index_is_called_short(tmp_path: Path) -> None:
    path = shards.good(tmp_path)
    text = path.read_bytes()
    for length in range(5, len(text)):
        path.write_bytes(text[:length])
        with pytest.raises(CkpttoolError) as caught:
            open_checkpoint(str(path))
        assert caught.value.rule is rules.TRUNCATED, text[:length]


def test_a_zip_with_bytes_behind_it_is_not_called_short(tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(FILES["zip"] + bytes(100_000))
    with pytest.raises(MalformedError) as caught:
        open_checkpoint(str(tmp_path / "a.pth"))
    assert caught.value.rule is rules.ZIP_DISAGREES


def test_a_pickle_that_ends_early_in_a_whole_archive_is_not_called_short(tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(torch_files.torch_zip(b"]"[:1] + b"X\xff\xff\0\0"))
    with pytest.raises(MalformedError) as caught:
        open_checkpoint(str(tmp_path / "a.pth"))
    assert caught.value.rule is rules.PICKLE
