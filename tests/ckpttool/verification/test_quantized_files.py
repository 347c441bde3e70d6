"""Quantized files verified: honest ones pass, and what public reports tell of is found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import pytest
import torch
from safetensors.torch import save_file

from ckpttool.findings.finding import Finding
from ckpttool.findings.rules import Severity
from ckpttool.verification.options import VerifyOptions
from ckpttool.verification.run import verify_file
from tests.builders import quantized_models as models
from tests.builders.quantized_models import MODELS, MODULES, Model

FIRST, EXPERT = MODULES[0], MODULES[3]


def quantized(folder: Path, model: Model, **config: Any) -> List[Finding]:
    """What is found of the quantized weights of a model."""
    path = models.written(folder, model, **config)
    found = verify_file(path, VerifyOptions(forward=False)).findings
    return [one for one in found if one.rule.letters == "QNT"]


def told(found: List[Finding]) -> List[Tuple[str, Severity]]:
    return [(one.rule.code, one.severity) for one in found]


@pytest.mark.parametrize("name", MODELS)
def test_an_honest_file_has_no_finding(tmp_path: Path, name: str) -> None:
    assert quantized(tmp_path, MODELS[name]()) == []


@pytest.mark.parametrize("name", MODELS)
def test_a_file_without_any_configuration_beside_it_has_none_either(
    tmp_path: Path, name: str
) -> None:
    path = models.written(tmp_path, MODELS[name]())
    (tmp_path / "config.json").unlink()
    found = verify_file(path, VerifyOptions(forward=False)).findings
    assert [one for one in found if one.rule.letters in ("QNT", "STR")][1:] == []


@pytest.mark.parametrize("name", MODELS)
def test_without_its_quantization_config_every_scheme_is_told(tmp_path: Path, name: str) -> None:
    (found,) = quantized(tmp_path, MODELS[name](), quantization_config=None)
    assert (found.rule.code, found.severity) == ("QNT011", Severity.ERROR)


def test_scales_of_inputs_that_an_expert_alone_lacks_are_a_warning(tmp_path: Path) -> None:
    model = MODELS["nvfp4 of modelopt"]()
    del model.tensors[f"{EXPERT}.input_scale"]
    (found,) = quantized(tmp_path, model)
    assert (found.rule.code, found.severity) == ("QNT001", Severity.WARNING)
    assert "input_scale for 1 of" in found.message
    assert found.tensors == (f"{EXPERT}.weight",)


def test_a_file_without_any_scales_of_inputs_has_no_finding(tmp_path: Path) -> None:
    model = MODELS["nvfp4 of modelopt"]()
    for name in [name for name in model.tensors if name.endswith(".input_scale")]:
        del model.tensors[name]
    assert quantized(tmp_path, model) == []


def test_codes_that_were_cast_without_their_scales_are_told(tmp_path: Path) -> None:
    model = MODELS["fp8 in blocks"]()
    cast = {
        name: tensor.float().bfloat16() if tensor.dtype == torch.float8_e4m3fn else tensor
        for name, tensor in model.tensors.items()
        if not name.endswith("_scale_inv")
    }
    found = quantized(tmp_path, Model(cast, {}), quantization_config=None)
    assert told(found) == [("QNT015", Severity.ERROR)]
    assert set(found[0].tensors) == {f"{module}.weight" for module in MODULES}


def _is_codes(name: str, tensor: torch.Tensor) -> bool:
    ends = ("weight", "weight_packed", "qweight", "_blocks")
    return name.endswith(ends) and tensor.dtype not in (torch.float32, torch.bfloat16)


@pytest.mark.parametrize("name", MODELS)
def test_a_weight_whose_codes_are_all_one_is_told(tmp_path: Path, name: str) -> None:
    model = MODELS[name]()
    codes = next(key for key, one in model.tensors.items() if _is_codes(key, one))
    shifted = any(key.endswith("zero_point") for key in model.tensors)
    zero = name.startswith(("fp8", "int8", "llm", "mxfp4")) and not shifted
    for code in (0, 17):
        made = model.tensors[codes].clone()
        made.view(torch.uint8).fill_(code)
        path = models.written(tmp_path, model._replace(tensors={**model.tensors, codes: made}))
        found = verify_file(path, VerifyOptions(forward=False)).findings
        rules = {"NUM003", "NUM004"}
        told = [(one.rule.code, one.severity) for one in found if one.rule.code in rules]
        assert told == [("NUM003" if zero and not code else "NUM004", Severity.WARNING)]


def needed_parts() -> List[Any]:
    """Every part of every scheme without which there are no numbers, by its ending."""
    endings = {
        "fp8 in blocks": ["weight_scale_inv"],
        "fp8 of tensors": ["weight_scale", "input_scale"],
        "fp8 of channels": ["weight_scale"],
        "int8 of channels": ["weight_scale", "weight_zero_point"],
        "pack-quantized": ["weight_scale", "weight_zero_point", "weight_shape"],
        "gptq": ["scales", "qzeros"],
        "awq": ["scales", "qzeros"],
        "bnb-4bit nested": [
            *("weight.absmax", "weight.quant_map", "weight.nested_absmax"),
            *("weight.nested_quant_map", "weight.quant_state.bitsandbytes__nf4"),
        ],
        "bnb-4bit": ["weight.absmax", "weight.quant_map"],
        "llm-int8": ["SCB"],
        "mxfp4 packed": ["weight_scale"],
        "nvfp4 of modelopt": ["weight_scale", "weight_scale_2"],
        "nvfp4 packed": ["weight_scale", "weight_global_scale"],
    }
    return [(name, ending) for name, all_of_one in endings.items() for ending in all_of_one]


@pytest.mark.parametrize(("name", "ending"), needed_parts())
def test_a_part_that_is_gone_is_named_and_its_expert(
    tmp_path: Path, name: str, ending: str
) -> None:
    model = MODELS[name]()
    gone = f"{EXPERT}.{ending}"
    del model.tensors[gone]
    (found,) = quantized(tmp_path, model)
    assert (found.rule.code, found.tensors) == ("QNT001", (gone,))
    assert "1 of 5 quantized weights" in found.message
    assert "experts" in found.message


def test_an_expert_of_many_that_are_stored_together_has_no_scales(tmp_path: Path) -> None:
    model = models.mxfp4_experts()
    gone = "model.layers.1.mlp.experts.down_proj_scales"
    del model.tensors[gone]
    (found,) = quantized(tmp_path, model)
    assert (found.rule.code, found.tensors) == ("QNT001", (gone,))


# --- what public reports tell of -------------------------------------------------------------


def scales_of_one_expert_gone(model: Model) -> None:
    del model.tensors[f"{EXPERT}.weight_scale_inv"]


def some_scales_cast(model: Model) -> None:
    name = f"{FIRST}.weight_scale_inv"
    model.tensors[name] = model.tensors[name].bfloat16()


def absmax_lost_when_saved_again(model: Model) -> None:
    for name in [name for name in model.tensors if name.endswith("weight.absmax")]:
        del model.tensors[name]


def state_of_another_weight(model: Model) -> None:
    ending = "weight.quant_state.bitsandbytes__nf4"
    other = models.nf4().tensors[f"{FIRST}.{ending}"]
    text = bytes(other.tolist()).replace(b"[96, 128]", b"[96, 256]")
    model.tensors[f"{FIRST}.{ending}"] = torch.tensor(list(text), dtype=torch.uint8)


def dead_channel(model: Model) -> None:
    model.tensors[f"{FIRST}.scales"][:, 3] = 0


def all_scales_zero(model: Model) -> None:
    model.tensors[f"{FIRST}.scales"].zero_()


def not_to_convert_and_converted(model: Model) -> None:
    model.config["modules_to_not_convert"] = [EXPERT.rpartition(".")[0]]


def head_quantized_though_left_out(model: Model) -> None:
    for ending in ("weight", "weight_scale"):
        model.tensors[f"lm_head.{ending}"] = model.tensors[f"{FIRST}.{ending}"].clone()


def scales_of_one_block_too_many(model: Model) -> None:
    name = f"{FIRST}.weight_scale_inv"
    model.tensors[name] = torch.cat([model.tensors[name], model.tensors[name][:1]])


def other_block_size_in_the_config(model: Model) -> None:
    model.config["weight_block_size"] = [16, 16]


def nan_in_a_scale(model: Model) -> None:
    model.tensors[f"{EXPERT}.weight_scale_inv"][0, 0] = float("nan")


def nan_as_an_exponent(model: Model) -> None:
    model.tensors["model.layers.0.mlp.experts.down_proj_scales"][1, 0, 0] = 255


def nan_in_the_codes(model: Model) -> None:
    model.tensors[f"{FIRST}.weight"].view(torch.uint8)[0, 0] = 0x7F


def scale_of_scales_zero(model: Model) -> None:
    model.tensors[f"{FIRST}.weight_scale_2"].zero_()


def groups_in_another_order(model: Model) -> None:
    name = f"{FIRST}.g_idx"
    model.tensors[name] = model.tensors[name].flip(0).contiguous()


def dequantized_and_still_configured(model: Model) -> None:
    for module in MODULES:
        for ending in ("qweight", "qzeros", "scales", "g_idx"):
            del model.tensors[f"{module}.{ending}"]
        model.tensors[f"{module}.weight"] = torch.randn(models.SHAPE).bfloat16()


def codes_lost(model: Model) -> None:
    del model.tensors[f"{FIRST}.weight_packed"]


def four_bits_in_bytes(model: Model) -> None:
    model.config["config_groups"]["group_0"]["weights"]["num_bits"] = 4


REPORTS: Dict[Callable[[Model], None], Tuple[str, List[Tuple[str, Severity]]]] = {
    scales_of_one_expert_gone: ("fp8 in blocks", [("QNT001", Severity.ERROR)]),
    some_scales_cast: ("fp8 in blocks", [("QNT004", Severity.WARNING)]),
    absmax_lost_when_saved_again: ("bnb-4bit nested", [("QNT001", Severity.ERROR)]),
    state_of_another_weight: ("bnb-4bit nested", [("QNT012", Severity.ERROR)]),
    dead_channel: ("gptq", [("QNT006", Severity.WARNING)]),
    all_scales_zero: ("gptq", [("QNT006", Severity.ERROR)]),
    not_to_convert_and_converted: ("fp8 in blocks", [("QNT010", Severity.ERROR)]),
    head_quantized_though_left_out: ("fp8 of channels", [("QNT010", Severity.ERROR)]),
    scales_of_one_block_too_many: ("fp8 in blocks", [("QNT003", Severity.ERROR)]),
    other_block_size_in_the_config: ("fp8 in blocks", [("QNT003", Severity.ERROR)]),
    nan_in_a_scale: ("fp8 in blocks", [("QNT005", Severity.ERROR)]),
    nan_as_an_exponent: ("mxfp4 of experts", [("QNT005", Severity.ERROR)]),
    nan_in_the_codes: ("fp8 of channels", [("QNT007", Severity.ERROR)]),
    scale_of_scales_zero: ("nvfp4 of modelopt", [("QNT006", Severity.ERROR)]),
    groups_in_another_order: ("gptq", [("QNT008", Severity.ERROR)]),
    dequantized_and_still_configured: ("gptq", [("QNT009", Severity.ERROR)]),
    codes_lost: ("pack-quantized", [("QNT002", Severity.ERROR)]),
    four_bits_in_bytes: ("int8 of channels", [("QNT007", Severity.ERROR)] * 2),
}


@pytest.mark.parametrize("change", REPORTS, ids=lambda change: str(change.__name__))
def test_what_is_reported_in_public_is_found_and_nothing_else(
    tmp_path: Path, change: Callable[[Model], None]
) -> None:
    name, expected = REPORTS[change]
    model = MODELS[name]()
    change(model)
    assert told(quantized(tmp_path, model)) == expected


def all_scales_cast(model: Model) -> None:
    """Qwen's files have them so."""
    for name, tensor in model.tensors.items():
        if name.endswith("_scale_inv"):
            model.tensors[name] = tensor.bfloat16()


