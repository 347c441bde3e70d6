"""What lies in a folder: each file once, whatever links lead to it, and no further than is sane."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ckpttool.inputs import folders as searching
from ckpttool.inputs.folders import TOOLS, matching, search


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder ``work`` beside which there is another, ``outside``, of five files."""
    for name in ("work", "outside/deep"):
        (tmp_path / name).mkdir(parents=True)
    for number in range(5):
        (tmp_path / "outside" / "deep" / str(number)).touch()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def touched(*paths: str) -> None:
    for path in paths:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).touch()


def test_everything_is_found_sorted_by_folders() -> None:
    touched("b", "a/z", "a-b/c", ".hidden/x", "a/.y")
    assert [one.path for one in search(".")] == [".hidden/x", "a/.y", "a/z", "a-b/c", "b"]


def test_paths_begin_as_the_folder_was_named(here: Path) -> None:
    touched("r/a")
    assert [one.path for one in search("./r/")] == ["r/a"]
    assert [one.path for one in search("../work/r")] == ["../work/r/a"]
    assert [one.path for one in search(str(here / "work"))] == [str(here / "work" / "r" / "a")]


def test_folders_of_tools_are_told_and_not_entered() -> None:
    touched(*(f"{name}/x" for name in TOOLS), "x/.git/config")
    assert {one.path for one in search(".")} == {*(f"{name}/" for name in TOOLS), "x/.git/"}
    assert [one.path for one in search(".git")] == [".git/x"]


def test_links_that_lead_to_very_much_are_an_error(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touched("r/a")
    Path("r/out").symlink_to(here / "outside")
    assert [one.path for one in search("r")][1:] == [f"r/out/deep/{number}" for number in range(5)]
    for number in range(5):
        Path("r", f"more{number}").symlink_to(here / "outside" / "deep" / str(number))
    (here / "outside" / "deep" / "deeper").mkdir()
    monkeypatch.setattr(searching, "MOST_OUTSIDE", 4)
    errors = {one.path: str(one.error) for one in search("r") if one.error is not None}
    assert list(errors) == ["r/out/deep/deeper/"]
    assert "links lead to more than 4 files" in errors["r/out/deep/deeper/"]


def test_a_link_to_the_folder_above_is_followed_and_ends(here: Path) -> None:
    touched("r/a")
    Path("r/up").symlink_to("../..")
    found = {one.path: one for one in search("r")}
    assert found["r/up/work/r/"].same == "r/"
    assert found["r/up/outside/deep/0"].link == "../.."


@pytest.mark.skipif(os.name == "nt", reason="no such permissions there")
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
def test_a_folder_that_may_not_be_listed_is_told() -> None:
    touched("r/closed/x")
    Path("r/closed").chmod(0)
    (found,) = search("r")
    Path("r/closed").chmod(0o700)
    assert found.path == "r/closed/"
    assert isinstance(found.error, PermissionError)


@pytest.mark.parametrize(
    ("pattern", "below", "matches"),
    [
        ("*.onnx", "a/b/x.onnx", True),
        ("x.onnx", "a/b/x.onnx", True),
        ("a/*", "a/b/x.onnx", True),
        ("a", "a/b/x.onnx", False),
        ("b/", "a/b", True),
        ("./a/b", "a/b", True),
        ("[ab].pth", "b.pth", True),
        ("*.ONNX", "x.onnx", False),
    ],
)
def test_a_glob_is_held_against_the_path_and_the_name(
    pattern: str, below: str, matches: bool
) -> None:
    assert (matching(["no", pattern], below) == pattern) is matches
