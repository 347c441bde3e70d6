"""Locking and verifying against the lock, on the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import Result

from ckpttool.cli import main
from ckpttool.verification.lock.reading import read_lock
from tests.builders import checkpoints as built
from tests.builders.commands import runner
from tests.builders.models import with_a_nan

# torch 2.0 warns of its own use of a class when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")


def run(*arguments: str) -> Result:
    return runner().invoke(main, arguments)


@pytest.fixture
def sound(tmp_path: Path, tiny: str) -> str:
    return built.saved(tmp_path, built.sound)


@pytest.fixture
def lock(tmp_path: Path, tiny: str, sound: str) -> str:
    path = str(tmp_path / "ckpttool.lock")
    result = run("lock", "--model", tiny, sound, "-o", path)
    assert result.exit_code == 0, result.output
    return path


def verified(tiny: str, lock: str, *arguments: str) -> tuple[int, Any]:
    result = run("verify", "--model", tiny, "--lock", lock, "--format", "json", *arguments)
    return result.exit_code, json.loads(result.stdout)["files"][0]


def other_norm() -> object:
    state = built.state()
    return {"model": {**state, "norm.bias": state["norm.bias"] + 1}}


def not_a_number() -> object:
    return {"model": with_a_nan(built.state(), "norm.bias")}


def test_what_was_locked_passes(tiny: str, lock: str, sound: str) -> None:
    code, file = verified(tiny, lock, sound)
    assert (code, file["lock"]) == (0, "ckpttool.lock")
    assert file["locked"]["same"] == file["locked"]["tensors"] == file["tensors"]
    assert file["locked"]["distance"] <= file["locked"]["tolerance"]
    assert not [found for found in file["findings"] if found["code"].startswith("DIF")]


def test_its_conversion_passes_against_the_same_lock(
    tmp_path: Path, tiny: str, lock: str, sound: str
) -> None:
    converted = str(tmp_path / "converted.safetensors")
    assert run("convert", sound, "--to", "safetensors", "-o", converted).exit_code == 0
    code, file = verified(tiny, lock, converted)
    assert code == 0
    assert file["locked"]["same"] == file["locked"]["tensors"]


def test_a_pth_tar_is_found_in_a_folder_locked_and_known_when_it_is_packed_anew(
    tmp_path: Path, tiny: str
) -> None:
    folder = tmp_path / "runs"
    folder.mkdir()
    built.saved(folder, built.sound, "last.pth.tar")
    built.saved(folder, built.retrained, "other.pth")
    path = str(folder / "ckpttool.lock")
    assert run("lock", "--model", tiny, "--no-forward", str(folder), "-o", path).exit_code == 0
    assert [one.name for one in read_lock(path).checkpoints] == ["last.pth.tar", "other.pth"]
    # the entry is found by the name alone: the weights are others
    renamed = built.saved(folder, other_norm, "last.pth")
    code, file = verified(tiny, path, "--no-forward", renamed)
    assert (code, file["locked"]["name"]) == (1, "last.pth.tar")


def test_an_earlier_lock_is_not_replaced_without_a_word(
    tmp_path: Path, tiny: str, sound: str
) -> None:
    path = str(tmp_path / "ckpttool.lock")
    first = [
        run("lock", "--model", tiny, "--no-forward", sound, "-o", path).stdout.split("\n")[0]
        for _ in range(2)
    ]
    assert [line.partition(path)[2] for line in first] == [
        "  1 checkpoint",
        "  1 checkpoint · in place of the lock file that stood there",
    ]


def with_a_twin() -> object:
    """The encoder's norm under a second name, as tied weights are."""
    state = built.state()
    return {"model": {**state, "head.norm.weight": state["norm.weight"]}}


