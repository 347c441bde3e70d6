from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from ckpttool.files import room
from ckpttool.files.room import require_room
from ckpttool.findings.errors import OutputError

if TYPE_CHECKING:
    from pathlib import Path


class _Disk:
    """A file system of so many blocks of one byte; some of those free are root's alone."""

    f_frsize = 1

    def __init__(self, blocks: int, available: int) -> None:
        self.f_blocks, self.f_bavail, self.f_bfree = blocks, available, available + 1000


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> _Disk:
    """The only disk there is, with room for 10 bytes and the slack."""
    only = _Disk(1 << 40, room.SLACK + 10)
    monkeypatch.setattr(os, "statvfs", lambda _: only)
    return only


@pytest.mark.usefixtures("disk")
def test_room_is_needed_to_the_byte(tmp_path: Path) -> None:
    require_room({str(tmp_path / "m"): 10})
    with pytest.raises(OutputError, match="CVT106") as caught:
        require_room({str(tmp_path / "m"): 11})
    assert caught.value.path == str(tmp_path)


def test_a_file_system_that_tells_nothing_is_believed_to_have_room(
    tmp_path: Path, disk: _Disk
) -> None:
    disk.f_blocks = disk.f_bavail = disk.f_bfree = 0
    require_room({str(tmp_path / "m"): 10})


def test_a_file_system_that_cannot_be_asked_is_believed_to_have_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(folder: str) -> None:
        raise OSError(folder)

    monkeypatch.setattr(os, "statvfs", fails)
    require_room({str(tmp_path / "m"): 10})


@pytest.mark.usefixtures("disk")
@pytest.mark.parametrize("folders", [("a", "a"), ("a", "b")], ids=["one folder", "two folders"])
def test_files_of_one_disk_need_room_together(tmp_path: Path, folders: tuple[str, str]) -> None:
    for folder in set(folders):
        (tmp_path / folder).mkdir()
    first, other = (str(tmp_path / folder / name) for folder, name in zip(folders, "mn"))
    require_room({first: 5, other: 5})
    with pytest.raises(OutputError, match="CVT106"):
        require_room({first: 5, other: 6})


def test_a_folder_must_be_one_and_be_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for folder in ("none", "file"):
        with pytest.raises(OutputError, match="FIL007"):
            require_room({str(tmp_path / folder / "m"): 1})
