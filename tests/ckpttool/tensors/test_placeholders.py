"""A file whose weights have no elements is an error to every reader; a few empty ones are not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Callable

import pytest
import torch
from safetensors.numpy import save_file

from ckpttool import open_checkpoint
from ckpttool.conversion.convert import convert_file
from ckpttool.conversion.options import ConvertOptions
from ckpttool.conversion.result import Conversion
from ckpttool.findings.finding import Verdict
from ckpttool.tensors.placeholders import placeholders
from ckpttool.verification.options import VerifyOptions
from ckpttool.verification.run import verify_file
from tests.builders import zero3

# torch 2.0 warns of its own use of a class when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")


def saved(folder: Path, content: object) -> str:
    path = folder / "in.pth"
    torch.save(content, path)
    return str(path)


def convert(path: str, to: str, **options: object) -> Conversion:
    chosen = ConvertOptions(to, sync=False)._replace(**options)  # type: ignore[arg-type]
    return convert_file(path, str(Path(path).with_name(f"out.{to}")), chosen)


@pytest.mark.parametrize("build", zero3.STUBS.values(), ids=list(zero3.STUBS))
@pytest.mark.parametrize("to", ["safetensors", "pth"])
@pytest.mark.parametrize("dry", [False, True])
def test_nothing_is_written_of_nothing(
    tmp_path: Path, build: Callable[[], object], to: str, dry: bool
) -> None:
    found = convert(saved(tmp_path, build()), to, dry_run=dry)
    assert (found.state, found.file.verdict) == ("not-written", Verdict.FAIL)
    assert found.file.findings[0].rule.code == "STR015"
    assert re.search("convert FOLDER|zero_to_fp32", found.file.findings[0].fix or "")
    assert [path.name for path in tmp_path.iterdir()] == ["in.pth"]


@pytest.mark.parametrize("build", zero3.STUBS.values(), ids=list(zero3.STUBS))
def test_verify_calls_it_an_error(tmp_path: Path, build: Callable[[], object], tiny: str) -> None:
    options = VerifyOptions(model=tiny, forward=False)
    found = verify_file(saved(tmp_path, build()), options)
    assert found.verdict is Verdict.FAIL
    assert "STR015" in [one.rule.code for one in found.findings]


@pytest.mark.parametrize("build", zero3.HONEST.values(), ids=list(zero3.HONEST))
@pytest.mark.parametrize("to", ["safetensors", "pth"])
def test_a_few_empty_tensors_are_converted(
    tmp_path: Path, build: Callable[[], zero3.State], to: str
) -> None:
    found = convert(saved(tmp_path, build()), to)
    assert (found.state, found.file.findings) == ("written", ())
    with open_checkpoint(str(found.destination)) as checkpoint:
        shapes = {name: info.shape for name, info in checkpoint.tensors.items()}
    assert shapes == {name: tuple(tensor.shape) for name, tensor in build().items()}


@pytest.mark.parametrize("build", zero3.HONEST.values(), ids=list(zero3.HONEST))
def test_verify_says_nothing_of_a_few(
    tmp_path: Path, build: Callable[[], object], tiny: str
) -> None:
    options = VerifyOptions(model=tiny, forward=False)
    found = verify_file(saved(tmp_path, build()), options)
    assert "STR015" not in [one.rule.code for one in found.findings]


def test_a_safetensors_file_of_placeholders_is_none_the_better(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    # by way of numpy: old releases take tensors without elements for one that is shared
    save_file({name: tensor.numpy() for name, tensor in zero3.stub().items()}, str(path))
    found = convert(str(path), "pth")
    assert [one.rule.code for one in found.file.findings] == ["STR015"]
    assert "FSDP" in (found.file.findings[0].fix or "")  # nothing says who sharded it


def test_what_is_taken_counts(tmp_path: Path) -> None:
    path = saved(tmp_path, {**zero3.one_left(), "whole": torch.ones(4)})
    assert convert(path, "pth", exclude=("layer.*",)).state == "written"
    (found,) = convert(path, "safetensors", include=("layer.*",)).file.findings
    assert "all 6 tensors" in found.message


def test_the_advice_is_not_of_sharding_where_the_patterns_left_nothing(tmp_path: Path) -> None:
    path = saved(tmp_path, zero3.a_few_empty())
    (found,) = convert(path, "safetensors", include=("unused",)).file.findings
    assert "the one tensor has no elements" in found.message
    assert found.fix == "Convert more of the tensors: check --include and --exclude."


def test_no_tensor_at_all_is_another_matter() -> None:
    assert placeholders({}) == ()
