"""One run at a time gives names in a folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ckpttool.files import turns
from ckpttool.findings.errors import OutputError


def test_a_turn_leaves_nothing_in_the_folder(tmp_path: Path) -> None:
    with turns.turns([str(tmp_path)]):
        assert [path.name for path in tmp_path.iterdir()] == [turns.NAME]
        with turns.turn_now(str(tmp_path)) as ours:
            assert not ours
        assert [path.name for path in tmp_path.iterdir()] == [turns.NAME]
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_does_not_end_its_turn_is_waited_for_and_then_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "_PATIENCE", 0.0)
    folder = str(tmp_path)
    second = turns.turns([folder])
    with turns.turns([folder]), pytest.raises(OutputError, match="does not end") as caught:
        second.__enter__()
    assert caught.value.path == folder


def test_without_locks_everybody_has_a_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "has_locks", lambda: False)
    with turns.turns([str(tmp_path)]), turns.turn_now(str(tmp_path)) as ours:
        assert ours
        assert list(tmp_path.iterdir()) == []


def test_of_two_that_create_the_file_at_once_one_has_no_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opening(path: str, flags: int, *mode: Any) -> int:
        fd = os_open(path, flags, *mode) if flags & os.O_CREAT else -1
        if fd < 0:  # the other one creates it behind this moment
            os.close(os_open(path, os.O_RDWR | os.O_CREAT))
            raise FileNotFoundError
        return fd

    os_open = os.open
    monkeypatch.setattr(os, "open", opening)
    with turns.turn_now(str(tmp_path)) as ours:
        assert not ours
