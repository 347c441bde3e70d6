"""What is said of a file that is of no known format."""

from __future__ import annotations

from pathlib import Path

import pytest

from ckpttool import open_checkpoint, rules
from ckpttool.errors import UnsupportedError

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 1213234688\n"


@pytest.mark.parametrize("name", ["a.pth", "model.safetensors", "model.safetensors.index.json"])
def test_a_pointer_of_git_lfs_is_called_one_whatever_it_stands_for(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_bytes(POINTER)
    with pytest.raises(UnsupportedError, match="git lfs pull") as caught:
        open_checkpoint(str(tmp_path / name))
    assert caught.value.rule is rules.UNKNOWN_FORMAT


def test_other_text_is_of_no_known_format(tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(b"version 2 of the weights")
    with pytest.raises(UnsupportedError, match="no known checkpoint format"):
        open_checkpoint(str(tmp_path / "a.pth"))
