"""What lies beside a checkpoint is read with care, and never makes a run fail."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Callable

import pytest

from ckpttool.formats import open_checkpoint
from ckpttool.verification import release_files
from ckpttool.verification.release_files import ReleaseFiles, read_release_files
from tests.builders import releases
from tests.builders.evidence import evidence, trained


def beside(path: Path) -> ReleaseFiles:
    with open_checkpoint(str(path)) as checkpoint:
        return read_release_files(checkpoint)


def test_a_release_is_read(tmp_path: Path) -> None:
    found = beside(releases.release(tmp_path))
    assert found.names == ("README.md", "config.json", "model.safetensors")
    assert found.config == releases.CONFIG
    assert (found.card, found.licence, found.is_release, found.unread) == (True, True, True, ())


@pytest.mark.parametrize(
    ("named", "is_release"),
    [
        pytest.param("weights", True, id="its folder"),
        pytest.param("./weights/", True, id="spelled otherwise"),
        pytest.param(".", False, id="one above"),
        pytest.param(None, False, id="none"),
    ],
)
def test_a_folder_that_is_named_is_a_release(
    named: str | None, is_release: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("weights").mkdir()
    releases.release(Path("weights")).rename("weights/encoder.safetensors")
    Path("weights/config.json").unlink()
    with open_checkpoint("weights/encoder.safetensors") as checkpoint:
        assert read_release_files(checkpoint, named).is_release is is_release


def test_a_checkpoint_of_no_file_has_nothing_beside_it() -> None:
    assert read_release_files(evidence(trained()).checkpoint) == ReleaseFiles()


def test_a_file_of_the_working_folder_is_found_without_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    releases.release(tmp_path)
    assert beside(Path("model.safetensors")).config == releases.CONFIG


def a_fifo(config: Path) -> None:
    config.unlink()
    os.mkfifo(config)


def a_link_out(config: Path) -> None:
    outside = config.parents[1] / "secret.json"
    config.rename(outside)
    config.symlink_to(outside)


def a_dangling_link(config: Path) -> None:
    config.unlink()
    config.symlink_to("nothing")


def too_large(config: Path) -> None:
    config.write_text(" " * (release_files.MAX_CONFIG + 1))


def not_permitted(config: Path) -> None:
    config.unlink()
    config.symlink_to("config.json")  # a loop, which nobody may read either


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (a_fifo, "FIFO"),
        (a_link_out, "leads out of the folder"),
        (a_dangling_link, "not there"),
        (too_large, "too large"),
        (not_permitted, "config.json"),
    ],
)
def test_what_cannot_be_read_is_told(
    tmp_path: Path, spoil: Callable[[Path], None], word: str
) -> None:
    folder = tmp_path / "release"
    folder.mkdir()
    path = releases.release(folder)
    spoil(folder / "config.json")
    found = beside(path)
    assert (found.config, found.config_problem) == (None, None)
    (line,) = found.unread
    assert word in line


def test_a_card_that_cannot_be_read_is_not_said_to_be_missing(tmp_path: Path) -> None:
    path = releases.release(tmp_path)
    (tmp_path / "README.md").unlink()
    os.mkfifo(tmp_path / "README.md")
    found = beside(path)
    assert (found.card, len(found.unread)) == (True, 1)


def test_a_folder_called_config_json_is_none(tmp_path: Path) -> None:
    path = releases.release(tmp_path)
    (tmp_path / "config.json").unlink()
    (tmp_path / "config.json").mkdir()
    assert beside(path)[:3] == (("README.md", "model.safetensors"), None, None)


def test_the_links_of_the_hubs_cache_are_followed(tmp_path: Path) -> None:
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "main"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    releases.release(blobs)
    for path in blobs.iterdir():
        (snapshot / path.name).symlink_to(f"../../blobs/{path.name}")
    found = beside(snapshot / "model.safetensors")
    assert (found.config, found.licence, found.unread) == (releases.CONFIG, True, ())


def test_a_crowded_folder_is_not_listed_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release_files, "MAX_NAMES", 2)
    found = beside(releases.release(tmp_path))
    assert len(found.names) == 2
    assert "more than 2 files" in found.unread[0]
