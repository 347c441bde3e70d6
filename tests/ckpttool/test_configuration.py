"""The configuration is the nearest one upward, and says so when it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from ckpttool.configuration import find_configuration
from ckpttool.errors import UsageError

PYPROJECT = '[tool.ckpttool]\ncheckpoint = "data/weights.pth"\n'


def checkpoint_in(folder: Path) -> str | None:
    found = find_configuration(str(folder))
    return None if found is None else found.checkpoint


def test_pyproject_names_a_checkpoint_relative_to_itself(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    assert checkpoint_in(tmp_path) == str(Path("data/weights.pth"))


def test_a_folder_below_finds_it_too(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    (tmp_path / "below" / "deep").mkdir(parents=True)
    assert checkpoint_in(tmp_path / "below" / "deep") == str(tmp_path / "data/weights.pth")


def test_the_nearest_file_counts(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "ckpttool.toml").write_text('checkpoint = "near.pth"\n')
    assert checkpoint_in(tmp_path / "below") == "near.pth"


def test_a_pyproject_without_our_table_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "pyproject.toml").write_text('[project]\nname = "x"\n')
    assert checkpoint_in(tmp_path / "below") == str(tmp_path / "data/weights.pth")


def test_a_configuration_without_a_checkpoint_has_none(tmp_path: Path) -> None:
    (tmp_path / "ckpttool.toml").write_text("")
    assert checkpoint_in(tmp_path) is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param('checkpont = "x"', "Did you mean checkpoint?", id="a key misspelt"),
        pytest.param("colour = 1", "no key colour", id="a key that is not ours"),
        pytest.param("checkpoint = 5", "not the path of a file", id="a number"),
        pytest.param('checkpoint = ""', "not the path of a file", id="an empty path"),
        pytest.param("checkpoint = ", "not valid TOML", id="no TOML"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "ckpttool.toml").write_text(text)
    with pytest.raises(UsageError, match=r"ckpttool\.toml") as caught:
        find_configuration(str(tmp_path))
    assert told in str(caught.value)


def test_a_table_that_is_none_is_said(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool]\nckpttool = 1\n")
    with pytest.raises(UsageError, match="not a table"):
        find_configuration(str(tmp_path))


def test_this_repository_names_the_checkpoint_of_the_demo() -> None:
    root = Path(__file__).parents[2]
    assert checkpoint_in(root) == str(Path("data/mae_pretrain_vit_large.pth"))
