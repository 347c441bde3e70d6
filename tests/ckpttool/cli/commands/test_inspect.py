"""``ckpttool inspect``: what is listed, in which order, and the statistics of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import torch

from tests.builders import checkpoints
from tests.builders.commands import invoke

if TYPE_CHECKING:
    from pathlib import Path

SIZES = {"small.w": 2, "b.0.w": 8, "b.1.w": 8, "b.0.v": 1, "b.1.v": 1, "large.w": 100}


@pytest.fixture
def path(tmp_path: Path) -> str:
    state = {name: torch.ones(size) for name, size in SIZES.items()}
    return checkpoints.saved(tmp_path, lambda: {"model": state})


def tree(*arguments: str) -> list[str]:
    """The first cells of the lines of the tree."""
    lines = invoke("inspect", *arguments).out.splitlines()
    head = next(number for number, line in enumerate(lines) if "bytes" in line and "share" in line)
    table = lines[head + 1 :]
    end = next((number for number, line in enumerate(table) if not line.strip()), len(table))
    return [line.split()[0] for line in table[:end] if "more tensor" not in line]


def listed(*arguments: str) -> dict[str, Any]:
    (file,) = json.loads(invoke("inspect", "--format", "json", *arguments).out)["files"]
    return dict(file)


# --- what is listed ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], ["small.w", "b.{0-1}", "w", "v", "large.w"]),
        (["--sort", "size"], ["large.w", "b.{0-1}", "w", "v", "small.w"]),
        (["--sort", "name"], ["b.{0-1}", "v", "w", "large.w", "small.w"]),
        (["--depth", "1"], ["small.w", "b.{0-1}", "large.w"]),
        (["--include", "b.*"], ["b.{0-1}", "w", "v"]),
        (["--include", "b.1.*", "--include", "small.*"], ["small.w", "b.1", "w", "v"]),
    ],
    ids=" ".join,
)
def test_the_tree_is_what_was_asked_for(path: str, options: list[str], expected: list[str]) -> None:
    assert tree(*options, path) == expected


def test_what_is_left_out_is_counted(path: str) -> None:
    assert (
        "and 2 more tensors (that --include leaves out)"
        in invoke("inspect", "--include", "b.*", path).out
    )
    found = listed("--include", "b.*", path)
    assert (len(found["tensors"]), found["left_out"], found["parameters"]) == (4, 2, 120)
    assert "more" not in invoke("inspect", path).out


def test_a_glob_that_matches_nothing_is_wrong_usage(path: str) -> None:
    done = invoke("inspect", "--include", "smal.*", path)
    assert done.code == 2
    assert "no tensor name matches smal.*" in done.err
    assert "small.*" in done.err


def test_a_glob_need_not_match_in_each_of_several_files(tmp_path: Path, path: str) -> None:
    other = checkpoints.saved(tmp_path, lambda: {"other": torch.ones(3)}, "other.pth")
    assert invoke("inspect", "--include", "small.*", path, other).code == 0
    assert invoke("inspect", "--include", "nowhere.*", path, other).code == 2


# --- statistics ----------------------------------------------------------------------------


def broken() -> dict[str, Any]:
    nan = torch.tensor([1.0, float("nan"), float("nan")])
    return {"nan": nan, "inf": torch.tensor([float("-inf"), 2.0]), "sound": torch.arange(4.0)}


def test_statistics_are_shown_of_each_tensor(path: str) -> None:
    text = invoke("inspect", "--stats", path).out
    assert "only headers were read" not in text
    line = next(line for line in text.splitlines() if line.strip().startswith("large.w"))
    assert line.split()[3:9] == ["1", "1", "1", "0", "0.0", "%"]
    assert "only headers were read" in invoke("inspect", path).out


def test_nan_and_infinite_values_are_named(tmp_path: Path) -> None:
    done = invoke("inspect", "--stats", checkpoints.saved(tmp_path, broken))
    first = done.out.splitlines()[0]
    assert "NaN in 1 tensor" in first
    assert "infinite in 1 tensor" in first
    assert done.code == 0  # a listing holds nothing against a model


def test_statistics_are_of_what_is_listed_alone(tmp_path: Path) -> None:
    path = checkpoints.saved(tmp_path, broken)
    assert "statistics" not in listed(path)
    found = listed("--stats", "--include", "sound", path)["statistics"]["tensors"]
    assert [(one["name"], one["max"]) for one in found] == [("sound", 3.0)]


def test_the_statistics_of_many_tensors_fold_like_the_tree(path: str) -> None:
    text = invoke("inspect", "--stats", path).out
    (line,) = [line for line in text.splitlines() if line.strip().startswith("v ")]
    assert "float32 [1]" in line
