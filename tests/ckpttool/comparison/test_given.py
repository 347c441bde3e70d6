"""Names that no table knows are paired by what the caller says of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from click.testing import Result

from ckpttool.cli import main
from ckpttool.comparison.diff import diff
from ckpttool.comparison.result import Comparison, Outcome
from ckpttool.conversion.convert import convert
from ckpttool.findings.errors import UsageError
from ckpttool.verification.locking import lock
from mae.config import CONFIGS
from tests.builders import checkpoints
from tests.builders.commands import runner
from tests.builders.sizes import TINY

LEFT = {"net.0.w": torch.ones(2, 2), "net.1.w": torch.zeros(2, 2), "same": torch.ones(3)}
RIGHT = {"body.0.weight": torch.ones(2, 2), "body.1.weight": torch.ones(2, 2), "same": LEFT["same"]}
MAP = {"net.{n}.w": "body.{n}.weight"}


def saved(folder: Path, state: object, name: str) -> Path:
    torch.save(state, folder / name)
    return folder / name


def compared(folder: Path, **options: Any) -> Comparison:
    left, right = saved(folder, LEFT, "left.pth"), saved(folder, RIGHT, "right.pth")
    return diff(left, right, **options)


def test_names_that_are_mapped_are_compared_by_value(tmp_path: Path) -> None:
    result = compared(tmp_path, map=MAP)
    kinds = {one.name: one.kind.value for one in result.tensors}
    assert kinds == {"body.0.weight": "identical", "body.1.weight": "changed", "same": "identical"}
    first = result.tensors[0]
    assert first.left is not None
    assert first.right is not None
    assert (first.left.names, first.right.names) == (("net.0.w",), ("body.0.weight",))


def test_without_a_map_they_have_no_partner(tmp_path: Path) -> None:
    kinds = sorted(one.kind.value for one in compared(tmp_path).tensors)
    assert kinds == ["identical", "only-left", "only-right", "renamed"]


def test_equal_files_are_the_same_once_their_names_are_mapped(tmp_path: Path) -> None:
    left = saved(tmp_path, {"a.x": LEFT["same"]}, "left.pth")
    right = saved(tmp_path, {"b.x": LEFT["same"]}, "right.pth")
    assert diff(left, right, map={"a.*": "b.*"}).outcome is Outcome.SAME


def test_patterns_of_names_match_either_side(tmp_path: Path) -> None:
    for pattern in ("net.1.*", "body.1.*"):
        result = compared(tmp_path, map=MAP, exclude=(pattern,))
        assert (result.outcome, result.excluded) == (Outcome.SAME, 1)


def test_a_map_may_make_a_layout_recognisable(tmp_path: Path) -> None:
    state = checkpoints.state()
    left = saved(tmp_path, {f"my~{name}": tensor for name, tensor in state.items()}, "left.pth")
    right = saved(tmp_path, state, "right.pth")
    convert(right, tmp_path / "hf.safetensors", to="safetensors", layout="hf", sync=False)
    result = diff(left, tmp_path / "hf.safetensors", map={"my~*": "*"})
    assert result.outcome is Outcome.SAME
    fused = next(one for one in result.tensors if one.name == "blocks.0.attn.qkv.bias")
    assert fused.left is not None
    assert fused.left.names == ("my~blocks.0.attn.qkv.bias",)


def test_a_receipt_and_a_lock_file_are_mapped_too(tmp_path: Path) -> None:
    left = saved(tmp_path, {f"my~{n}": t for n, t in checkpoints.state().items()}, "left.pth")
    right = saved(tmp_path, checkpoints.state(), "right.pth")
    receipt, locked = tmp_path / "receipt.json", tmp_path / "a.lock"
    convert(left, tmp_path / "out.pth", to="pth", receipt=receipt, sync=False)
    with mock.patch.dict(CONFIGS, tiny=TINY):
        lock(right, locked, forward=False)
    for one, other in ((receipt, right), (left, locked), (receipt, locked)):
        result = diff(one, other, map={"my~*": "*"}, weights_only=True)
        assert result.outcome is Outcome.SAME, result.findings


@pytest.mark.parametrize(
    ("given", "told"),
    [
        pytest.param({"nt.*": "*"}, "left file matches", id="nothing matches"),
        pytest.param({"net.0.w": "x", "net.1.w": "x"}, "compared with x", id="two of one"),
        pytest.param({"net.0.w": "same"}, "compared with same", id="one that is there"),
        pytest.param({"net.*": "*.*"}, "same wildcards", id="wildcards"),
        pytest.param({"net.*": 3}, "map", id="no text"),
        pytest.param("net.*", "map", id="no mapping"),
    ],
)
def test_a_map_that_cannot_be_meant_is_refused(tmp_path: Path, given: Any, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        compared(tmp_path, map=given)


def run(*arguments: str) -> Result:
    return runner().invoke(main, ["diff", *arguments])


def test_the_option_says_the_same(tmp_path: Path) -> None:
    left, right = saved(tmp_path, LEFT, "left.pth"), saved(tmp_path, RIGHT, "right.pth")
    result = run(str(left), str(right), "--map", "net.{n}.w=body.{n}.weight")
    assert result.exit_code == 1
    assert " tensors changed" in result.output
    assert run(str(left), str(right), "--map", "net").exit_code == 2
