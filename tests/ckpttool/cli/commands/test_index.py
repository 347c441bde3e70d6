"""``ckpttool index``: what it says, and with what exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.builders import shards
from tests.builders.commands import invoke
from tests.builders.safetensors import sharing


@pytest.fixture(autouse=True)
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shards.good(tmp_path / "release").unlink()
    (tmp_path / "release" / "vision.safetensors").write_bytes(sharing({"v": 5, "w": 6}))
    return tmp_path / "release"


def test_what_was_written_is_one_line() -> None:
    done = invoke("index", "release")
    assert (done.code, done.err) == (0, "")
    assert done.out == "release/model.safetensors.index.json: 5 tensors in 3 files, 23 B\n"


def test_an_index_that_is_right_is_said_to_be_so() -> None:
    invoke("index", "release")
    done = invoke("index", "release")
    assert done.code == 0
    assert done.out.endswith("23 B, as it stands there already\n")


def test_changes_against_the_old_index_are_counted(release: Path) -> None:
    shards.write(release, shards.MAP)
    refused = invoke("index", "release")
    assert refused.code == 2
    assert "2 tensors not listed: v, w" in refused.err
    done = invoke("index", "release", "--force")
    assert "2 tensors added against the index that stood there" in done.out


def test_a_tensor_in_two_files_is_named_and_nothing_written(release: Path) -> None:
    (release / "copy.safetensors").write_bytes(sharing({"v": 5}))
    done = invoke("index", "release")
    assert done.code == 2
    assert not (release / shards.INDEX).exists()
    assert "v in copy.safetensors and vision.safetensors" in done.err


def test_quiet_says_nothing() -> None:
    done = invoke("index", "release", "-q")
    assert (done.out, done.err) == ("", "")