def scales_of_the_cache(model: Model) -> None:
    for layer in (0, 1):
        for part in ("k_scale", "v_scale"):
            model.tensors[f"model.layers.{layer}.self_attn.{part}"] = torch.ones(1)


def a_bias_of_the_router(model: Model) -> None:
    """DeepSeek-V3's, beside a router that is not quantized."""
    model.tensors["model.layers.1.mlp.gate.e_score_correction_bias"] = torch.randn(2)
    model.tensors["model.layers.1.mlp.gate.weight"] = torch.randn(2, 100).bfloat16()


def zero_points_of_the_second_version(model: Model) -> None:
    """Off by one against the first: not to be seen in a file, so nothing is said."""
    model.config["checkpoint_format"] = "gptq_v2"


def groups_in_an_order_that_is_meant(model: Model) -> None:
    model.config["desc_act"] = True
    groups_in_another_order(model)


def experts_in_one_tensor(model: Model) -> None:
    for part in ("weight", "weight_scale_inv"):
        both = [model.tensors.pop(f"{MODULES[number]}.{part}") for number in (3, 4)]
        ending = part.replace("weight", "")
        model.tensors[f"model.layers.1.mlp.experts.up_proj{ending}"] = torch.stack(both)


def words_in_the_order_of_a_kernel(model: Model) -> None:
    """AutoAWQ's GEMV: the shapes are others, and nothing is said of them."""
    model.config["version"] = "gemv"
    for module in MODULES:
        model.tensors[f"{module}.qweight"] = torch.zeros(96, 16, dtype=torch.int32)


