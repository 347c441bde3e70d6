"""Mistakes on the command line: what is said, and what may be meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.builders import checkpoints as built
from tests.builders.commands import invoke

if TYPE_CHECKING:
    from pathlib import Path

# torch 2.0 warns of its own use of a class when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")


@pytest.mark.parametrize(
    ("command", "error", "tip"),
    [
        ("verfiy", "no such command 'verfiy'", "did you mean 'verify'?"),
        ("frobnicate", "no such command 'frobnicate'", "see ckpttool --help"),
        ("verify --forat x", "no such option '--forat'", "did you mean '--format'?"),
        ("verify --gpu x", "no such option '--gpu'", "see ckpttool verify --help"),
        ("verify --strict x", "no such option '--strict'", "see ckpttool verify --help"),
        ("verify --format xml", "invalid value 'xml' for '--format'", "possible values: text,"),
        ("verify --xyz", "no such option '--xyz'", "see ckpttool verify --help"),
        ("verify -o x", "no such option '-o'", "see ckpttool verify --help"),
        ("verify --format jsn", "invalid value 'jsn' for '--format'", "did you mean 'json'?"),
        ("verify --format JSON", "invalid value 'JSON' for '--format'", "did you mean 'json'?"),
        (
            "verify --model mae_vit_larg",
            "invalid value 'mae_vit_larg' for '--model'",
            "did you mean 'mae_vit_large_patch16'?",
        ),
        (
            "sample x.pth --model mae-vit-huge",
            "invalid value 'mae-vit-huge' for '--model'",
            "did you mean 'mae_vit_huge_patch14'?",
        ),
        (
            "convert x --to pth --dtype bf16",
            "invalid value 'bf16' for '--dtype'",
            "did you mean 'bfloat16'?",
        ),
        (
            "convert x --to pth --layout hff",
            "invalid value 'hff' for '--layout'",
            "did you mean 'hf'?",
        ),
        (
            "convert x --to onnx",
            "invalid value 'onnx' for '--to'",
            "possible values: safetensors, pth",
        ),
        ("convert x", "missing option '--to'", "possible values: safetensors, pth"),
        ("diff x", "missing argument RIGHT", "see ckpttool diff --help"),
        (
            "verify --fail-on warn",
            "invalid value 'warn' for '--fail-on'",
            "did you mean 'warning'?",
        ),
        ("verify --report jsn=x x", "invalid format 'jsn' for --report", "did you mean 'json'?"),
        ("explain str02", "there is no rule str02", "rules that begin so: STR020, STR021, "),
        ("explain NUM01", "there is no rule NUM01", "did you mean NUM001"),
        ("explain unreadble", "there is no rule unreadble", "did you mean unreadable"),
        ("explain qqq", "there is no rule qqq", "ckpttool rules lists them all"),
    ],
)
def test_a_mistake_is_told_with_what_may_be_meant(
    command: str, error: str, tip: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    built.saved(tmp_path, built.sound, "x")
    done = invoke(*command.split())
    assert (done.code, done.out) == (2, "")
    assert done.error == f"error: {error}"
    assert any(one.startswith(tip) for one in done.tips), done.err


def test_how_a_command_is_called_is_said_of_its_call_and_not_of_a_value() -> None:
    assert "  usage: ckpttool diff [OPTIONS] LEFT RIGHT\n" in invoke("diff").err
    assert "usage" not in invoke("diff", "--sort", "x").err


def test_a_range_is_said_of_a_number_outside_of_it() -> None:
    done = invoke("diff", "a", "b", "--atol", "-1")
    assert done.error.startswith("error: invalid value for '--atol': -1.0 is not in the range")


def test_a_number_that_is_none_is_said_in_plain_words() -> None:
    done = invoke("inspect", "x", "--depth", "y")
    assert done.error == "error: invalid value for '--depth': 'y' is not a whole number"


def test_a_file_in_the_place_of_a_command_is_told_from_a_mistyped_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    built.saved(tmp_path, built.sound, "model.pth")
    assert invoke("model.pth").tips[0].startswith("a command comes before the file")
    assert invoke("other.pth").tips == ["see ckpttool --help"]
