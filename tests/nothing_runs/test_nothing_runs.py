"""Reading hostile files starts nothing: no code, import, process, socket or file to write.

``python -m tests.nothing_runs`` takes every file through every entry; these tests take a part.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import List

import pytest

from tests.builders import extras
from tests.builders.repository import ROOT
from tests.nothing_runs import started
from tests.nothing_runs.entries import entries
from tests.nothing_runs.files import Watched, laid_out
from tests.nothing_runs.running import (
    COMMANDS,
    Told,
    of_process,
    sound,
    watched,
    wrong_in_process,
)

extras.pages()
extras.pillow()

#: One pair in so many: each entry meets files of every kind, and each file several entries.
_STEP = 59


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("watched")


@pytest.fixture(scope="module")
def files(folder: Path) -> List[Watched]:
    return laid_out(folder / "files")


@pytest.fixture(scope="module")
def told(folder: Path, files: List[Watched]) -> Told:
    return watched(folder, files, _STEP, faults=True)


def test_nothing_runs_while_hostile_files_are_read(told: Told, files: List[Watched]) -> None:
    assert told.events == []
    assert told.modules == []
    assert told.pairs > len(files)
    assert told.entries == len(entries()) > 60


def test_no_payload_has_left_its_mark(told: Told, folder: Path) -> None:
    assert told.pairs
    assert not list(folder.rglob("ran*"))


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        ("unpickle", "run"),
        ("import", "import"),
        ("import by name", "import"),
        ("import by name, of the library", "import"),
        ("import by name, by parts", "import"),
        ("evaluate", "run"),
        ("run code", "run"),
        ("in a thread", "run"),
        ("start a program", "process"),
        ("open a socket", "process"),
        ("write", "write"),
        ("write beside the results", "write"),
        ("remove", "write"),
        ("read elsewhere", "read"),
    ],
)
def test_a_tool_that_did_so_would_be_seen(told: Told, fault: str, seen: str) -> None:
    assert seen in told.faults[fault]


def test_every_fault_has_what_is_seen_of_it(told: Told) -> None:
    assert len(told.faults) == 14
    assert all(told.faults.values())


def test_files_of_every_kind_are_laid_out(files: List[Watched]) -> None:
    kinds = {one.kind for one in files}
    assert len(files) > 1300
    assert len(kinds) > 40
    assert {"sound", "cut off", "foreign", "text", "defect of an index"} <= kinds


def test_every_command_is_among_the_entries() -> None:
    commands = {path.stem for path in (ROOT / "ckpttool" / "cli" / "commands").glob("[a-z]*.py")}
    called = " ".join(one.name for one in entries())
    # these read no file that is not the tool's own
    without = {"completion", "explain", "help", "sample"}
    assert {name for name in commands - without if f"ckpttool {name}" not in called} == set()


# --- whole processes -----------------------------------------------------------------------


def test_whole_processes_import_what_they_do_for_sound_files(
    files: List[Watched], tmp_path: Path
) -> None:
    of_each = {one.kind: one for one in files if one.names and Path(one.path).is_file()}
    plain = sound("inspect", files, tmp_path)
    assert len(of_each) > 13
    for file in of_each.values():
        assert wrong_in_process("inspect", file, tmp_path, plain) == [], file


_PLANTED = {
    "import os; os.system('true')": "os.system",
    "import subprocess; subprocess.run(['true'])": "subprocess",
    "import pickle; pickle.loads(b'cposixpath\\njoin\\n.')": "pickle.find_class",
    "exec('1')": "exec <string>",
    "open('elsewhere', 'w').close()": "open elsewhere",
    "import tabnanny": "import of tabnanny, which the file names",
}


def test_a_process_that_did_so_would_be_seen(files: List[Watched], tmp_path: Path) -> None:
    path = next(one.path for one in files if one.kind == "sound")
    done = started.run(["inspect", path], tmp_path, "\n".join(_PLANTED))
    plain = done._replace(modules=done.modules - {"tabnanny"})
    found = started.wrong(done, [], ["tabnanny"], plain)
    for seen in _PLANTED.values():
        assert any(one.startswith(seen) for one in found), seen


def test_modules_in_the_working_folder_are_not_imported(files: List[Watched]) -> None:
    (place,) = (Path(one.path) for one in files if one.kind == "folder: with modules beside")
    seen = of_process("inspect", str(place / "model.safetensors"), place)
    assert seen.modules
    assert not (place / "ran").exists()


#: What Python itself, or the command -m, would look for before a line of this project runs.
_BEFORE = ("ckpttool.py",)


def test_nor_are_they_with_python_m(files: List[Watched], tmp_path: Path) -> None:
    (place,) = (Path(one.path) for one in files if one.kind == "folder: with modules beside")
    shutil.copytree(place, tmp_path / "in", ignore=shutil.ignore_patterns(*_BEFORE))
    # of the standard library too: what is imported only after the command has begun
    for name in ("typing", "re", "gc", "signal", "unicodedata", "difflib"):
        (tmp_path / "in" / f"{name}.py").write_text("raise SystemExit('imported')")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "ckpttool", "inspect", "model.safetensors"],
        cwd=tmp_path / "in",
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "model.safetensors" in done.stdout
    assert not (place / "ran").exists()


def test_all_commands_are_known() -> None:
    assert set(COMMANDS) >= {"verify", "inspect", "convert", "lock", "diff", "prove", "textconv"}