def codes_of_marlin(model: Model) -> None:
    """Words under other names, which no scheme here has."""
    for module in MODULES:
        for ending in ("qweight", "qzeros", "scales", "g_idx"):
            del model.tensors[f"{module}.{ending}"]
        model.tensors[f"{module}.B"] = torch.zeros(8, 192, dtype=torch.int32)
        model.tensors[f"{module}.s"] = torch.ones(4, 96).half()


def whole_expert(model: Model) -> None:
    for ending in ("weight", "weight_scale", "weight_zero_point"):
        del model.tensors[f"{EXPERT}.{ending}"]
    model.tensors[f"{EXPERT}.weight"] = torch.randn(models.SHAPE).bfloat16()


def one_expert_is_not_named(model: Model) -> None:
    whole_expert(model)
    named = [module for module in MODULES if module != EXPERT]
    model.config["config_groups"]["group_0"]["targets"] = named


def left_out_by_what_cannot_be_read(model: Model) -> None:
    whole_expert(model)
    model.config["ignore"] = [r"re:(?=.*experts\.0).*"]


def a_layer_left_out_by_a_dynamic_rule(model: Model) -> None:
    for ending in ("qweight", "qzeros", "scales", "g_idx"):
        del model.tensors[f"{EXPERT}.{ending}"]
    model.tensors[f"{EXPERT}.weight"] = torch.randn(models.SHAPE).half()
    model.config["dynamic"] = {r"-:model\.layers\.1\.mlp\.experts\.0": {}}


