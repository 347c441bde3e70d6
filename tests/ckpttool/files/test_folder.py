"""What lies beside a file."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

import pytest

from ckpttool.files.folder import Folder
from ckpttool.files.sources import FileSource
from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError, MalformedError, UnreadableError


def listed(_folder: object) -> NoReturn:
    raise PermissionError(13, "Permission denied")


def test_the_names_beside_a_file_are_sorted_and_its_own_is_among_them(tmp_path: Path) -> None:
    for name in ("b", "c", "a"):
        (tmp_path / name).write_bytes(b"")
    with ExitStack() as opened:
        folder = Folder(FileSource(str(tmp_path / "b")), opened)
        assert folder.names() == ["a", "b", "c"]


@pytest.mark.parametrize("changed", [True, False])
def test_an_error_that_a_changing_file_may_be_the_reason_of_is_that_it_changed(
    tmp_path: Path, changed: bool
) -> None:
    for name in ("index", "shard"):
        (tmp_path / name).write_bytes(b"0123")
    folder = ExitStack()
    shard = Folder(FileSource(str(tmp_path / "index")), folder).open("shard")
    assert shard is not None
    if changed:
        (tmp_path / "shard").write_bytes(b"01234567")
    with pytest.raises(CkpttoolError) as caught, folder:
        raise MalformedError("it makes no sense", rules.SHARD_INDEX)
    assert caught.value.rule is (rules.CHANGED if changed else rules.SHARD_INDEX)
    assert shard.fileno() == -1


def test_a_folder_that_cannot_be_listed_is_unreadable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"")
    with ExitStack() as opened:
        folder = Folder(FileSource(str(tmp_path / "a")), opened)
        monkeypatch.setattr(os, "listdir", listed)
        with pytest.raises(UnreadableError, match="cannot be listed: Permission denied") as caught:
            folder.names()
    assert (caught.value.rule, caught.value.path) == (rules.UNREADABLE, str(tmp_path))