@pytest.mark.parametrize("keep", ["norm.weight", "head.norm.weight"])
def test_tied_names_are_locked_however_they_are_stored(
    tmp_path: Path, tiny: str, keep: str
) -> None:
    source = built.saved(tmp_path, with_a_twin)
    converted = str(tmp_path / "converted.safetensors")
    run("convert", source, "--to", "safetensors", "--keep", keep, "-o", converted)
    path = str(tmp_path / "ckpttool.lock")
    assert run("lock", "--model", tiny, source, "-o", path).exit_code == 0
    code, file = verified(tiny, path, converted)
    codes = {found["code"] for found in file["findings"]}
    assert file["locked"]["same"] == file["locked"]["tensors"] == len(built.state()) + 1
    # no loader finds a name that is only recorded: a model that needs it is not whole, nor run
    whole = keep == "norm.weight"
    assert code == (0 if whole else 1)
    assert {one for one in codes if one.startswith("DIF")} == (set() if whole else {"DIF008"})


def test_a_change_fails_and_names_the_tensor_and_its_line(
    tmp_path: Path, tiny: str, lock: str, sound: str
) -> None:
    changed = built.saved(tmp_path, other_norm, "changed.pth")
    code, file = verified(tiny, lock, changed)
    codes = {found["code"]: found["tensors"] for found in file["findings"]}
    assert code == 1
    assert codes["DIF001"] == ["norm.bias"]
    assert "DIF005" in codes
    lines = Path(lock).read_text().split("\n")
    assert lines[file["lock_lines"]["norm.bias"] - 1].startswith("tensor norm.bias ")


