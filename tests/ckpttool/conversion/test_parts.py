"""Tensors that are more than bytes, written as their parts: torch makes the same of them again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

import ckpttool
from ckpttool.conversion.result import NOT_WRITTEN, WRITTEN
from ckpttool.findings.errors import UsageError
from tests.builders import checkpoints, in_parts
from tests.builders.repository import ROOT

if TYPE_CHECKING:
    from ckpttool.conversion.result import Conversion

# torch warns of layouts that are in beta, and torch 2.0 of its own use of a class.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Sparse:UserWarning"),
    pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning"),
    pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning"),
]

TORCHAO = ROOT / "tests" / "fixtures" / "torchao-0.18.0"


def run(folder: Path, content: dict[str, torch.Tensor], **options: Any) -> Conversion:
    source = checkpoints.saved(folder, lambda: content)
    options = {"to": "safetensors", "parts": True, "sync": False, **options}
    return ckpttool.convert(source, folder / f"out.{options['to']}", **options)


def facts_in(path: str | None) -> dict[str, Any]:
    assert path is not None
    with safe_open(path, "pt") as file:
        return dict(json.loads(file.metadata()["ckpttool.parts"]))


def test_quantized_tensors_are_made_again_of_codes_and_scales(tmp_path: Path) -> None:
    content = in_parts.quantized()
    converted = run(tmp_path, in_parts.holding(content))
    assert converted.state == WRITTEN, converted.findings
    written, facts = load_file(str(converted.result)), facts_in(converted.result)
    assert torch.equal(written["plain"], in_parts.WEIGHT)
    for name, tensor in content.items():
        fact = facts[name]
        part = {key: written[at] for key, at in fact["parts"].items()}
        assert (fact["dtype"], fact["shape"]) == (str(tensor.dtype)[6:], list(tensor.shape))
        if fact["facts"]["qscheme"] == "per_tensor_affine":
            scale, point = part["scale"].item(), part["zero_point"].item()
            again = torch._make_per_tensor_quantized_tensor(part["int_repr"], scale, int(point))
        else:
            axis = int(part["axis"])
            again = torch._make_per_channel_quantized_tensor(
                part["int_repr"], part["scales"], part["zero_points"], axis
            )
        assert again.dtype == tensor.dtype
        assert torch.equal(again.int_repr(), tensor.int_repr())
        assert torch.equal(again.dequantize(), tensor.dequantize())


_SPARSE = {
    "sparse_csr": ("crow_indices", "col_indices", torch.sparse_csr),
    "sparse_csc": ("ccol_indices", "row_indices", torch.sparse_csc),
    "sparse_bsr": ("crow_indices", "col_indices", torch.sparse_bsr),
    "sparse_bsc": ("ccol_indices", "row_indices", torch.sparse_bsc),
}


@pytest.mark.parametrize("keep_aliases", [False, True])
def test_sparse_tensors_are_made_again(tmp_path: Path, keep_aliases: bool) -> None:
    content = in_parts.sparse()
    converted = run(tmp_path, in_parts.holding(content), keep_aliases=keep_aliases)
    assert converted.state == WRITTEN, converted.findings
    written, facts = load_file(str(converted.result)), facts_in(converted.result)
    for name, tensor in content.items():
        fact = facts[name]
        part = {key: written[at] for key, at in fact["parts"].items()}
        if fact["facts"]["layout"] == "sparse_coo":
            again = torch.sparse_coo_tensor(part["indices"], part["values"], fact["shape"])
            if "is_coalesced" in fact["facts"]:  # torch 2.0 does not write it
                again = again.coalesce() if fact["facts"]["is_coalesced"] else again
                assert again.is_coalesced() == tensor.is_coalesced()
        else:
            one, other, layout = _SPARSE[fact["facts"]["layout"]]
            again = torch.sparse_compressed_tensor(
                part[one], part[other], part["values"], fact["shape"], layout=layout
            )
        assert again.layout == tensor.layout
        assert torch.equal(again.to_dense(), tensor.to_dense())


@pytest.mark.skipif(not hasattr(torch, "float8_e4m3fn"), reason="this torch has no such type")
@pytest.mark.parametrize("name", ["int8", "int8_dynamic", "float8", "intx"])
def test_parts_of_torchao_are_enough_to_compute_its_numbers(tmp_path: Path, name: str) -> None:
    expected = load_file(TORCHAO / f"{name}.expected.safetensors")
    target = tmp_path / "a.safetensors"
    converted = ckpttool.convert(TORCHAO / f"{name}.pt", target, to="safetensors", parts=True)
    written, fact = load_file(target), facts_in(str(target))["0.weight"]
    assert converted.verdict.value == "pass"
    for key, at in fact["parts"].items():
        assert torch.equal(written[at].view(torch.uint8), expected[key].view(torch.uint8))
    scale = written["0.weight.scale"].float()
    numbers = (written["0.weight.qdata"].float() * scale).to(torch.bfloat16)
    assert torch.allclose(numbers, expected["dequantized"], atol=1e-2)
    assert fact["class"].startswith("torchao.quantization.")
    assert fact["attributes"].keys() >= {"block_size"}


def test_without_the_option_they_are_refused_and_it_is_named(tmp_path: Path) -> None:
    converted = run(tmp_path, in_parts.holding(in_parts.quantized()), parts=False)
    assert converted.state == NOT_WRITTEN
    (problem,) = (one for one in converted.findings if one.rule.code == "STR011")
    assert problem.fix is not None
    assert problem.fix.startswith("--parts ")
    assert converted.in_parts == ()


def test_one_without_parts_is_refused_with_the_option_too(tmp_path: Path) -> None:
    converted = run(tmp_path, in_parts.holding({"x": in_parts.in_four_bits()}))
    assert converted.state == NOT_WRITTEN
    (problem,) = (one for one in converted.findings if one.rule.code == "STR011")
    assert "--parts" not in (problem.fix or "")


def test_a_part_that_has_the_name_of_another_tensor_is_refused(tmp_path: Path) -> None:
    content = {"x": in_parts.quantized()["qint8"], "x.scale": in_parts.WEIGHT}
    converted = run(tmp_path, content)
    assert converted.state == NOT_WRITTEN
    assert any("another tensor has the name" in one.message for one in converted.findings)
    assert run(tmp_path, content, exclude="x.scale").state == NOT_WRITTEN


def test_the_option_is_refused_where_there_is_no_such_tensor(tmp_path: Path) -> None:
    converted = run(tmp_path, {"plain": in_parts.WEIGHT})
    assert converted.exit_code == 2
    assert "made of parts" in converted.findings[0].message


def test_parts_are_not_cast(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not cast"):
        run(tmp_path, in_parts.holding(), dtype="float16")


def test_a_pth_says_what_it_cannot_hold_unless_a_receipt_does(tmp_path: Path) -> None:
    content = in_parts.holding({"x": in_parts.quantized()["qint8"]})
    converted = run(tmp_path, content, to="pth")
    assert [one.rule.code for one in converted.findings] == ["STR011"]
    loaded = torch.load(str(converted.result))
    assert torch.equal(loaded["x.int_repr"], content["x"].int_repr())
    receipt = tmp_path / "receipt.json"
    told = run(tmp_path, content, to="pth", receipt=receipt, force=True)
    assert told.findings == ()
    (one,) = json.loads(receipt.read_text())["in_parts"]
    assert (one["name"], one["dtype"], one["shape"]) == ("x", "qint8", [3, 4])


def test_parts_under_other_names_are_told_by_these(tmp_path: Path) -> None:
    content = in_parts.holding({"x": in_parts.quantized()["qint8"]})
    converted = run(tmp_path, content, rename={"x.*": "y.*"}, exclude="x.zero_point")
    assert facts_in(converted.result)["x"]["parts"] == {
        "int_repr": "y.int_repr",
        "scale": "y.scale",
        "zero_point": None,
    }


def test_two_that_share_their_codes_store_them_once(tmp_path: Path) -> None:
    tensor = in_parts.quantized()["qint8"]
    converted = run(tmp_path, {"x": tensor, "y": tensor})
    assert converted.state == WRITTEN
    assert converted.tied == {"y.int_repr": "x.int_repr"}
