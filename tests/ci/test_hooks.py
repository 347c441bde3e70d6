"""The hooks of pre-commit, run as it runs them."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import zipfile
from pathlib import Path
from typing import Any, Iterable

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


def picks(one: dict[str, Any], path: str, *, tags: Iterable[str] = ("file",)) -> bool:
    """Whether pre-commit gives a path to a hook, by its name and its kind."""
    named = re.search(one.get("files", ""), path) and not re.search(one.get("exclude", "^$"), path)
    of_all = set(one.get("types", ["file"])) <= {*tags}
    of_any = not one.get("types_or") or bool({*one["types_or"]} & {*tags})
    return bool(named) and of_all and of_any


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
    ("path", "compared"),
    [
        ("a/model.pth", True),
        ("a/model.pth.tar", True),
        ("model.pth.1", True),
        ("MODEL.SAFETENSORS", True),
        ("model.safetensors.index.json", True),
        ("model-00001-of-00002.safetensors", True),
        ("a/ckpttool.lock", True),
        ("pyproject.toml", True),
        ("a/config.json", True),
        ("other.toml", False),
        ("other_config.json", False),
        ("pth.py", False),
    ],
)
def test_the_hooks_look_at_their_files(path: str, compared: bool) -> None:
    """Every file is verified by its content; all weights are read where one may be theirs."""
    for tags in (["file"], ["symlink"]):
        assert picks(HOOKS["ckpttool-verify"], path, tags=tags)
        assert picks(HOOKS["ckpttool-lock-check"], path, tags=tags) is compared
    assert not picks(HOOKS["ckpttool-verify"], "submodule", tags=["directory"])


# --- what a commit changes ---------------------------------------------------------------------


@pytest.fixture
def sharded(workspace: Path) -> Path:
    """The sound file as two shards and an index, with a configuration beside them."""
    (workspace / "s").mkdir()
    arguments = ["convert", "good.pth", "--to", "safetensors", "--max-shard-size", "40kB"]
    done = ran(workspace, ["ckpttool", *arguments, "-o", "s/model.safetensors"])
    assert done.returncode == 0, done.stderr
    (workspace / "s" / "config.json").write_text("{}")
    return workspace


def spoilt(path: Path) -> None:
    """Make the first weights of a safetensors file NaN."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    path.write_bytes(data[:start] + b"\xff" * 64 + data[start + 64 :])


@pytest.mark.parametrize(
    "changed",
    [
        "s/model-00001-of-00002.safetensors",
        "s/model-00002-of-00002.safetensors",
        "s/model.safetensors.index.json",
        "s/config.json",
        "s/link",
        "link to a shard",
    ],
)
def test_whatever_changes_of_a_sharded_checkpoint_all_of_it_is_verified(
    sharded: Path, changed: str
) -> None:
    (sharded / "s" / "link").symlink_to("model.safetensors.index.json")
    (sharded / "link to a shard").symlink_to("s/model-00001-of-00002.safetensors")
    done = hook(sharded, "ckpttool-verify", changed)
    assert (done.returncode, errors(done), done.stderr) == (0, [], "")
    spoilt(sharded / "s" / "model-00002-of-00002.safetensors")
    done = hook(sharded, "ckpttool-verify", changed)
    assert done.returncode == 1
    assert any("NUM001" in line for line in errors(done))


def test_a_checkpoint_under_another_name_is_verified(workspace: Path) -> None:
    (workspace / "bad.pth").rename(workspace / "notes.txt")
    assert hook(workspace, "ckpttool-verify", "notes.txt").returncode == 1


def test_a_link_to_nothing_is_not_passed(workspace: Path) -> None:
    (workspace / "weights").symlink_to("nowhere")
    done = hook(workspace, "ckpttool-verify", "weights")
    assert (done.returncode, done.stdout) == (2, "")
    assert "error: weights: a link to a file that is not there" in done.stderr


def test_a_commit_of_other_files_passes_without_a_word(workspace: Path) -> None:
    (workspace / "config.json").write_text("{}")
    (workspace / "good.pth").unlink()
    (workspace / "bad.pth").unlink()
    (workspace / "a.py").write_text("import os")
    with zipfile.ZipFile(workspace / "a.docx", "w") as archive:
        archive.writestr("a.txt", "a")
    done = hook(workspace, "ckpttool-verify", "config.json", "a.py", "a.docx")
    assert done.returncode == 0
    assert done.stderr == ""