def test_the_lock_of_the_configuration_is_compared_with(
    tmp_path: Path, tiny: str, lock: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("ckpttool.toml").write_text('lock = "ckpttool.lock"\ncheckpoint = "weights.pth"\n')
    result = run("verify", "--model", tiny, "--format", "json")
    assert json.loads(result.stdout)["files"][0]["lock"] == "ckpttool.lock"
    result = run("verify", "--model", tiny, "--no-forward", "--lock", "none", "--format", "json")
    assert json.loads(result.stdout)["files"][0]["lock"] is None


def test_the_same_weights_give_the_same_lock(tiny: str, lock: str, sound: str) -> None:
    first = Path(lock).read_text()
    assert run("lock", "--model", tiny, sound, "-o", lock).exit_code == 0
    assert Path(lock).read_text() == first
    assert str(Path(sound).parent) not in first


def test_several_checkpoints_share_a_lock(tmp_path: Path, tiny: str, sound: str) -> None:
    other = built.saved(tmp_path, other_norm, "other.pth")
    lock = str(tmp_path / "both.lock")
    assert run("lock", "--model", tiny, sound, other, "-o", lock).exit_code == 0
    assert [one.name for one in read_lock(lock).checkpoints] == ["other.pth", "weights.pth"]
    for path in (sound, other):
        assert verified(tiny, lock, path)[0] == 0


def test_what_does_not_pass_is_not_locked(tmp_path: Path, tiny: str) -> None:
    bad = built.saved(tmp_path, not_a_number, "bad.pth")
    path = tmp_path / "bad.lock"
    result = run("lock", "--model", tiny, bad, "-o", str(path))
    assert result.exit_code == 1
    assert "NUM001" in result.stdout
    assert "note: nothing was locked" in result.stderr
    assert not path.exists()


def test_a_file_that_is_no_lock_is_not_replaced(tiny: str, sound: str) -> None:
    before = Path(sound).read_bytes()
    result = run("lock", "--model", tiny, sound, "-o", sound)
    assert result.exit_code == 2
    assert "not a lock file" in result.stderr
    assert Path(sound).read_bytes() == before


def no_reading(*_: object) -> None:
    raise AssertionError("weights are read")


@pytest.mark.parametrize(
    ("output", "told"),
    [
        pytest.param("no/ckpttool.lock", "no: cannot be written", id="no folder"),
        pytest.param(".", "not a lock file", id="a folder"),
        pytest.param("link.lock", "the destination is a symbolic link", id="a link"),
        pytest.param("both/ckpttool.lock", "would call it weights.pth", id="two of one name"),
    ],
)
def test_a_lock_that_cannot_be_written_is_refused_first(
    tmp_path: Path, sound: str, monkeypatch: pytest.MonkeyPatch, output: str, told: str
) -> None:
    (tmp_path / "both").mkdir()
    (tmp_path / "copy").mkdir()
    (tmp_path / "link.lock").symlink_to("elsewhere.lock")
    copy = built.saved(tmp_path / "copy", built.sound)
    monkeypatch.setattr("ckpttool.verification.locking.lock_file", no_reading)
    before = sorted(tmp_path.rglob("*"))
    result = run("lock", sound, copy, "-o", str(tmp_path / output))
    assert result.exit_code == 2
    assert told in result.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_a_pattern_that_leaves_out_nothing_is_a_warning(
    tmp_path: Path, tiny: str, sound: str
) -> None:
    lock = ("lock", "--model", tiny, sound, "-o", str(tmp_path / "ckpttool.lock"))
    result = run(*lock, "--exclude", "typo*")
    assert result.exit_code == 0
    assert "the pattern typo* leaves out nothing of what was found" in result.stderr
    assert "leaves out" not in run(*lock).stderr


def test_a_folder_is_taken_for_a_release_as_by_verify(tmp_path: Path, sound: str) -> None:
    options = ("--fail-on", "warning", "--model", "tiny")
    result = run("lock", *options, str(tmp_path), "-o", str(tmp_path / "ckpttool.lock"))
    assert result.exit_code == 1
    assert "HUB010" in result.stdout
    assert run("lock", *options, sound, "-o", str(tmp_path / "ckpttool.lock")).exit_code == 0


@pytest.mark.parametrize("quiet", [(), ("--quiet",)])
def test_a_lock_goes_to_standard_output(
    tiny: str, lock: str, sound: str, quiet: tuple[str, ...]
) -> None:
    result = run("lock", "--model", tiny, sound, "-o", "-", *quiet)
    (locked,) = read_lock(lock).checkpoints
    assert locked.fingerprint in result.stdout
    assert result.stdout.startswith("# ckpttool lock file")


def test_without_a_forward_pass_only_the_tensors_are_locked(
    tmp_path: Path, tiny: str, sound: str
) -> None:
    path = str(tmp_path / "light.lock")
    assert run("lock", "--model", tiny, "--no-forward", sound, "-o", path).exit_code == 0
    assert read_lock(path).checkpoints[0].forward is None


@pytest.mark.parametrize("name", ["gone.lock", "weights.pth"])
def test_a_lock_that_cannot_be_read_is_trouble(
    tmp_path: Path, tiny: str, sound: str, name: str
) -> None:
    result = run("verify", "--model", tiny, "--lock", str(tmp_path / name), sound)
    assert (result.exit_code, result.stdout) == (2, "")
    assert name in result.stderr


def test_diff_takes_a_lock_in_place_of_a_checkpoint(tmp_path: Path, lock: str, sound: str) -> None:
    assert run("diff", sound, lock).exit_code == 0
    changed = built.saved(tmp_path, other_norm, "changed.pth")
    result = run("diff", lock, changed)
    assert result.exit_code == 1
    assert "norm.bias" in result.stdout


def sparse_beside() -> object:
    return {**built.state(), "extra": torch.ones(2, 2).to_sparse()}


def test_a_tensor_that_is_not_read_cannot_be_locked(tmp_path: Path, tiny: str, sound: str) -> None:
    path = built.saved(tmp_path, sparse_beside, "sparse.pth")
    output = str(tmp_path / "ckpttool.lock")
    options = ("lock", "--model", tiny, "--no-forward", "-o", output)
    alone = run(*options, path)
    assert (alone.exit_code, alone.stdout) == (2, "")
    assert "not every tensor was read" in alone.stderr
    beside = run(*options, path, sound)
    assert beside.exit_code == 2
    assert f"CANNOT TELL {path}" in beside.stdout
    assert re.search(rf"PASS +{re.escape(sound)}", beside.stdout)
    assert not Path(output).exists()
