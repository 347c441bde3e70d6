"""Models that the quantizers themselves wrote have no finding, and one defect is named exactly."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

import ckpttool
from ckpttool.findings.finding import Finding
from ckpttool.findings.results import FileReport
from tests.builders.repository import FIXTURES

FOLDERS = sorted(path.name for path in (FIXTURES / "quantized-models").iterdir() if path.is_dir())

SCHEMES = {
    "auto-gptq": "GPTQ",
    "autoawq": "AWQ",
    "bitsandbytes-int8": "LLM.int8 of bitsandbytes",
    "bitsandbytes": "nf4 or fp4 of bitsandbytes",
    "float-quantized": "fp8 with scales",
    "int-quantized": "int8 with scales",
    "mxfp4": "MXFP4",
    "mxfp8": "fp8 with scales",
    "nvfp4": "NVFP4",
    "pack-quantized": "integers packed in 32 bits, of compressed-tensors",
    "torchao": "torchao",
}

Change = Callable[[Dict[str, torch.Tensor], Dict[str, Any]], object]


def report_of(path: Path, **options: Any) -> FileReport:
    (report,) = ckpttool.verify(str(path / "model.safetensors"), **options).files
    return report


def told(report: FileReport) -> List[Finding]:
    return [one for one in report.findings if one.rule.letters in ("STR", "QNT", "NUM")]


def changed(folder: Path, name: str, change: Change) -> FileReport:
    """Verify a fixture after one change of its tensors or its config.json."""
    source, target = FIXTURES / "quantized-models" / name, folder / name
    shutil.copytree(source, target)
    path, beside = target / "model.safetensors", target / "config.json"
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
        tensors = {key: file.get_tensor(key) for key in list(file.keys())}
    config = json.loads(beside.read_text())
    change(tensors, config)
    save_file(tensors, path, metadata=metadata)
    beside.write_text(json.dumps(config))
    return report_of(target, schema="none")


@pytest.mark.parametrize("name", FOLDERS)
def test_what_a_quantizer_wrote_has_no_finding(name: str) -> None:
    report = report_of(FIXTURES / "quantized-models" / name, schema="none")
    assert [one for one in told(report) if one.rule.code != "NUM005"] == []  # norms of ones
    scheme = next(scheme for start, scheme in SCHEMES.items() if name.startswith(start))
    assert report.quantized == f"7 weights: {scheme}, as config.json says"


@pytest.mark.parametrize("name", FOLDERS)
def test_what_a_quantizer_wrote_is_complete_by_its_config(name: str) -> None:
    pytest.importorskip("transformers")
    report = report_of(FIXTURES / "quantized-models" / name, schema="hf")
    assert [one for one in told(report) if one.rule.code != "NUM005"] == []
    assert report.coverage is not None
    assert all(group.complete for group in report.coverage.groups.values())
    assert sum(group.matched for group in report.coverage.groups.values()) == 12


UP = "model.layers.0.mlp.up_proj"


def without(name: str) -> Change:
    return lambda tensors, _: tensors.pop(name)


def put(name: str, make: Callable[[torch.Tensor], torch.Tensor]) -> Change:
    return lambda tensors, _: tensors.update({name: make(tensors[name])})


def no_longer_configured(_: Any, config: Dict[str, Any]) -> None:
    del config["quantization_config"]


DEFECTS = [
    ("torchao-int8", without(f"{UP}._weight_scale"), "QNT001"),
    ("torchao-int8", without(f"{UP}._weight_qdata"), "QNT002"),
    ("torchao-fp8", put(f"{UP}._weight_scale", lambda one: one[:-1].contiguous()), "QNT003"),
    ("torchao-int4-in-bytes", put(f"{UP}._weight_qdata", lambda one: one * 8), "QNT007"),
    ("torchao-fp8", no_longer_configured, "QNT011"),
    ("bitsandbytes-nf4-nested", without(f"{UP}.weight.nested_quant_map"), "QNT001"),
    ("bitsandbytes-nf4-in-bfloat16", put(f"{UP}.weight", lambda one: one[:-1].clone()), "QNT012"),
    ("bitsandbytes-fp4", put(f"{UP}.weight.absmax", lambda one: one[1:].clone()), "QNT003"),
    ("float-quantized-static", without(f"{UP}.input_scale"), "QNT001"),
    ("float-quantized-blocks", put(f"{UP}.weight_scale", lambda one: one.int()), "QNT004"),
    ("pack-quantized-3-bits", without(f"{UP}.weight_zero_point"), "QNT001"),
    ("nvfp4", put(f"{UP}.weight_scale", lambda one: one.bfloat16()), "QNT004"),
    ("mxfp8", put(f"{UP}.weight_scale", lambda one: one | 255), "QNT005"),
    ("auto-gptq-3-bits", put(f"{UP}.qzeros", lambda one: one[:, 1:].contiguous()), "QNT003"),
    ("autoawq", put(f"{UP}.qzeros", lambda one: one.long()), "QNT004"),
]


@pytest.mark.parametrize(("name", "change", "code"), DEFECTS)
def test_one_defect_is_named_exactly(tmp_path: Path, name: str, change: Change, code: str) -> None:
    (found,) = [one for one in told(changed(tmp_path, name, change)) if one.rule.code != "NUM005"]
    assert found.rule.code == code
    if code != "QNT011":
        assert all(tensor.startswith(UP) for tensor in found.tensors)
