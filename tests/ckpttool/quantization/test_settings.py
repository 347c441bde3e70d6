"""What configurations of different writers say of a module is read into the same words."""

from __future__ import annotations

from typing import Any

import pytest

from ckpttool.quantization.settings import NONE, settings_in


def fp8(**more: Any) -> dict[str, Any]:
    return {"quantization_config": {"quant_method": "fp8", **more}}


def test_blocks_of_fine_grained_fp8() -> None:
    found = settings_in(fp8(weight_block_size=[128, 64], activation_scheme="dynamic"))
    said = found.arguments("model.layers.0.mlp.up_proj")
    assert (said.bits, said.floats, said.block, said.static_inputs) == (8, True, (128, 64), False)
    assert (found.where, found.is_known) == ("config.json", True)


def test_the_configuration_of_the_language_model_in_a_larger_one_counts() -> None:
    assert settings_in({"text_config": fp8()}).method == "fp8"


def test_names_to_leave_out_mean_what_transformers_makes_of_them() -> None:
    names = ["lm_head", "model.layers.1", "vision.*", "gate"]
    found = settings_in(fp8(modules_to_not_convert=names))
    left_out = ["lm_head", "model.layers.1", "model.layers.1.mlp", "vision_tower.x", "a.mlp.gate"]
    assert all(map(found.ignores, left_out))
    assert not any(map(found.ignores, ["model.layers.11.mlp", "mlp.gate_proj", "model.vision"]))


def test_a_group_of_compressed_tensors_has_its_own_arguments() -> None:
    def group(targets: list[str], bits: int) -> dict[str, Any]:
        return {"targets": targets, "weights": {"num_bits": bits, "type": "int"}}

    config = {
        "quant_method": "compressed-tensors",
        "format": "pack-quantized",
        "ignore": ["lm_head", r"re:.*mlp\.gate$"],
        "config_groups": {
            "group_0": group(["Linear"], 4),
            "group_1": group([r"re:model\.layers\.\d+\.self_attn.*", "a.b"], 8),
        },
    }
    found = settings_in({"quantization_config": config})
    asked = ["model.layers.3.self_attn.q_proj", "a.b", "model.layers.3.mlp.up_proj"]
    assert [found.arguments(one).bits for one in asked] == [8, 8, 4]
    assert [found.demands(one) for one in asked] == [True, True, False]
    assert [
        found.ignores(one) for one in ("lm_head", "x.lm_head", "x.mlp.gate", "mlp.gate_proj")
    ] == [
        True,
        False,
        True,
        False,
    ]


def test_dynamic_rules_of_gptqmodel_leave_out_and_change() -> None:
    dynamic = {r"-:.*down_proj": {}, r"+:model\.layers\.0\..*": {"bits": 8, "group_size": 64}}
    config = {"quant_method": "gptq", "bits": 4, "group_size": 128, "dynamic": dynamic}
    found = settings_in({"quantization_config": config})
    assert found.ignores("model.layers.0.mlp.down_proj")
    said = [found.arguments(f"model.layers.{layer}.mlp.up_proj") for layer in (0, 1)]
    assert [(one.bits, one.group_size) for one in said] == [(8, 64), (4, 128)]


def test_modelopt_says_it_in_a_file_of_its_own() -> None:
    inner = {"quant_algo": "NVFP4", "group_size": 16, "exclude_modules": ["lm_head", "*.0.mlp*"]}
    found = settings_in({}, {"producer": {"name": "modelopt"}, "quantization": inner})
    assert (found.where, found.method) == ("hf_quant_config.json", "modelopt")
    assert found.arguments("x").group_size == 16
    assert [found.ignores(one) for one in ("lm_head", "a.0.mlp.up", "a.1.mlp.up")] == [
        True,
        True,
        False,
    ]


def test_modelopt_may_quantize_the_cache_alone() -> None:
    inner = {"quant_algo": None, "kv_cache_quant_algo": "FP8"}
    assert settings_in({}, {"quantization": inner}).whole


def test_autogptq_says_it_in_a_file_of_its_own() -> None:
    found = settings_in(None, None, {"bits": 4, "group_size": -1, "desc_act": True, "sym": True})
    said = found.arguments("x")
    assert (found.where, found.method) == ("quantize_config.json", "gptq")
    assert (said.bits, said.group_size, said.by_order, said.symmetric) == (4, -1, True, True)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"quantization_config": None},
        {"quantization_config": [1]},
        {"text_config": 3},
        {"quantization_config": {"quant_method": {}}},
        {"quantization_config": {"quant_method": "fp8", "weight_block_size": ["a", True]}},
        {"quantization_config": {"quant_method": "fp8", "weight_block_size": [0, -1]}},
        {"quantization_config": {"quant_method": "fp8", "modules_to_not_convert": [1, None]}},
        {"quantization_config": {"quant_method": "compressed-tensors", "config_groups": [1]}},
        {"quantization_config": {"quant_method": "compressed-tensors", "config_groups": {"a": 1}}},
        {"quantization_config": {"quant_method": "gptq", "bits": "4", "dynamic": {"-:(": 1}}},
        {"quantization_config": {"quant_method": "modelopt", "quantized_layers": {"a": 1}}},
    ],
)
def test_nonsense_is_read_without_harm(config: dict[str, Any]) -> None:
    found = settings_in(config)
    assert found.arguments("model.layers.0").block is None
    assert not found.ignores("model.layers.0")


def test_without_a_configuration_nothing_is_said() -> None:
    assert settings_in(None) == NONE
    assert not NONE.is_known


def test_an_expression_that_cannot_be_read_is_told() -> None:
    found = settings_in(fp8(modules_to_not_convert=["(?=a)b"]))
    assert found.ignored.unread == ("(?=a)b",)
