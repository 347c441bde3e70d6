from __future__ import annotations

from typing import TYPE_CHECKING, List

import pytest

from ckpttool.files.publishing import head_at, try_files, write_files
from ckpttool.files.temporary import new_id, temporary_path
from ckpttool.findings.errors import OutputError

if TYPE_CHECKING:
    from pathlib import Path


def names(folder: Path) -> List[str]:
    return sorted(path.name for path in folder.iterdir())


def test_files_are_written_and_what_stood_there_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    assert write_files({str(tmp_path / "a"): b"1", str(tmp_path / "b"): b""}) == ()
    assert [(tmp_path / name).read_bytes() for name in names(tmp_path)] == [b"1", b""]


def test_the_first_bytes_of_what_stands_there_are_told(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    assert head_at(str(tmp_path / "a"), 3) == b"con"
    assert head_at(str(tmp_path), 3) == b""
    assert head_at(str(tmp_path / "gone"), 3) is None


def test_of_several_files_none_is_written_if_one_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    (tmp_path / "b").mkdir()
    with pytest.raises(OutputError, match="b: "):
        write_files({str(tmp_path / "a"): b"new", str(tmp_path / "b"): b"new"})
    assert names(tmp_path) == ["a", "b"]
    assert (tmp_path / "a").read_bytes() == b"old"


def test_trying_leaves_everything_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    assert try_files(str(tmp_path / "a"), str(tmp_path / "b")) == ()
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"
    with pytest.raises(OutputError):
        try_files(str(tmp_path / "no folder" / "a"))


def test_what_was_cleaned_up_is_returned_and_not_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / "a")
    left = temporary_path(path, new_id(), "tmp")  # of a run that was killed: nobody holds its lock
    (tmp_path / left).touch()
    assert write_files({path: b"new"}) == (left,)
    assert names(tmp_path) == ["a"]
    assert capfd.readouterr() == ("", "")
