"""``verify --stats`` and ``inspect(stats=True)``: what a whole file's statistics are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import ckpttool
from ckpttool.cli import main
from ckpttool.findings.results import FileReport
from ckpttool.findings.statistics import Statistics
from tests.builders import checkpoints, extras, schemas
from tests.builders.commands import runner


def check(found: Statistics, weights: dict[str, torch.Tensor]) -> None:
    assert [one.name for one in found.tensors] == list(weights)
    for one, weight in zip(found.tensors, weights.values()):
        assert one.shape == tuple(weight.shape)
        assert (one.min, one.max) == (weight.min().item(), weight.max().item())
        assert one.mean == pytest.approx(weight.double().mean().item(), abs=1e-7)
        assert one.std == pytest.approx(weight.double().std(unbiased=False).item(), rel=1e-6)
        assert one.zeros == (weight == 0).sum().item()


def statistics(file: FileReport) -> Statistics:
    assert file.statistics is not None
    return file.statistics


def test_verify_measures_what_torch_measures(tmp_path: Path, tiny: str) -> None:
    path = checkpoints.saved(tmp_path, checkpoints.sound)
    report = ckpttool.verify(path, model=tiny, forward=False, stats=True)
    found = statistics(report.files[0])
    check(found, checkpoints.state())
    assert {one.group for one in found.tensors} == {"encoder", "decoder"}
    blocks = [one.block for one in found.blocks if one.group == "encoder"]
    assert blocks == [None, *range(len(blocks) - 1)]


def test_inspect_measures_the_same_under_the_names_of_the_file(tmp_path: Path) -> None:
    weights = checkpoints.state()
    path = checkpoints.saved(
        tmp_path, lambda: {f"module.{name}": one for name, one in weights.items()}
    )
    found = statistics(ckpttool.inspect(path, stats=True).file)
    check(found, {f"module.{name}": one for name, one in weights.items()})
    (one,) = (one for one in found.tensors if one.name == "module.blocks.1.norm1.bias")
    assert (one.group, one.block, one.role) == ("encoder", 1, "norm1.bias")


def test_parts_that_the_model_joins_keep_their_own_roles(tmp_path: Path) -> None:
    source = checkpoints.saved(tmp_path, checkpoints.sound)
    path = tmp_path / "model.safetensors"
    ckpttool.convert(source, path, to="safetensors", layout="hf")
    found = statistics(ckpttool.inspect(path, stats=True).file)
    roles = [
        one.role
        for one in found.tensors
        if (one.group, one.block) == ("encoder", 0) and "query.weight" in one.role
    ]
    assert roles == ["attention.attention.query.weight"]
    verified = statistics(ckpttool.verify(path, forward=False, stats=True).files[0])
    assert "attn.qkv.weight" in {one.role for one in verified.tensors}


def test_a_model_that_is_not_known_has_its_stacks(tmp_path: Path) -> None:
    weights = {f"layers.{at}.w": torch.ones(2) for at in range(3)}
    path = checkpoints.saved(tmp_path, lambda: weights)
    report = ckpttool.verify(path, schema="none", stats=True)
    assert [one[3:6] for one in statistics(report.files[0]).tensors] == [
        ("layers", at, "w") for at in range(3)
    ]


def test_nothing_is_gathered_unasked(tmp_path: Path) -> None:
    path = checkpoints.saved(tmp_path, checkpoints.sound)
    assert ckpttool.verify(path, forward=False).files[0].statistics is None
    listing = ckpttool.inspect(path)
    assert listing.statistics is None
    assert "statistics" not in listing.to_dict()["files"][0]


def json_of(*arguments: str) -> Any:
    result = runner().invoke(main, [*arguments, "--format", "json"])
    schemas.check_json(result.stdout, schemas.closed(schemas.own(arguments[0])))
    return json.loads(result.stdout)


@pytest.mark.parametrize("content", [checkpoints.sound, checkpoints.hostile_name])
def test_the_documents_have_them(tmp_path: Path, tiny: str, content: Any) -> None:
    path = checkpoints.saved(tmp_path, content)
    document = json_of("verify", "--model", tiny, "--no-forward", "--stats", path)
    (file,) = document["files"]
    assert len(file["statistics"]["tensors"]) == file["tensors"]
    assert "statistics" not in json_of("verify", "--no-forward", path)["files"][0]


def test_a_page_with_charts_gathers_them(tmp_path: Path) -> None:
    extras.pages()
    path = checkpoints.saved(tmp_path, checkpoints.sound)
    reports = ["--report", f"html={tmp_path / 'a.html'}", "--report", f"json={tmp_path / 'a.json'}"]
    runner().invoke(main, ["verify", "--no-forward", path, *reports])
    assert "statistics" in json.loads((tmp_path / "a.json").read_text())["files"][0]


def test_what_is_not_finite_is_counted_apart(tmp_path: Path) -> None:
    weights = checkpoints.state()
    weights["cls_token"].view(-1)[:3] = torch.tensor([float("nan"), float("inf"), 0.0])
    path = checkpoints.saved(tmp_path, lambda: weights)
    found = statistics(ckpttool.verify(path, forward=False, stats=True).files[0])
    one = found.tensors[list(weights).index("cls_token")]
    assert (one.nan, one.infinite, one.unmeasured) == (1, 1, None)
    assert one.zeros is not None
    assert one.zeros >= 1
    rest = weights["cls_token"].view(-1)[3:]
    assert one.max == max(rest.max().item(), 0.0)


def test_a_file_that_is_cut_short_is_a_finding(tmp_path: Path) -> None:
    path = Path(checkpoints.saved(tmp_path, checkpoints.sound, "a.safetensors"))
    path.write_bytes(path.read_bytes()[:-5])
    listing = ckpttool.inspect(path, stats=True)
    assert (listing.exit_code, listing.statistics) == (1, None)
