"""Which files paths, globs and folders stand for."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from ckpttool.files.suffixes import INDEX, SUFFIXES
from ckpttool.findings.errors import UnreadableError
from ckpttool.findings.inventory import Item, Standing
from ckpttool.inputs.paths import Input, Inputs, SearchOptions, targets_of


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
    return [target.path.replace(os.sep, "/") for target in targets_of(named).targets]


def items_of(*named: str, **choice: Any) -> dict[str, tuple[Standing, str]]:
    """Path to standing and kind of what is no checkpoint of its own."""
    selection = targets_of(named, choice=SearchOptions(**choice))
    return {item.path: (item.standing, item.what) for item in selection.items}


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
    assert [target.path for target in found.targets] == ["a.pth", "b.pth"]
    assert left == [("./a.pth", "named before"), ("link.pth", "named before")]


def test_a_file_named_like_a_glob_is_that_file() -> None:
    touched("[a].pth", "a.pth")
    assert paths("[a].pth") == ["[a].pth"]


def test_what_is_literal_is_no_glob() -> None:
    touched("a.pth")
    found = targets_of([], ["*.pth", "a.pth"])
    assert found == Inputs((Input("*.pth"), Input("a.pth")))


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
    assert targets_of(["runs/*"]).targets == (
        Input(str(Path("runs/1/a.pth")), "runs/1"),
        Input(str(Path("runs/2/b.pth")), "runs/2"),
    )


# --- folders ----------------------------------------------------------------------------


def test_what_is_called_a_checkpoint_is_looked_at_whatever_it_holds() -> None:
    suffixes = (*SUFFIXES, INDEX)
    touched(*(f"r/x{suffix}" for suffix in suffixes), "r/UP.PTH", "r/config.json", "r/pth", "a.pth")
    found = targets_of(["r"])
    assert {target.folder for target in found.targets} == {"r"}
    assert [Path(target.path).name for target in found.targets] == sorted(
        ["UP.PTH", *(f"x{suffix}" for suffix in suffixes)]
    )
    assert [item.path for item in found.items] == ["r/config.json", "r/pth"]
    assert {item.standing for item in found.items} == {Standing.KNOWN}


@pytest.mark.parametrize(
    "name",
    ["x.pth.tar", "x.tar", "x.th", "x.pkl", "x.pth.1", "x.joblib", "x", ".x", ".h/x", "x.md"],
)
def test_a_checkpoint_is_found_under_any_name(name: str) -> None:
    path = Path("r", name)
    path.parent.mkdir(parents=True)
    torch.save({"w": torch.ones(2)}, "saved")  # which takes no name that begins with a dot
    Path("saved").rename(path)
    assert paths("r") == [f"r/{name}"]


def test_what_lies_in_one_folder_stays_together() -> None:
    touched("r/a.pth", "r/a/z.pth", "r/a-b/c.pth", "r/b.pth")
    assert paths("r") == ["r/a/z.pth", "r/a-b/c.pth", "r/a.pth", "r/b.pth"]


def test_what_is_hidden_is_found_but_not_what_tools_keep() -> None:
    touched("r/.git/a.pth", "r/.a.pth", "r/.cache/huggingface/c.pth", "r/b.pth", ".venv/x.pth")
    assert paths("r") == ["r/.a.pth", "r/.cache/huggingface/c.pth", "r/b.pth"]
    assert items_of("r") == {"r/.git/": (Standing.UNSEEN, "folder of a tool")}
    assert paths(".venv") == [".venv/x.pth"]


def test_a_hidden_folder_that_is_named_is_searched() -> None:
    touched(".r/b.pth")
    assert paths(".r") == [".r/b.pth"]


def test_links_are_followed_and_those_that_lead_out_are_said() -> None:
    touched("../elsewhere/out.pth", "../elsewhere/f/in.pth", "r/a.pth")
    Path("r/out.pth").symlink_to("../../elsewhere/out.pth")
    Path("r/folder").symlink_to("../../elsewhere/f")
    Path("r/in.pth").symlink_to("a.pth")
    found = targets_of(["r"])
    assert [target.path for target in found.targets] == ["r/a.pth", "r/folder/in.pth", "r/out.pth"]
    links = {item.path: item.link for item in found.items if item.link is not None}
    assert links == {"r/folder/in.pth": "../../elsewhere/f", "r/out.pth": "../../elsewhere/out.pth"}
    assert items_of("r")["r/in.pth"] == (Standing.SAME, "the same as r/a.pth")


def test_links_that_lead_in_a_circle_end() -> None:
    touched("r/a/b.pth")
    Path("r/a/up").symlink_to("..")
    Path("r/z").symlink_to("a")
    assert paths("r") == ["r/a/b.pth"]
    assert items_of("r") == {
        "r/a/up/": (Standing.SAME, "the same as r/"),
        "r/z/": (Standing.SAME, "the same as r/a/"),
    }


@pytest.mark.parametrize("leads", ["nowhere", "broken"])
def test_a_link_to_nothing_cannot_be_looked_at(leads: str) -> None:
    touched("r/a.pth")
    Path("r/broken").symlink_to(leads)
    (_, broken) = targets_of(["r"]).targets
    assert broken.path == "r/broken"
    assert broken.error is not None
    assert f"a link to {leads}, which cannot be looked at" in str(broken.error)


def test_a_file_counts_once_under_its_own_name() -> None:
    touched("r/z.pth")
    Path("r/a.pth").symlink_to("z.pth")
    os.link("r/z.pth", "r/zz.pth")
    assert paths("r") == ["r/z.pth"]
    assert items_of("r") == {
        "r/a.pth": (Standing.SAME, "the same as r/z.pth"),
        "r/zz.pth": (Standing.SAME, "the same as r/z.pth"),
    }


def test_a_name_of_a_checkpoint_counts_whatever_else_the_file_is_called() -> None:
    touched("r/store/x")
    Path("r/store/x").write_bytes(bytes(range(256)))
    os.link("r/store/x", "r/z.pth")
    Path("r/a.pth").symlink_to("store/x")
    assert paths("r") == ["r/a.pth", "r/z.pth"]
    Path("r/store/x").write_bytes(pickle.dumps({"w": b""}, 2)[:-1])
    assert paths("r") == ["r/store/x"]  # is a checkpoint itself, so that links to it are no others


def test_in_a_cache_of_the_hub_links_have_the_names() -> None:
    touched("c/models--x/refs/main", "c/models--x/blobs/aa", "c/models--x/blobs/bb")
    for blob in ("aa", "bb"):
        torch.save({"w": torch.ones(2)}, f"c/models--x/blobs/{blob}")
    snapshot = Path("c/models--x/snapshots/123")
    snapshot.mkdir(parents=True)
    (snapshot / "m.pth").symlink_to("../../blobs/aa")
    assert paths("c") == ["c/models--x/blobs/bb", str(snapshot / "m.pth")]
    (found,) = targets_of([str(snapshot)]).items
    assert found == Item(
        str(snapshot / "m.pth"), Standing.CHECKED, "a checkpoint", "../../blobs/aa"
    )


@pytest.mark.skipif(os.name == "nt", reason="there are no FIFOs")
def test_what_is_no_regular_file_is_never_opened() -> None:
    touched("r/a.pth")
    os.mkfifo("r/pipe")
    os.mkfifo("r/pipe.pth")
    assert paths("r") == ["r/a.pth", "r/pipe.pth"]
    assert items_of("r") == {"r/pipe": (Standing.UNSEEN, "FIFO, never opened")}


def test_names_with_line_ends_and_of_different_letters_are_different_files() -> None:
    touched("r/two\nlines.pth", "r/A.pth", "r/a.pth", "r/\x1b[2J")
    assert paths("r") == ["r/A.pth", "r/a.pth", "r/two\nlines.pth"]
    assert "r/\x1b[2J" in items_of("r")


# --- what is excluded -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pattern",
    [
        *("b.pth", "*b.pth", "d", "d/", "./d", "d/*", "d/b.pth", "D*/b.pth", "**/b.pth"),
        *("r/d", "r/d/", "./r/d/b.pth", "r/*/b.pth"),
    ],
)
def test_what_is_excluded_is_listed(pattern: str) -> None:
    touched("r/a.pth", "r/d/b.pth")
    found = targets_of(["r"], choice=SearchOptions((pattern,)))
    if pattern == "D*/b.pth":
        assert found.unused == (pattern,)
        assert len(found.targets) == 2
    else:
        assert [target.path for target in found.targets] == ["r/a.pth"]
        (item,) = found.items
        assert item.standing is Standing.EXCLUDED
        assert item.what == f"by {pattern}"
        assert found.unused == ()


def test_a_glob_excludes_too_and_a_name_does_not() -> None:
    touched("a.pth", "b.pth")
    assert [t.path for t in targets_of(["*.pth"], choice=SearchOptions(("b*",))).targets] == [
        "a.pth"
    ]
    assert [t.path for t in targets_of(["b.pth"], choice=SearchOptions(("b*",))).targets] == [
        "b.pth"
    ]


def test_a_typed_pattern_that_matches_nothing_is_reported_where_nothing_was_searched_too() -> None:
    touched("b.pth")
    typed, configured = SearchOptions(("x*",)), SearchOptions(configured=("x*",))
    assert targets_of(["b.pth"], choice=typed).unused == ("x*",)
    assert targets_of(["b.pth"], choice=typed._replace(changed=True)).unused == ()
    assert targets_of(["b.pth"], choice=configured).unused == ()
    assert targets_of(["*.pth"], choice=configured).unused == ("x*",)
    assert targets_of(["*.pth"], choice=typed._replace(changed=True)).unused == ("x*",)


def test_an_excluded_shard_is_still_a_part_of_its_index() -> None:
    index("r/m.safetensors.index.json", "m-1.safetensors")
    touched("r/m-1.safetensors")
    (standing, what) = items_of("r", exclude=("m-1*",))["r/m-1.safetensors"]
    assert standing is Standing.PART
    assert what == "by m-1*, but a shard of r/m.safetensors.index.json"


def test_a_folder_may_itself_be_a_link() -> None:
    touched("r/a.pth")
    Path("link").symlink_to("r")
    assert paths("link") == ["link/a.pth"]


@pytest.mark.parametrize("path", ["r", "r/*.pth"])
def test_what_stands_for_no_checkpoint_stands_for_itself_with_an_error(path: str) -> None:
    touched("r/config.json", "s/a.pth")
    first, second = targets_of([path, "s"]).targets
    assert (first.path, second.path) == (path, "s/a.pth")
    assert isinstance(first.error, UnreadableError)
    assert second.error is None


def test_a_folder_that_cannot_be_listed_hides_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    touched("r/a.pth", "r/closed/b.pth")
    scandir = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    sound, closed = targets_of(["r"]).targets
    assert (sound.path, sound.error) == ("r/a.pth", None)
    assert closed.path == "r/closed"
    assert "r/closed/: the folder cannot be listed: Permission denied" in str(closed.error)


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


def test_a_shard_that_is_named_stands_for_its_index_where_the_whole_is_meant() -> None:
    index("r/m.safetensors.index.json", "m-1.safetensors", "m-2.safetensors")
    touched("r/m-1.safetensors", "r/m-2.safetensors", "r/other.safetensors")
    named = ["r/m-1.safetensors", "r/other.safetensors", "r/m-2.safetensors"]
    for found in (
        targets_of(named, choice=SearchOptions(whole=True)),
        targets_of((), named, choice=SearchOptions(whole=True)),
        targets_of(["r/*.safetensors"], choice=SearchOptions(whole=True)),
    ):
        assert [target.path for target in found.targets] == [
            "r/m.safetensors.index.json",
            "r/other.safetensors",
        ]
        assert [item.what for item in found.items] == ["a shard of r/m.safetensors.index.json"] * 2
    assert paths(*named) == named


def test_a_shard_without_an_index_is_looked_at_as_it_is() -> None:
    touched("r/m-00001-of-00002.safetensors")
    named = ["r/m-00001-of-00002.safetensors"]
    assert [
        one.path for one in targets_of(named, choice=SearchOptions(whole=True)).targets
    ] == named


def test_two_indexes_may_share_shards_and_one_may_be_hidden() -> None:
    index("r/a.safetensors.index.json", "m-1.safetensors")
    index("r/b", "m-1.safetensors")
    index("r/.h/c.safetensors.index.json", "n.safetensors")
    touched("r/m-1.safetensors", "r/.h/n.safetensors")
    assert paths("r") == ["r/.h/c.safetensors.index.json", "r/a.safetensors.index.json", "r/b"]


# --- files that changed ------------------------------------------------------------------------


def test_of_files_that_changed_those_that_matter_are_looked_at() -> None:
    touched("r/README.md", "r/m.pth", "r/n.pth", "r/sub/x.pth", "code.py")
    Path("r/config.json").write_text("{}")
    Path("r/link.pth").symlink_to("m.pth")

    def changed(*named: str) -> list[str]:
        found = targets_of([], named, choice=SearchOptions(whole=True, changed=True))
        return [target.path for target in found.targets]

    assert changed("r/README.md", "code.py") == []
    left = targets_of([], ["r/n.pth"], choice=SearchOptions(("r/*",), whole=True, changed=True))
    assert (left.targets, left.items) == ((), (Item("r/n.pth", Standing.EXCLUDED, "by r/*"),))
    assert changed("r/n.pth", "r/README.md") == ["r/n.pth"]
    assert changed("r/config.json") == ["r/link.pth", "r/n.pth"]
    assert changed("r/link.pth") == ["r/link.pth"]
    index("r/m.safetensors.index.json", "m-1.safetensors")
    touched("r/m-1.safetensors")
    assert changed("r/m-1.safetensors") == ["r/m.safetensors.index.json"]
    assert "r/m.safetensors.index.json" in changed("r/config.json")
    assert "r/m-1.safetensors" not in changed("r/config.json")


# --- what an index that is none hides ----------------------------------------------------------


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"weight_map": []}', '{"weight_map": {"a": 1}}'], ids=repr
)
def test_an_index_that_says_nothing_hides_nothing(content: str) -> None:
    touched("r/m.index.json", "r/m-1.safetensors")
    Path("r/m.index.json").write_text(content)
    assert paths("r") == ["r/m-1.safetensors", "r/m.index.json"]
