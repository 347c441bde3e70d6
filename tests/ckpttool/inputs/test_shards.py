"""Which files stand for others beside them, found without a look at the folder for each."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Callable
from unittest import mock

import pytest

from ckpttool.inputs.shards import index_of, parts_of
from tests.builders import deepspeed

PROCESSES = 40


def of_deepspeed() -> list[str]:
    """Names alone count here; the first stands for all others."""
    names = [deepspeed.rank_file(rank) for rank in range(PROCESSES)]
    return [*names, *(deepspeed.model_file(rank) for rank in range(PROCESSES))]


def of_parts() -> list[str]:
    return [f"shard-{number:05d}-model-00001-of-00001.safetensors" for number in range(PROCESSES)]


@pytest.mark.parametrize("names_in", [of_deepspeed, of_parts])
def test_the_files_of_many_processes_take_few_looks_at_their_folder(
    tmp_path: Path, names_in: Callable[[], list[str]]
) -> None:
    names = names_in()
    for name in names:
        (tmp_path / name).write_bytes(b"PK")
    paths = [str(tmp_path / name) for name in names]
    with mock.patch("os.listdir", side_effect=os.listdir) as listed:
        parts = parts_of(paths)
        assert listed.call_count < 10
        assert index_of(paths[-1]) == paths[0]
        assert listed.call_count < 20
    assert parts == {Path(path): paths[0] for path in paths[1:]}
