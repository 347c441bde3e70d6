"""Which files paths, globs and folders stand for."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ckpttool.errors import UnreadableError, UsageError
from ckpttool.targets import SUFFIXES, Target, targets_of


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in the folder ``work`` beside which there is another, ``elsewhere``."""
    work = tmp_path / "work"
    for folder in (work, tmp_path / "elsewhere"):
        folder.mkdir()
    monkeypatch.chdir(work)
    return work


def touched(*paths: str) -> None:
    for path in paths:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).touch()


def index(path: str, *shards: str) -> None:
    touched(path)
    Path(path).write_text(json.dumps({"weight_map": {str(n): s for n, s in enumerate(shards)}}))


def paths(*named: str) -> list[str]:
    return [target.path.replace(os.sep, "/") for target in targets_of(named)]


# --- what is named ----------------------------------------------------------------------


def test_what_is_named_stays_as_it_is_in_its_order() -> None:
    touched("b.pth", "a.txt")
    assert paths("./b.pth", "a.txt", "missing") == ["./b.pth", "a.txt", "missing"]


def test_a_file_counts_once_however_it_is_spelled() -> None:
    touched("a.pth", "b.pth")
    Path("link.pth").symlink_to("a.pth")
    left: list[tuple[str, str]] = []
    found = targets_of(
        ["a.pth", "./a.pth", "link.pth", "b.pth"], leave=lambda *one: left.append(one)
    )
    assert [target.path for target in found] == ["a.pth", "b.pth"]
    assert left == [("./a.pth", "named before"), ("link.pth", "named before")]


def test_a_file_named_like_a_glob_is_that_file() -> None:
    touched("[a].pth", "a.pth")
    assert paths("[a].pth") == ["[a].pth"]


def test_what_is_literal_is_no_glob() -> None:
    touched("a.pth")
    assert targets_of([], ["*.pth", "a.pth"]) == (Target("*.pth"), Target("a.pth"))


# --- globs ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        pytest.param("*.pth", ["a.pth", "b.pth"], id="star"),
        pytest.param("[ac].pth", ["a.pth"], id="class"),
        pytest.param("runs/*/?.pth", ["runs/1/c.pth"], id="folders"),
        pytest.param("**/*.pth", ["a.pth", "b.pth", "runs/1/c.pth"], id="any depth"),
        pytest.param("runs/**", ["runs/1/c.pth", "runs/1/notes.txt"], id="files of any depth"),
        pytest.param("*.txt", ["readme.txt"], id="whatever they are called"),
    ],
)
def test_a_glob_stands_for_what_matches_sorted(pattern: str, found: list[str]) -> None:
    touched("b.pth", "a.pth", ".hidden.pth", "readme.txt", "runs/1/c.pth", "runs/1/notes.txt")
    assert paths(pattern) == found


def test_an_absolute_glob_is_one_too(here: Path) -> None:
    touched("a.pth")
    assert paths(f"{here}/*.pth") == [f"{here.as_posix()}/a.pth"]


def test_a_folder_that_matches_is_searched() -> None:
    touched("runs/1/a.pth", "runs/1/notes.txt", "runs/2/b.pth")
    assert targets_of(["runs/*"]) == (
        Target(str(Path("runs/1/a.pth")), "runs/1"),
        Target(str(Path("runs/2/b.pth")), "runs/2"),
    )


def test_a_glob_that_matches_nothing_is_a_mistake() -> None:
    touched("a.pth")
    with pytest.raises(UsageError, match=r"\*\.pt: no file matches"):
        targets_of(["a.pth", "*.pt"])


# --- folders ----------------------------------------------------------------------------


def test_a_folder_is_searched_for_names_of_checkpoints() -> None:
    touched(*(f"r/x{suffix}" for suffix in SUFFIXES), "r/UP.PTH", "r/config.json", "r/pth", "a.pth")
    found = targets_of(["r"])
    assert {target.folder for target in found} == {"r"}
    assert [Path(target.path).name for target in found] == sorted(
        ["UP.PTH", *(f"x{suffix}" for suffix in SUFFIXES)]
    )


def test_what_lies_in_one_folder_stays_together() -> None:
    touched("r/a.pth", "r/a/z.pth", "r/a-b/c.pth", "r/b.pth")
    assert paths("r") == ["r/a/z.pth", "r/a-b/c.pth", "r/a.pth", "r/b.pth"]


def test_what_is_hidden_is_left_out() -> None:
    touched("r/.git/a.pth", "r/.a.pth", "r/b.pth")
    assert paths("r") == ["r/b.pth"]


def test_a_hidden_folder_that_is_named_is_searched() -> None:
    touched(".r/b.pth")
    assert paths(".r") == [".r/b.pth"]


def test_links_that_lead_out_are_left_out_and_told() -> None:
    touched("../elsewhere/out.pth", "r/a.pth", "rest/x.pth")
    Path("r/out.pth").symlink_to("../../elsewhere/out.pth")
    Path("r/near.pth").symlink_to("../rest/x.pth")
    Path("r/folder").symlink_to("../../elsewhere")
    Path("r/in.pth").symlink_to("a.pth")
    left: list[str] = []
    found = targets_of(["r"], leave=lambda path, why: left.append(f"{path} {why.split()[-1]}"))
    assert [target.path for target in found] == ["r/a.pth"]
    assert sorted(left) == ["r/in.pth before", "r/near.pth folder", "r/out.pth folder"]


def test_a_folder_may_itself_be_a_link() -> None:
    touched("r/a.pth")
    Path("link").symlink_to("r")
    assert paths("link") == ["link/a.pth"]


def test_a_folder_without_a_checkpoint_is_a_mistake() -> None:
    touched("r/config.json")
    with pytest.raises(UsageError, match="r: there is no checkpoint in this folder"):
        targets_of(["r"])


def test_a_folder_that_cannot_be_listed_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    touched("r/a.pth", "r/closed/b.pth")
    scandir = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(UnreadableError, match=r"closed: the folder cannot be listed: Permission"):
        targets_of(["r"])


# --- shards -----------------------------------------------------------------------------


def test_shards_come_in_through_their_index() -> None:
    index("r/m.safetensors.index.json", "m-1.safetensors", "m-2.safetensors")
    touched("r/m-1.safetensors", "r/m-2.safetensors", "r/other.safetensors", "r/s/m-1.safetensors")
    all_but_shards = [
        "r/m.safetensors.index.json",
        "r/other.safetensors",
        "r/s/m-1.safetensors",
    ]
    assert paths("r") == all_but_shards
    assert paths("r/**") == all_but_shards


def test_a_shard_that_is_named_is_looked_at() -> None:
    index("r/m.safetensors.index.json", "m-1.safetensors")
    touched("r/m-1.safetensors")
    assert paths("r", "r/m-1.safetensors") == ["r/m.safetensors.index.json", "r/m-1.safetensors"]


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"weight_map": []}', '{"weight_map": {"a": 1}}'], ids=repr
)
def test_an_index_that_says_nothing_hides_nothing(content: str) -> None:
    touched("r/m.index.json", "r/m-1.safetensors")
    Path("r/m.index.json").write_text(content)
    assert paths("r") == ["r/m-1.safetensors", "r/m.index.json"]
