"""What a killed run left is put right, as far as the system lets it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Dict, List

import pytest

from ckpttool.files import leftovers, temporary
from ckpttool.files.leftovers import clean
from ckpttool.files.temporary import new_id, temporary_path

if TYPE_CHECKING:
    from pathlib import Path

RUN = new_id()


def names(folder: Path) -> List[str]:
    return sorted(path.name for path in folder.iterdir())


def hidden(path: Path, kind: str) -> Path:
    return path.parent / temporary_path(str(path), RUN, kind)


def half_named(folder: Path) -> None:
    """What a run leaves that is killed when one of two new files has its name.

    It replaced ``a``, of which there was one before, and was to write ``b``.
    """
    for name in ("a", "b"):
        hidden(folder / name, "tmp").write_bytes(b"new")
    hidden(folder / "a", "old").write_bytes(b"old")
    os.link(hidden(folder / "a", "tmp"), folder / "a")


def test_a_set_of_which_one_has_its_name_is_undone(tmp_path: Path) -> None:
    half_named(tmp_path)
    assert len(clean(str(tmp_path))) == 3
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


def test_a_new_file_of_such_a_set_where_none_stood_goes(tmp_path: Path) -> None:
    half_named(tmp_path)
    hidden(tmp_path / "a", "old").unlink()
    clean(str(tmp_path))
    assert names(tmp_path) == []


def test_what_cannot_be_put_back_is_left_to_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: object) -> None:
        raise PermissionError

    half_named(tmp_path)
    before = names(tmp_path)
    monkeypatch.setattr(os, "replace", denied)
    assert clean(str(tmp_path)) == []
    assert names(tmp_path) == before
    monkeypatch.undo()
    clean(str(tmp_path))
    assert names(tmp_path) == ["a"]


def test_a_name_that_is_gone_when_it_is_looked_at_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    half_named(tmp_path)
    listed = leftovers._hidden(str(tmp_path))
    hidden(tmp_path / "a", "old").unlink()
    monkeypatch.setattr(leftovers, "_hidden", lambda _: listed)
    clean(str(tmp_path))
    assert names(tmp_path) == []


def found(folder: Path) -> Dict[str, bytes]:
    return {one.name: one.read_bytes() for one in sorted(folder.iterdir())}


def test_a_run_that_had_named_all_is_finished(tmp_path: Path) -> None:
    for name in ("a", "b"):
        path = tmp_path / name
        path.write_bytes(b"new")
        os.link(path, hidden(path, "tmp"))
        hidden(path, "old").write_bytes(b"old")
    assert len(clean(str(tmp_path))) == 4
    assert found(tmp_path) == {"a": b"new", "b": b"new"}


def test_a_name_that_was_kept_and_not_yet_replaced_stays(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    os.link(path, hidden(path, "old"))
    hidden(path, "tmp").write_bytes(b"new")
    os.link(hidden(path, "tmp"), hidden(path, "new"))
    clean(str(tmp_path))
    assert found(tmp_path) == {"a": b"old"}


def test_what_somebody_wrote_since_stays(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_bytes(b"of somebody else")
    hidden(a, "old").write_bytes(b"old")
    for path in (a, b):
        hidden(path, "tmp").write_bytes(b"new")
    clean(str(tmp_path))
    assert found(tmp_path) == {"a": b"of somebody else"}


def test_what_another_user_left_takes_no_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder for all, anybody can make files of such names."""
    path = tmp_path / "a"
    path.write_bytes(b"mine")
    hidden(path, "old").write_bytes(b"of somebody who wants it at this name")
    hidden(tmp_path / "b", "tmp").write_bytes(b"")
    before, user = found(tmp_path), os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: user + 1)
    assert clean(str(tmp_path)) == []
    assert found(tmp_path) == before
    hidden(path, "old").unlink()  # nothing but a temporary file
    assert len(clean(str(tmp_path))) == 1
    assert found(tmp_path) == {"a": b"mine"}


def test_without_locks_nothing_is_a_leftover(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden(tmp_path / "a", "tmp").touch()
    monkeypatch.setattr(temporary, "_locks", None)
    assert clean(str(tmp_path)) == []
    monkeypatch.undo()
    assert len(clean(str(tmp_path))) == 1
