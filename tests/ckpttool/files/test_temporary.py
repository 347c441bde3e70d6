from __future__ import annotations

import os
from typing import TYPE_CHECKING, List

import pytest

from ckpttool.files import temporary
from ckpttool.files.leftovers import clean
from ckpttool.files.temporary import create, new_id, temporary_path

if TYPE_CHECKING:
    from pathlib import Path

RUN = new_id()


def names(folder: Path) -> List[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("half_dead", [False, True], ids=["alive", "one of its files unlocked"])
def test_what_a_run_under_way_put_aside_stays(tmp_path: Path, half_dead: bool) -> None:
    path = tmp_path / "m"
    path.write_bytes(b"new")
    aside = temporary_path(str(path), RUN, "old")
    (tmp_path / aside).write_bytes(b"old")
    growing = create(str(tmp_path / "other"), RUN, [])
    if half_dead:
        os.link(path, temporary_path(str(path), RUN, "tmp"))
    try:
        clean(str(tmp_path))
        assert os.path.exists(aside)  # noqa: PTH110 (a str already)
        assert path.read_bytes() == b"new"
    finally:
        os.close(growing.fd)
    clean(str(tmp_path))
    assert names(tmp_path) == ["m"]
    assert path.read_bytes() == b"old"


def test_a_new_file_that_was_taken_for_a_leftover_is_created_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = temporary.lock
    taken: List[str] = []

    def taken_first(fd: int) -> bool:
        if not taken:
            taken.extend(names(tmp_path))
            (tmp_path / taken[0]).unlink()
        return real(fd)

    monkeypatch.setattr(temporary, "lock", taken_first)
    growing = create(str(tmp_path / "m"), RUN, [])
    assert names(tmp_path) == taken
    assert os.path.samestat(os.fstat(growing.fd), os.stat(growing.temporary))  # noqa: PTH116
    os.close(growing.fd)