HONEST: Dict[Callable[[Model], None], str] = {
    all_scales_cast: "fp8 in blocks",
    scales_of_the_cache: "fp8 in blocks",
    a_bias_of_the_router: "fp8 in blocks",
    zero_points_of_the_second_version: "gptq",
    groups_in_an_order_that_is_meant: "gptq",
    experts_in_one_tensor: "fp8 in blocks",
    words_in_the_order_of_a_kernel: "awq",
    codes_of_marlin: "gptq",
    one_expert_is_not_named: "int8 of channels",
    left_out_by_what_cannot_be_read: "int8 of channels",
    a_layer_left_out_by_a_dynamic_rule: "gptq",
}


@pytest.mark.parametrize("change", HONEST, ids=lambda change: str(change.__name__))
def test_what_honest_files_have_is_quiet(tmp_path: Path, change: Callable[[Model], None]) -> None:
    model = MODELS[HONEST[change]]()
    change(model)
    assert quantized(tmp_path, model) == []


# --- shards, other files beside, and what is not looked at ------------------------------------


def in_shards(folder: Path, model: Model) -> Path:
    """Write the codes into one shard and all other parts into another; return the index."""
    halves: List[Dict[str, torch.Tensor]] = [{}, {}]
    for name, tensor in model.tensors.items():
        halves[not name.endswith(".weight")][name] = tensor
    names = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    for name, tensors in zip(names, halves):
        save_file(tensors, folder / name, metadata={"format": "pt"})
    places = {key: name for name, tensors in zip(names, halves) for key in tensors}
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": places}))
    document = {"model_type": "llama", "quantization_config": model.config}
    (folder / "config.json").write_text(json.dumps(document))
    return index


