"""Which files of a folder are parts of one checkpoint, by their names and their first bytes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

import pytest

from ckpttool.formats.distributed import telling
from tests.builders import deepspeed, distributed


def listed(_folder: object) -> NoReturn:
    raise PermissionError


def test_a_metadata_that_lists_no_chunks_has_no_parts_beside_it(tmp_path: Path) -> None:
    (tmp_path / ".metadata").write_bytes(b"{}")
    (tmp_path / "__0_0.distcp").write_bytes(b"")
    assert telling.listed_beside(str(tmp_path / ".metadata")) == []


@pytest.mark.skipif(not distributed.LISTS, reason="this torch lists them elsewhere")
def test_the_parts_beside_a_metadata_are_those_called_so(tmp_path: Path) -> None:
    path = distributed.good(tmp_path)
    (tmp_path / "config.json").write_bytes(b"{}")
    assert telling.parts_beside(str(path)) == ["__0_0.distcp", "__1_0.distcp"]


def test_the_first_rank_stands_for_the_others_and_no_other_does(tmp_path: Path) -> None:
    folder = deepspeed.stage_2(tmp_path / "step", 2)
    first, second = (str(folder / deepspeed.rank_file(rank)) for rank in range(2))
    assert telling.parts_beside(first) == [deepspeed.MODEL, deepspeed.rank_file(1)]
    assert telling.parts_beside(second) == []


def test_a_folder_that_cannot_be_listed_has_no_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = distributed.good_parts(tmp_path)
    assert telling.first_in(str(tmp_path)) == str(path)
    monkeypatch.setattr(os, "listdir", listed)
    assert telling.first_in(str(tmp_path)) is None
    assert telling.parts_beside(str(path)) == []
