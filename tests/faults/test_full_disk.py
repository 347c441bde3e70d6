"""On a disk that is really full nothing is lost, nothing is left, and it is said."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import List

import pytest
from safetensors.numpy import save_file

from tests.builders.processes import PATIENCE
from tests.faults.full_disk import FREE, NAMES
from tests.faults.writers import WRITERS, make_sources

_SHELL = ("unshare", "-rm")


def own_mounts() -> List[str]:
    """Return what a command needs before it so that it may mount a disk that nobody else sees."""
    for prefix in ([*_SHELL], ["unshare", "-m"]):
        if shutil.which("unshare") is None or shutil.which("mount") is None:
            break
        # a mount that is tried, since whether it is allowed depends on the system's settings
        tried = [*prefix, "mount", "-t", "tmpfs", "none", "/mnt"]
        if subprocess.run(tried, capture_output=True, check=False).returncode == 0:
            return prefix
    pytest.skip("no disk can be mounted here without leave")


def test_on_a_full_disk_the_old_stays_and_the_error_is_told(tmp_path: Path) -> None:
    done = subprocess.run(
        [*own_mounts(), sys.executable, "-m", "tests.faults.full_disk", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    runs = json.loads(done.stdout)
    assert [one for one in runs if one["wrong"]] == []
    assert len(runs) > len(WRITERS) * (len(FREE) + len(NAMES))
    for writer in WRITERS:  # some had enough, and some had not
        told = {bool(one["told"]) for one in runs if one["writer"] == writer.name}
        assert told == {True, False}, writer.name


COMMANDS = {
    "convert": "convert small.safetensors --to pth --dry-run",
    "diff": "diff small.safetensors m.safetensors",
    "explain": "explain FIL004",
    "help": "help",
    "index": "index shards",
    "inspect": "inspect m.safetensors",
    "lock": "lock small.safetensors --schema none --no-forward -o -",
    "prove": "prove small.safetensors --from small.safetensors",
    "schema": "schema small.safetensors",
    "verify": "verify small.safetensors --schema none --no-forward",
    "version": "--version",
}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("name", COMMANDS)
def test_a_report_that_finds_no_room_is_an_error(tmp_path: Path, name: str) -> None:
    make_sources(tmp_path)
    (tmp_path / "shards").mkdir()
    for part in ("00001-of-00002", "00002-of-00002"):
        save_file({}, tmp_path / "shards" / f"m-{part}.safetensors")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "ckpttool", *COMMANDS[name].split()],
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=PATIENCE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
    assert "No space left on device" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == 2
    hidden = [one.name for one in tmp_path.iterdir() if one.name.startswith(".")]
    assert hidden == []
