"""A checkpoint as a mapping that a person uses."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Iterator

import pytest
import torch

from ckpttool import Checkpoint, TensorInfo, UsageError, open_checkpoint

# torch 2.0 warns of its own use of a class when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")

NAMES = ["norm.weight", "blocks.0.norm1.weight", "a<b>&\n"]


def saved(folder: Path, name: str = "model.pth") -> str:
    path = folder / name
    torch.save({name: torch.full((2,), float(at)) for at, name in enumerate(NAMES)}, path)
    return str(path)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Iterator[Checkpoint]:
    with open_checkpoint(saved(tmp_path)) as opened:
        yield opened


def test_it_is_a_mapping_in_the_order_of_the_file(checkpoint: Checkpoint) -> None:
    assert list(checkpoint) == list(checkpoint.keys()) == NAMES
    assert [info.name for info in checkpoint.values()] == NAMES
    assert dict(checkpoint) == dict(checkpoint.items()) == checkpoint.tensors
    assert (len(checkpoint), "norm.weight" in checkpoint, "norm" in checkpoint) == (3, True, False)
    info: TensorInfo = checkpoint["blocks.0.norm1.weight"]
    assert (info.numpy().tolist(), info.torch().tolist()) == ([1, 1], [1, 1])


def test_a_name_that_is_not_there_is_told_with_those_like_it(checkpoint: Checkpoint) -> None:
    with pytest.raises(KeyError, match=r"block\.0\.norm1\.weight.*there is 'blocks\.0\.norm1\.w"):
        checkpoint["block.0.norm1.weight"]
    with pytest.raises(KeyError) as nothing_like_it:
        checkpoint["zzz"]
    assert "there is" not in str(nothing_like_it.value)
    assert checkpoint.get("zzz") is None


def test_two_are_equal_only_if_they_are_one(checkpoint: Checkpoint, tmp_path: Path) -> None:
    with open_checkpoint(saved(tmp_path, "again.pth")) as other:
        assert len({checkpoint, other, checkpoint}) == 2
        assert checkpoint != other


def test_what_is_closed_says_so(checkpoint: Checkpoint) -> None:
    checkpoint.close()
    assert checkpoint["norm.weight"].shape == (2,)
    for read in (checkpoint["norm.weight"].numpy, checkpoint.check_unchanged):
        with pytest.raises(UsageError, match=r"model\.pth.*the file is closed.*with block"):
            read()


def test_it_is_shown_in_one_short_line(checkpoint: Checkpoint) -> None:
    assert repr(checkpoint) == f"Checkpoint({checkpoint.path!r}, 'torch-zip', 3 tensors)"
    assert repr(checkpoint["norm.weight"]) == "TensorInfo('norm.weight', float32, [2])"


def test_a_notebook_shows_the_first_tensors_and_nothing_of_a_name_is_markup(
    checkpoint: Checkpoint,
) -> None:
    html = checkpoint._repr_html_()
    assert "a&lt;b&gt;&amp;\\x0a" in html
    assert html.count("<tr>") == 1 + len(NAMES)
    info = checkpoint["norm.weight"]
    checkpoint.tensors.update({f"more.{number}": info for number in range(30)})
    assert "and 13 more tensors" in checkpoint._repr_html_()


def test_names_are_compared_only_for_an_error_that_is_shown(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched: list[str] = []

    def search(name: str, *_: object) -> list[str]:
        searched.append(name)
        return []

    monkeypatch.setattr("difflib.get_close_matches", search)
    assert checkpoint.get("norm") is None
    with pytest.raises(KeyError) as error:
        checkpoint["norm"]
    assert searched == []
    assert str(error.value) == str(pickle.loads(pickle.dumps(error.value)).args[0])
    assert searched == ["norm"] * 2


def test_a_copy_reads_the_file_that_was_opened(checkpoint: Checkpoint, tmp_path: Path) -> None:
    copied = copy.deepcopy(checkpoint)
    del copied
    with open_checkpoint(saved(tmp_path, "other.pth")):  # would get the number that was closed
        assert checkpoint["blocks.0.norm1.weight"].numpy().tolist() == [1, 1]
    with pytest.raises(TypeError, match="open file cannot be pickled"):
        pickle.dumps(checkpoint)
