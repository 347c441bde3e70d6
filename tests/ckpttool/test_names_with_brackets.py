"""A name with the characters of a glob in it, typed as it is, stands for itself in every option."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ckpttool import convert, diff, open_checkpoint
from ckpttool.comparison.result import Outcome
from ckpttool.findings.patterns import matches, matches_glob
from ckpttool.findings.uses import NameUse, Use
from ckpttool.formats.safety.telling import is_trusted
from ckpttool.inputs.folders import matching
from ckpttool.verification.waivers import settle
from tests.builders.checkpoints import saved
from tests.builders.policies import TODAY, file_with, nan, waiver

NAME = "layer[0].w"
# what the name matches as a glob
OTHER = "layer0.w"

pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")


def both(folder: Path, value: float = 1.0) -> str:
    state = {NAME: torch.full((2,), value), OTHER: torch.ones(3), "b": torch.ones(4)}
    return saved(folder, lambda: state)


@pytest.mark.parametrize("match", [matches_glob, matches])
def test_a_pattern_is_the_name_or_a_glob(match: object) -> None:
    assert callable(match)
    assert match(NAME, NAME)
    assert match(NAME, OTHER)
    assert match("layer[[]*.w", NAME)
    assert not match(NAME, "layer1.w")
    assert not match("B", "b")


def test_diff_includes_and_excludes_it(tmp_path: Path) -> None:
    folders = (tmp_path / "one", tmp_path / "two")
    for folder in folders:
        folder.mkdir()
    left, right = both(folders[0]), both(folders[1], 2.0)
    included = diff(left, right, include=NAME)
    assert {one.left and one.left.names for one in included.tensors} == {(NAME,), (OTHER,)}
    assert diff(left, right).outcome is Outcome.DIFFERENT
    assert diff(left, right, exclude=NAME).outcome is Outcome.SAME


def test_convert_includes_and_excludes_it(tmp_path: Path) -> None:
    source, out = both(tmp_path), tmp_path / "x.safetensors"
    convert(source, out, to="safetensors", include=NAME)
    with open_checkpoint(out) as checkpoint:
        assert set(checkpoint) == {NAME, OTHER}
    convert(source, out, to="safetensors", exclude=NAME, force=True)
    with open_checkpoint(out) as checkpoint:
        assert set(checkpoint) == {"b"}


def test_convert_keeps_it(tmp_path: Path) -> None:
    weight = torch.ones(2)
    path = saved(tmp_path, lambda: {"layer.w": weight, NAME: weight})
    done = convert(path, tmp_path / "x.safetensors", to="safetensors", keep=NAME)
    assert done.tied == {"layer.w": NAME}


def test_a_waiver_covers_it() -> None:
    given = waiver(tensors=NAME, path="w[1].pth")
    assert settle(file_with(nan(NAME), path="w[1].pth"), [given], TODAY).used == {given}


def test_a_name_of_code_is_trusted_by_it() -> None:
    assert is_trusted(NameUse(Use.CALL, "pkg.a[0]", "pkg.a[0]()", None, 0, 1), ["pkg.a[0]"])


def test_a_file_is_left_out_by_it() -> None:
    assert matching(["./w[1].pth"], "runs/w[1].pth") == "./w[1].pth"
