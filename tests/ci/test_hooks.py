"""The hooks of pre-commit, run as it runs them."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.builders import checkpoints as built
from tests.builders.ci_files import loaded
from tests.builders.programs import ran

pytestmark = [
    # torch 2.0 warns of its own use of a class when it saves.
    pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning"),
    pytest.mark.skipif(os.name == "nt", reason="a shell of POSIX systems"),
]

HOOKS = {hook["id"]: hook for hook in loaded(".pre-commit-hooks.yaml")}


def hook(workspace: Path, name: str, *files: str) -> subprocess.CompletedProcess[str]:
    """Run a hook: entry, then arguments, then the files if it takes them."""
    one = HOOKS[name]
    given = list(files) if one.get("pass_filenames", True) else []
    return ran(workspace, [*shlex.split(one["entry"]), *one.get("args", []), *given])


def picks(one: dict[str, Any], path: str) -> bool:
    excluded = re.search(one["exclude"], path) if "exclude" in one else None
    return bool(re.search(one["files"], path)) and not excluded


def errors(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in done.stdout.splitlines() if " error " in line]


def test_a_sound_file_passes(workspace: Path) -> None:
    done = hook(workspace, "ckpttool-verify", "good.pth")
    assert (done.returncode, errors(done), done.stderr) == (0, [], "")


def test_a_bad_file_fails_and_is_named(workspace: Path) -> None:
    done = hook(workspace, "ckpttool-verify", "good.pth", "bad.pth")
    assert done.returncode == 1
    (line,) = errors(done)
    assert line.startswith("bad.pth: ")
    assert "STR001" in line
    assert done.stderr.startswith("FAIL ")


def test_a_file_named_like_an_option_is_a_file(workspace: Path) -> None:
    (workspace / "good.pth").rename(workspace / "--help.pth")
    assert hook(workspace, "ckpttool-verify", "--help.pth").returncode == 0


def test_weights_that_are_as_they_were_locked_pass(locked: Path) -> None:
    done = hook(locked, "ckpttool-lock-check", "whatever.lock")
    assert (done.returncode, errors(done), done.stderr) == (0, [], "")


def test_weights_that_are_others_than_the_locked_ones_fail(locked: Path) -> None:
    built.saved(locked, built.retrained, "good.pth")
    done = hook(locked, "ckpttool-lock-check")
    assert done.returncode == 1
    assert "DIF001" in done.stdout


def test_a_lock_that_is_not_there_cannot_be_passed(locked: Path) -> None:
    (locked / "ckpttool.lock").unlink()
    done = hook(locked, "ckpttool-lock-check")
    assert done.returncode == 2
    assert "ckpttool.lock" in done.stderr


@pytest.mark.parametrize(
    ("path", "verified", "compared"),
    [
        ("a/model.pth", True, True),
        ("MODEL.SAFETENSORS", True, True),
        ("model.safetensors.index.json", True, True),
        ("model-00001-of-00002.safetensors", False, True),
        ("a/ckpttool.lock", False, True),
        ("pyproject.toml", False, True),
        ("other.toml", False, False),
        ("config.json", False, False),
        ("pth.py", False, False),
    ],
)
def test_the_hooks_look_at_their_files(path: str, verified: bool, compared: bool) -> None:
    assert picks(HOOKS["ckpttool-verify"], path) is verified
    assert picks(HOOKS["ckpttool-lock-check"], path) is compared