def test_parts_may_lie_in_other_shards(tmp_path: Path) -> None:
    index = in_shards(tmp_path, models.fp8_in_blocks())
    found = verify_file(str(index), VerifyOptions(forward=False)).findings
    assert [one for one in found if one.rule.letters == "QNT"] == []


def test_a_shard_alone_is_not_asked_for_parts_in_another_and_that_is_said(tmp_path: Path) -> None:
    in_shards(tmp_path, models.fp8_in_blocks())
    for name in ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"):
        report = verify_file(str(tmp_path / name), VerifyOptions(forward=False))
        assert [one for one in report.findings if one.rule.letters == "QNT"] == []
        assert any(
            "whether every quantized weight has its parts" in one for one in report.unchecked
        )


def test_a_scale_that_no_shard_has_is_missing(tmp_path: Path) -> None:
    model = models.fp8_in_blocks()
    scales_of_one_expert_gone(model)
    found = verify_file(str(in_shards(tmp_path, model)), VerifyOptions(forward=False)).findings
    assert [one.rule.code for one in found if one.rule.letters == "QNT"] == ["QNT001"]


def beside(folder: Path, name: str, document: object) -> None:
    """Put what says how the weights are quantized into a file of its own."""
    (folder / "config.json").write_text('{"model_type": "llama"}')
    (folder / name).write_text(json.dumps(document))


def test_the_files_of_modelopt_and_autogptq_declare_it_too(tmp_path: Path) -> None:
    path = models.written(tmp_path, models.nvfp4_of_modelopt())
    inner = {"quant_algo": "NVFP4", "group_size": 16, "exclude_modules": ["lm_head"]}
    beside(tmp_path, "hf_quant_config.json", {"producer": {}, "quantization": inner})
    report = verify_file(path, VerifyOptions(forward=False))
    assert [one for one in report.findings if one.rule.letters == "QNT"] == []
    assert report.quantized == "5 weights: NVFP4, as hf_quant_config.json says"
    path = models.written(tmp_path, models.gptq())
    (tmp_path / "hf_quant_config.json").unlink()
    beside(tmp_path, "quantize_config.json", {"bits": 4, "group_size": 16, "desc_act": False})
    found = verify_file(path, VerifyOptions(forward=False)).findings
    (one,) = [one for one in found if one.rule.letters == "QNT" and "scales" in one.tensors[0]]
    assert (one.rule.code, "16" in str(one.expected)) == ("QNT003", True)


def test_the_older_file_of_autoawq_declares_it_too(tmp_path: Path) -> None:
    path = models.written(tmp_path, models.awq())
    old = {"zero_point": True, "q_group_size": 32, "w_bit": 4, "version": "GEMM"}
    beside(tmp_path, "quant_config.json", old)
    report = verify_file(path, VerifyOptions(forward=False))
    assert [one for one in report.findings if one.rule.letters == "QNT"] == []
    assert report.quantized == "5 weights: AWQ, as quant_config.json says"


def test_a_method_that_is_not_known_and_what_cannot_be_read_of_it_is_said(tmp_path: Path) -> None:
    model = models.gptq()
    model.config.clear()
    model.config.update(quant_method="aqlm", modules_to_not_convert=["(?=x)"])
    path = models.written(tmp_path, model)
    unchecked = verify_file(path, VerifyOptions(forward=False)).unchecked
    assert "what config.json says of quantized weights (aqlm)" in unchecked
    assert any("1 expression of config.json" in one for one in unchecked)


HOSTILE: List[Any] = [
    *(None, [], 3, {"quant_method": []}, {"quant_method": "gptq", "bits": 0, "group_size": 0}),
    {"quant_method": "gptq", "bits": -(2**70), "group_size": 2**70},
    {"quant_method": "fp8", "weight_block_size": [2**70, 1]},
    {"quant_method": "awq", "bits": True, "group_size": None},
    {"quant_method": "compressed-tensors", "config_groups": {"a": {"weights": {"num_bits": 0}}}},
    {"quant_method": "fp8", "modules_to_not_convert": ["(a*)*" * 1000, "\x1b[31m", "[", "("]},
    {"quant_method": "\x1b[31m" * 1000},
]


