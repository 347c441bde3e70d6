"""A quantized file against a schema: of whole weights, of itself, and of its config.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, List

import pytest
import torch
from safetensors.torch import save_file

import ckpttool
from ckpttool.findings.finding import Finding
from ckpttool.findings.results import FileReport
from ckpttool.verification.options import VerifyOptions
from ckpttool.verification.run import verify_file
from ckpttool.verification.schema_sources import read_schema
from tests.builders import quantized_models as models
from tests.builders.quantized_models import MODELS, MODULES, SHAPE, Tensors

WEIGHTS = [f"{module}.weight" for module in MODULES]

#: Those whose weights are linear layers, of one shape; the experts of gpt-oss are below.
LAYERS = [name for name in MODELS if name not in ("fp8 in blocks", "mxfp4 of experts")]


def whole() -> Tensors:
    """The model before it was quantized."""
    tensors = models.gptq().tensors
    plain = {name: one.bfloat16() for name, one in tensors.items() if one.is_floating_point()}
    left = {name: one for name, one in plain.items() if not name.endswith("scales")}
    return {**left, **{f"{module}.weight": torch.randn(SHAPE).bfloat16() for module in MODULES}}


def against(path: str, schema: Path) -> FileReport:
    return verify_file(path, VerifyOptions(reference=read_schema(schema)))


def by_config(path: Path) -> FileReport:
    (report,) = ckpttool.verify(str(path), schema="hf").files
    return report


def told(report: FileReport) -> List[Finding]:
    return [one for one in report.findings if one.rule.letters in ("STR", "QNT")]


@pytest.fixture
def schema(tmp_path: Path) -> Path:
    path = tmp_path / "whole.safetensors"
    save_file(whole(), path)
    return path


@pytest.mark.parametrize("name", LAYERS)
def test_a_quantized_weight_counts_as_the_weight_that_it_was(
    tmp_path: Path, schema: Path, name: str
) -> None:
    report = against(models.written(tmp_path, MODELS[name]()), schema)
    assert told(report) == []
    assert report.coverage is not None
    assert all(group.complete for group in report.coverage.groups.values())


@pytest.mark.parametrize("name", MODELS)
def test_against_a_schema_that_is_quantized_the_same_the_parts_count(
    tmp_path: Path, name: str
) -> None:
    path = Path(models.written(tmp_path, MODELS[name]()))
    own = tmp_path / "own.safetensors"
    own.write_bytes(path.read_bytes())
    report = against(str(path), own)
    assert told(report) == []
    assert report.coverage is not None
    expected = sum(group.expected for group in report.coverage.groups.values())
    assert expected == len(MODELS[name]().tensors)


def test_a_weight_that_is_gone_with_all_its_parts_is_missing(tmp_path: Path, schema: Path) -> None:
    model = models.gptq()
    for name in [name for name in model.tensors if name.startswith(f"{MODULES[3]}.")]:
        del model.tensors[name]
    (missing,) = told(against(models.written(tmp_path, model), schema))
    assert missing.rule.code == "STR022"
    assert set(missing.tensors) == {f"{MODULES[3]}.weight", f"{MODULES[3]}.bias"}


def test_a_weight_of_another_shape_is_told_by_its_own_shape(tmp_path: Path, schema: Path) -> None:
    model = models.gptq()
    other = models.gptq().parts(torch.randn(SHAPE[0], 2 * SHAPE[1]))
    model.tensors.update({f"{MODULES[0]}.{ending}": part for ending, part in other.items()})
    (found,) = told(against(models.written(tmp_path, model), schema))
    assert (found.rule.code, found.tensors) == ("STR005", (f"{MODULES[0]}.weight",))
    assert ("[96, 128]" in str(found.expected), "[96, 256]" in str(found.found)) == (True, True)


@pytest.mark.parametrize("name", ["gptq", "awq", "bnb-4bit", "llm-int8"])
def test_a_layer_that_keeps_its_weight_transposed_is_quantized_as_a_linear_one(
    tmp_path: Path, name: str
) -> None:
    """The Conv1D of GPT-2, whose weight is [inputs, outputs]."""
    transposed = {
        key: tensor.T.contiguous() if key in WEIGHTS else tensor for key, tensor in whole().items()
    }
    path = tmp_path / "whole.safetensors"
    save_file(transposed, path)
    assert told(against(models.written(tmp_path, MODELS[name]()), path)) == []


def test_scales_of_a_cache_have_a_place(tmp_path: Path, schema: Path) -> None:
    model = models.fp8_of_channels()
    for part in ("k_scale", "v_scale"):
        model.tensors[f"model.layers.0.self_attn.{part}"] = torch.ones(1)
    assert told(against(models.written(tmp_path, model), schema)) == []


def test_a_weight_that_the_model_does_not_have_is_told_by_its_codes(
    tmp_path: Path, schema: Path
) -> None:
    model = models.pack_quantized()
    made = model.parts(torch.randn(SHAPE))
    model.tensors.update({f"other.{ending}": part for ending, part in made.items()})
    (found,) = told(against(models.written(tmp_path, model), schema))
    assert (found.rule.code, found.tensors) == ("STR004", ("other.weight_packed",))


def test_what_no_part_shows_is_said_to_be_unchecked(tmp_path: Path, schema: Path) -> None:
    model = models.pack_quantized()
    del model.tensors[f"{MODULES[0]}.weight_shape"]
    path = models.written(tmp_path, model)
    (tmp_path / "config.json").unlink()
    report = against(path, schema)
    assert "the shape of 1 quantized weight (no part of it shows it)" in report.unchecked


# --- what config.json says -------------------------------------------------------------------


def of_transformers(folder: Path, config: Any, **settings: Any) -> Tensors:
    """Write the config.json of a tiny model, and return its weights."""
    transformers = pytest.importorskip("transformers")
    model = getattr(transformers, settings["architectures"][0])(config).bfloat16()
    document = {**json.loads(config.to_json_string(use_diff=False)), **settings}
    (folder / "config.json").write_text(json.dumps(document))
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize("name", LAYERS)
def test_a_folder_verifies_against_its_own_config(tmp_path: Path, name: str) -> None:
    transformers = pytest.importorskip("transformers")
    model = MODELS[name]()
    config = transformers.LlamaConfig(
        vocab_size=32,
        hidden_size=128,
        intermediate_size=192,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    tensors = of_transformers(
        tmp_path,
        config,
        architectures=["LlamaForCausalLM"],
        quantization_config=model.config,
        dtype="bfloat16",
    )
    path = tmp_path / "model.safetensors"
    save_file(models.quantized(tensors, model), path, metadata={"format": "pt"})
    report = by_config(path)
    assert told(report) == []
    assert report.coverage is not None
    assert sum(group.matched for group in report.coverage.groups.values()) == 21
    assert report.loading is not None
    assert report.loading.filled_parameters == report.loading.parameters
    assert report.forward is not None
    assert (report.forward.status, report.forward.reason) == (
        "not-run",
        "its weights are quantized",
    )


def test_the_experts_of_gpt_oss_verify_against_their_config(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    model = models.mxfp4_experts()
    config = transformers.GptOssConfig(
        vocab_size=32,
        hidden_size=64,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        num_local_experts=3,
    )
    quantization = {**model.config, "modules_to_not_convert": ["lm_head"]}
    tensors = of_transformers(
        tmp_path,
        config,
        architectures=["GptOssForCausalLM"],
        quantization_config=quantization,
        dtype="bfloat16",
    )
    for name in [name for name in tensors if name.endswith(("gate_up_proj", "down_proj"))]:
        weight = tensors.pop(name).float().transpose(-1, -2)
        numbers, scales = models.mx(weight)
        tensors[f"{name}_blocks"], tensors[f"{name}_scales"] = models.halves(numbers), scales
    path = tmp_path / "model.safetensors"
    save_file(tensors, path, metadata={"format": "pt"})
    assert told(by_config(path)) == []
