"""That the search for garbage in cycles rests while a file is opened, and goes on afterwards."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path

import pytest

from ckpttool import open_checkpoint
from ckpttool.files import collecting
from tests.builders.repository import FIXTURES

FILE = next(iter(sorted(FIXTURES.glob("torch-*/*.pth"))))


def test_it_is_paused_in_the_block_and_goes_on_after_an_error() -> None:
    assert gc.isenabled()
    seen: list[bool] = []

    def fail() -> None:
        with collecting.paused():
            seen.append(gc.isenabled())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert seen == [False]
    assert gc.isenabled()


def test_where_it_is_off_it_stays_off() -> None:
    gc.disable()
    try:
        with collecting.paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_opening_a_file_leaves_somebody_elses_process_as_it_was() -> None:
    before = gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()
    open_checkpoint(FILE).close()
    assert (gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()) == before


def test_where_the_process_is_ours_what_was_made_in_the_block_is_searched_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(collecting, "_ours", False)
    collecting.the_process_is_ours()
    try:
        with collecting.paused():
            made: list[object] = []
        assert not any(one is made for one in gc.get_objects())
    finally:
        gc.unfreeze()


def test_in_the_command_lines_own_process_a_catalogue_is_never_searched(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import gc, sys\n"
        "from ckpttool import open_checkpoint\n"
        "from ckpttool.files import collecting\n"
        "collecting.the_process_is_ours()\n"
        "with open_checkpoint(sys.argv[1]) as checkpoint:\n"
        "    searched = {id(one) for one in gc.get_objects()}\n"
        "    assert not searched & {id(info) for info in checkpoint.values()}\n"
        "    assert gc.isenabled() and gc.get_freeze_count()\n"
    )
    subprocess.run([sys.executable, str(script), str(FILE)], check=True)
