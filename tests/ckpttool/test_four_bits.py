"""Four-bit floats: what torch counts in pairs and a header element by element is one tensor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from ckpttool import open_checkpoint
from ckpttool.comparison.diff import DiffOptions, diff_files
from ckpttool.comparison.result import Outcome
from ckpttool.conversion.convert import convert_file
from ckpttool.conversion.options import ConvertOptions
from ckpttool.findings.finding import Verdict
from ckpttool.tensors.dtypes import DTYPES, by_elements, by_pairs

PAIRS, FOUR_BITS = DTYPES["float4_e2m1fn_x2"], DTYPES["float4_e2m1"]
TORCH_TYPE: Any = getattr(torch, "float4_e2m1fn_x2", None)
needs_torch = pytest.mark.skipif(TORCH_TYPE is None, reason="this torch has no such type")


@pytest.mark.parametrize("shape", [(4, 4), (1,), (2, 1, 3), (0,), (8, 0), (0, 3)])
def test_pairs_and_elements_are_taken_for_each_other(shape: tuple[int, ...]) -> None:
    elements = (*shape[:-1], 2 * shape[-1])
    assert by_elements(PAIRS, shape) == (FOUR_BITS, elements)
    assert by_pairs(FOUR_BITS, elements) == (PAIRS, shape)


@pytest.mark.parametrize(
    ("dtype", "shape"), [("float4_e2m1", (2, 3)), ("float4_e2m1", ()), ("uint8", (4, 4))]
)
def test_what_is_in_no_pairs_stays_what_it_is(dtype: str, shape: tuple[int, ...]) -> None:
    assert (
        by_pairs(DTYPES[dtype], shape)
        == by_elements(DTYPES[dtype], shape)
        == (
            DTYPES[dtype],
            shape,
        )
    )


def written(folder: Path) -> tuple[Path, Path]:
    """The same tensor as torch and as the safetensors library write it."""
    packed = torch.arange(16, dtype=torch.uint8).view(4, 4).view(TORCH_TYPE)
    torch.save({"w": packed}, folder / "a.pth")
    save_file({"w": packed}, folder / "a.safetensors", metadata={"format": "pt"})
    return folder / "a.pth", folder / "a.safetensors"


@needs_torch
def test_both_files_hold_one_tensor(tmp_path: Path) -> None:
    facts = []
    for path in written(tmp_path):
        with open_checkpoint(str(path)) as checkpoint:
            facts.append([checkpoint.tensors["w"].dtype.name, checkpoint.tensors["w"].shape])
    assert facts == [["float4_e2m1", (4, 8)]] * 2
    pth, header = map(str, written(tmp_path))
    done = diff_files((pth, header), DiffOptions())
    assert done.outcome is Outcome.SAME


@needs_torch
@pytest.mark.parametrize("to", ["safetensors", "pth"])
def test_converted_it_is_what_the_library_makes_of_it(tmp_path: Path, to: str) -> None:
    pth, header = written(tmp_path)
    source, wanted = (pth, header) if to == "safetensors" else (header, pth)
    output = tmp_path / f"out.{to}"
    done = convert_file(str(source), str(output), ConvertOptions(to, output=str(output)))
    assert done.file.verdict is Verdict.PASS
    load = load_file if to == "safetensors" else torch.load
    ours, theirs = load(output)["w"], load(wanted)["w"]
    assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape) == (TORCH_TYPE, (4, 4))
    assert torch.equal(ours.view(torch.uint8), theirs.view(torch.uint8))


@needs_torch
def test_a_transposed_one_is_written_out(tmp_path: Path) -> None:
    packed = torch.arange(6, dtype=torch.uint8).view(2, 3).view(TORCH_TYPE)
    torch.save({"w": packed.t()}, tmp_path / "a.pth")
    output = tmp_path / "out.safetensors"
    options = ConvertOptions("safetensors", output=str(output))
    done = convert_file(str(tmp_path / "a.pth"), str(output), options)
    assert done.file.verdict is Verdict.PASS
    found = load_file(output)["w"]
    assert found.view(torch.uint8).tolist() == [[0, 3], [1, 4], [2, 5]]
