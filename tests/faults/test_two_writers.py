"""Of two runs that write the same files one comes after the other, and readers see whole files."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path
from typing import Dict, List

import pytest

from ckpttool.files import turns
from ckpttool.files.leftovers import clean
from ckpttool.files.publishing import write_files
from ckpttool.files.temporary import lock_now
from ckpttool.findings.errors import OutputError
from tests.builders.processes import PATIENCE, started

NAMES = ("a", "b", "index")

# Waits before it publishes, and again before the name that is given in second place.
WRITER = """
import os, sys
from ckpttool.files import naming
from ckpttool.files.destination import Destination
from ckpttool.findings.errors import OutputError

folder, content, force = sys.argv[1], sys.argv[2].encode(), sys.argv[3] == "force"

def wait(word):
    print(word, flush=True)
    sys.stdin.readline()

give, named = naming.Naming.give, []
def slow(self, file):
    named.append(file)
    if len(named) == 2:
        wait("naming")
    give(self, file)

naming.Naming.give = slow
try:
    with Destination(force=force) as place:
        for name in ("a", "b", "index"):
            place.write(os.path.join(folder, name), content)
        wait("ready")
        place.publish()
except OutputError as error:
    sys.exit(error.rule.code)
"""


def writer(folder: Path, content: str, force: bool) -> subprocess.Popen[str]:
    return started(WRITER, str(folder), content, "force" if force else "")


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def found(folder: Path) -> Dict[str, str]:
    return {one.name: one.read_text() for one in sorted(folder.iterdir())}


@pytest.mark.parametrize("force", [True, False])
@pytest.mark.parametrize("first", ["1", "2"])
def test_a_second_writer_waits_until_the_first_has_named_all(
    tmp_path: Path, force: bool, first: str
) -> None:
    if force:
        for name in NAMES:
            (tmp_path / name).write_text("old")
    second = {"1": "2", "2": "1"}[first]
    both = {content: writer(tmp_path, content, force) for content in ("1", "2")}
    go(both[first])
    assert said(both[first]) == "naming\n"
    go(both[second])  # it cannot begin: the other has the turn
    go(both[first])
    both[first].communicate(timeout=PATIENCE)
    assert both[first].returncode == 0
    if force:
        assert said(both[second]) == "naming\n"
    _, error = both[second].communicate("go\n", timeout=PATIENCE)
    assert (both[second].returncode, error) == ((0, "") if force else (1, "CVT103\n"))
    assert found(tmp_path) == dict.fromkeys(NAMES, second if force else first)


def test_a_reader_sees_old_or_new_and_always_something(tmp_path: Path) -> None:
    path = tmp_path / "m"
    versions = [bytes([number]) * 100_000 for number in range(40)]
    path.write_bytes(versions[0])
    seen: List[bytes] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.append(path.read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for version in versions:
            write_files({str(path): version})
    finally:
        done.set()
        reader.join()
    assert set(seen) <= set(versions)


def test_a_run_that_does_not_end_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "_PATIENCE", 0.05)
    with turns.turns([str(tmp_path)]):
        with pytest.raises(OutputError, match="another run is giving files their names"):
            write_files({str(tmp_path / "m"): b"new"})
        assert clean(str(tmp_path)) == []
    assert list(tmp_path.iterdir()) == []
    write_files({str(tmp_path / "m"): b"new"})
    assert found(tmp_path) == {"m": "new"}


def test_the_turn_of_a_killed_run_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / turns.NAME).touch()
    write_files({str(tmp_path / "m"): b"new"})
    assert found(tmp_path) == {"m": "new"}


def test_turns_in_one_folder_under_two_names_are_one(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with turns.turns([str(tmp_path / "real"), str(tmp_path / "link")]):
        held = tmp_path / "real" / turns.NAME
        assert lock_now(str(held)) is None
    assert list((tmp_path / "real").iterdir()) == []


def test_a_link_is_not_locked(tmp_path: Path) -> None:
    (tmp_path / "else").write_bytes(b"precious")
    (tmp_path / turns.NAME).symlink_to("else")
    with pytest.raises(OutputError, match="cannot be written"):
        write_files({str(tmp_path / "m"): b"new"})
    assert not (tmp_path / "m").exists()
    assert os.readlink(tmp_path / turns.NAME) == "else"
    assert (tmp_path / "else").read_bytes() == b"precious"