@pytest.mark.parametrize("config", HOSTILE, ids=lambda one: str(one)[:30])
@pytest.mark.parametrize("name", ["gptq", "awq", "fp8 in blocks", "pack-quantized", "bnb-4bit"])
def test_a_configuration_of_nonsense_does_no_harm(tmp_path: Path, name: str, config: Any) -> None:
    path = models.written(tmp_path, MODELS[name]()._replace(config=config))
    report = verify_file(path, VerifyOptions(forward=False))
    assert report.coverage is not None  # it was read to its end


STATES = [
    *(b"", b"{", b"[1]", b"{}", b'{"shape": [96, 128]}', b"\xff" * 20, b"[" * 3000),
    b'{"shape": [-1, 2], "blocksize": 64, "quant_type": "nf4"}',
    b'{"shape": [4611686018427387904, 4], "blocksize": 64, "quant_type": "nf4"}',
    b'{"shape": [96, 128], "blocksize": 0, "quant_type": "nf4"}',
    b'{"shape": [96, 128], "blocksize": 64, "quant_type": "fp4"}',
]


@pytest.mark.parametrize("state", STATES, ids=lambda one: str(one)[:24])
def test_a_state_of_nonsense_is_told(tmp_path: Path, state: bytes) -> None:
    model = models.nf4()
    name = f"{FIRST}.weight.quant_state.bitsandbytes__nf4"
    model.tensors[name] = torch.tensor(list(state), dtype=torch.uint8)
    assert told(quantized(tmp_path, model)) == [("QNT012", Severity.ERROR)]


def test_shapes_of_nonsense_do_no_harm(tmp_path: Path) -> None:
    tensors = {
        f"{number}.{name}": torch.zeros(shape, dtype=torch.int32)
        for number, shape in enumerate([(), (0,), (0, 0), (3, 0), (1, 1, 1), (2, 3, 0, 1)])
        for name in ("qweight", "qzeros", "scales", "g_idx", "weight_packed", "weight_shape", "SCB")
    }
    for config in (models.gptq().config, models.pack_quantized().config, {}):
        path = models.written(tmp_path, Model(tensors, config))
        assert verify_file(path, VerifyOptions(forward=False)).coverage is not None


# --- what a fix says helps --------------------------------------------------------------------


def test_a_whole_weight_that_is_left_out_or_quantized_is_no_finding(tmp_path: Path) -> None:
    model = models.int8_of_channels()
    whole_expert(model)
    assert told(quantized(tmp_path, model)) == [("QNT009", Severity.ERROR)]
    model.config["ignore"].append(EXPERT)
    assert quantized(tmp_path, model) == []


def test_a_module_that_is_taken_out_of_the_list_is_no_finding(tmp_path: Path) -> None:
    model = models.fp8_in_blocks()
    not_to_convert_and_converted(model)
    assert told(quantized(tmp_path, model)) == [("QNT010", Severity.ERROR)]
    model.config["modules_to_not_convert"] = []
    assert quantized(tmp_path, model) == []


def test_scales_that_are_removed_from_a_whole_weight_are_no_finding(tmp_path: Path) -> None:
    model = models.fp8_in_blocks()
    name = f"{FIRST}.weight"
    model.tensors[name] = model.tensors[name].bfloat16()
    model.config["modules_to_not_convert"] = [FIRST]
    assert told(quantized(tmp_path, model)) == [("QNT013", Severity.WARNING)]
    del model.tensors[f"{name}_scale_inv"]
    assert quantized(tmp_path, model) == []


def test_a_configuration_that_is_removed_from_whole_weights_is_no_finding(tmp_path: Path) -> None:
    model = models.gptq()
    dequantized_and_still_configured(model)
    assert told(quantized(tmp_path, model)) == [("QNT009", Severity.ERROR)]
    assert quantized(tmp_path, model, quantization_config=None) == []


def test_a_scale_of_the_cache_and_of_an_attention_are_no_orphans(tmp_path: Path) -> None:
    model = Model({"blocks.0.attn.weight_scale": torch.rand(4), "a.weight": torch.rand(4, 4)}, {})
    assert quantized(tmp_path, model, quantization_config=None) == []
