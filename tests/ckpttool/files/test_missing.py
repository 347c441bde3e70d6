"""What is said of a path at which no file is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ckpttool.files.missing import missing, nearest

LOCAL = "this is a URL, and only local files are read"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    for name in ("model.pth", "runs/checkpoint-799.pth", "runs/checkpoint-99.pth", "notes.txt"):
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("path", "near"),
    [
        ("modle.pth", "model.pth"),
        ("Model.PTH", "model.pth"),
        ("model.pt", "model.pth"),
        ("run/checkpoint-799.pth", "runs/checkpoint-799.pth"),
        ("./runs/checkpoint799.pth", "./runs/checkpoint-799.pth"),
        ("runs/../modl.pth", "runs/../model.pth"),
        ("nets.pth", None),
        ("x/y/model.pth", None),
        ("model.pth/x", None),
        ("", None),
        ("\0", None),
        ("\udcff.pth", None),
        ("m" * 5000, None),
    ],
)
def test_the_nearest_path_is_that_of_a_file_that_is_there(path: str, near: str | None) -> None:
    if near is not None and os.path.lexists(path):
        pytest.skip("a file system that ignores case")
    assert nearest(path) == near


def test_an_absolute_path_stays_one(folder: Path) -> None:
    assert nearest(f"{folder}/modl.pth") == f"{folder}/model.pth"


def test_a_link_to_nothing_is_no_typing_error(folder: Path) -> None:
    (folder / "alias.pth").symlink_to("gone.pth")
    assert missing("alias.pth") == ("a link to a file that is not there", None)


HUB = "Download it first: hf download facebook/vit-mae-base"


@pytest.mark.parametrize(
    ("path", "fix"),
    [
        ("https://huggingface.co/facebook/vit-mae-base", f"{HUB} --local-dir vit-mae-base"),
        (
            "https://huggingface.co/facebook/vit-mae-base/blob/v2/model.safetensors",
            f"{HUB} model.safetensors --revision v2 --local-dir vit-mae-base",
        ),
        (
            "https://huggingface.co/datasets/a/b/resolve/main/c/d.pth",
            "Download it first: hf download a/b c/d.pth --repo-type dataset --local-dir b",
        ),
        ("hf://facebook/vit-mae-base", f"{HUB} --local-dir vit-mae-base"),
        ("hf://facebook/vit-mae-base@v2", f"{HUB} --revision v2 --local-dir vit-mae-base"),
        ("https://example.org/a.pth", "Download it first: curl -LO https://example.org/a.pth"),
        (
            "https://example.org/a.pth?x=1&y=2",
            "Download it first: curl -LO 'https://example.org/a.pth?x=1&y=2'",
        ),
        ("s3://bucket/a.pth", "Download it first: aws s3 cp s3://bucket/a.pth ."),
        ("gs://bucket/run", "Download it first: gcloud storage cp gs://bucket/run . --recursive"),
        ("file:///tmp/a%20b.pth", "Name the path: /tmp/a b.pth"),
        # a page, from which no file comes
        ("https://example.org/models", None),
        ("https://huggingface.co/models", None),
        ("hf://nobody", None),
        ("ftp://example.org/a.pth", None),
    ],
)
def test_a_url_is_said_to_be_one_with_the_command_that_downloads_it(
    path: str, fix: str | None
) -> None:
    assert missing(path) == (LOCAL, fix)


def test_what_is_spelled_like_a_repository_of_the_hub_may_be_one() -> None:
    reason, fix = missing("facebook/vit-mae-base")
    assert (reason, fix) == (
        "no such file",
        "From the Hugging Face hub, download it first: "
        "hf download facebook/vit-mae-base --local-dir vit-mae-base",
    )


@pytest.mark.parametrize("path", ["runs/other", "facebook/model.pth", "a/b/c", "/a/b", "x"])
def test_a_path_is_no_repository_of_the_hub(path: str) -> None:
    assert missing(path) == ("no such file", None)
