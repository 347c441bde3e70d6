"""``diff --stats``: each side's statistics are those that the file has alone, in the same bins."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import ckpttool
from ckpttool.cli import main
from ckpttool.comparison.result import DiffKind
from ckpttool.findings.statistics import Statistics
from tests.builders import schemas
from tests.builders.commands import runner


def left() -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=random)

    mixed = normal(700, 1000)
    odd = normal(200, 200)
    odd[0, :3] = torch.tensor([float("nan"), float("inf"), 0.0])
    return {
        "blocks.0.equal": normal(300, 200),
        "blocks.0.mixed": mixed,
        "blocks.1.changed": normal(300, 400) + 1,
        "blocks.1.odd": odd,
        "blocks.2.cast": normal(200, 300),
        "blocks.2.small": normal(7),
        "blocks.2.small_equal": normal(7),
        "blocks.2.medium": normal(3000),
        "head.shape": normal(4),
        "head.alone": normal(5),
        "head.named": torch.arange(40.0),
        "ids": torch.arange(20_000),
        "complex": torch.complex(normal(3), normal(3)),
        "empty": torch.empty(0, 3),
    }


def right() -> dict[str, torch.Tensor]:
    made = left()
    made["blocks.0.mixed"][300:] *= 2
    made["blocks.1.changed"] *= 1.5
    made["blocks.1.odd"][5] = float("-inf")
    made["blocks.2.cast"] = made["blocks.2.cast"].bfloat16()
    made["blocks.2.small"] += 1
    made["blocks.2.medium"] -= 1
    made["head.shape"] = torch.ones(5)
    made["head.other_name"] = made.pop("head.named")
    del made["head.alone"]
    made["ids"] += 1
    return made


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    # by torch: the oldest safetensors cannot write complex numbers
    paths = str(tmp_path / "left.pth"), str(tmp_path / "right.pth")
    for path, made in zip(paths, (left(), right())):
        torch.save(made, path)
    return paths


def compared(files: tuple[str, str], workers: int | None = None) -> list[Statistics]:
    comparison = ckpttool.diff(*files, stats=True, workers=workers)
    found = [side.statistics for side in (comparison.left, comparison.right)]
    assert found[0] is not None
    assert found[1] is not None
    return [one for one in found if one is not None]


def test_each_side_has_the_statistics_that_it_has_alone(files: tuple[str, str]) -> None:
    renamed = {"head.other_name": "head.named"}
    for path, found in zip(files, compared(files)):
        alone = ckpttool.inspect(path, stats=True).statistics
        assert alone is not None
        by_name = {renamed.get(one.name, one.name): one for one in alone.tensors}
        assert by_name.keys() == {one.name for one in found.tensors}
        for one in found.tensors:
            other = by_name[one.name]
            assert one[1:5] + one[6:9] == other[1:5] + other[6:9]
            assert (one.zeros, one.nan, one.infinite) == (other.zeros, other.nan, other.infinite)
            assert one.unmeasured == other.unmeasured
            for here, there in zip(one[9:12], other[9:12]):
                assert here == (None if there is None else pytest.approx(there, rel=1e-5, abs=1e-7))


def test_a_tensor_has_the_same_bins_on_both_sides(files: tuple[str, str]) -> None:
    one, other = compared(files)
    theirs = {tensor.name: tensor.histogram for tensor in other.tensors}
    for tensor in one.tensors:
        twin = theirs.get(tensor.name)
        if tensor.histogram is not None and twin is not None:
            assert tensor.histogram[:2] == twin[:2]
    assert [block.histogram[:2] for block in one.blocks] == [
        block.histogram[:2] for block in other.blocks
    ]


def test_equal_tensors_have_equal_statistics(files: tuple[str, str]) -> None:
    one, other = ({tensor.name: tensor for tensor in side.tensors} for side in compared(files))
    for name in ("blocks.0.equal", "blocks.2.small_equal", "complex"):
        assert one[name] == other[name]


def test_any_number_of_workers_gives_the_same(
    files: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ckpttool.comparison.numbers.stretches._TASK", 1 << 16)
    assert compared(files, 1) == compared(files, 3)


def test_exchanging_the_sides_exchanges_the_statistics(files: tuple[str, str]) -> None:
    one, other = compared(files)
    back, forth = compared((files[1], files[0]))
    assert {tensor.name: tensor.max for tensor in one.tensors if tensor.name != "head.named"} == {
        tensor.name: tensor.max for tensor in forth.tensors if tensor.name != "head.other_name"
    }
    assert len(other.tensors) == len(back.tensors)


def test_the_comparison_is_the_same_with_and_without(files: tuple[str, str]) -> None:
    plainly, measured = ckpttool.diff(*files), ckpttool.diff(*files, stats=True)
    assert plainly.tensors == measured.tensors
    assert plainly.left.statistics is None
    kinds = {tensor.name: tensor.kind for tensor in measured.tensors}
    assert kinds["head.named"] is DiffKind.RENAMED


def test_what_lies_beside_the_weights_has_none(tmp_path: Path) -> None:
    paths = []
    for number in (1, 2):
        content = {"model": {"w": torch.ones(3)}, "optimizer": {"m": torch.ones(3) * number}}
        paths.append(str(tmp_path / f"{number}.pth"))
        torch.save(content, paths[-1])
    comparison = ckpttool.diff(*paths, stats=True)
    assert comparison.left.statistics is not None
    assert [one.name for one in comparison.left.statistics.tensors] == ["w"]
    assert comparison.beside


def test_the_document_has_them(files: tuple[str, str]) -> None:
    result = runner().invoke(main, ["diff", *files, "--stats", "--format", "json"])
    schemas.check_json(result.stdout, schemas.closed(schemas.own("diff")))
    document = json.loads(result.stdout)
    assert len(document["right"]["statistics"]["tensors"]) == len(right())


def test_a_file_that_is_cut_short_is_a_finding(files: tuple[str, str]) -> None:
    Path(files[1]).write_bytes(Path(files[1]).read_bytes()[:-7])
    comparison = ckpttool.diff(*files, stats=True)
    assert (comparison.exit_code, comparison.right.statistics) == (2, None)


@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")
def test_tied_tensors_have_the_same_statistics(tmp_path: Path) -> None:
    paths = str(tmp_path / "left.pth"), str(tmp_path / "right.pth")
    weight = torch.randn(600, 700, generator=torch.Generator().manual_seed(0))
    for path in paths:
        torch.save({"embedding": weight, "head": weight}, path)
        weight[300] += 1
    for side in compared(paths):
        first, second = side.tensors
        assert second._replace(name=first.name, role=first.role) == first
