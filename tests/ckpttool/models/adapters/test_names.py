"""What a tensor of an adapter is, by its name."""

from __future__ import annotations

import pytest

from ckpttool.models.adapters import names
from ckpttool.models.adapters.names import Part, part_of


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("base_model.model.m.q.lora_A.weight", Part(names.DOWN, "m.q")),
        ("base_model.model.m.q.lora_B.default.weight", Part(names.UP, "m.q", "default")),
        ("m.q.base_layer.lora_A.weight", Part(names.DOWN, "m.q")),
        ("m.e.lora_embedding_A", Part(names.DOWN, "m.e", "", True)),
        ("m.e.lora_embedding_B.default", Part(names.UP, "m.e", "default", True)),
        ("m.q.lora_magnitude_vector", Part(names.MAGNITUDE, "m.q")),
        ("m.q.lora_magnitude_vector.default.weight", Part(names.MAGNITUDE, "m.q", "default")),
        ("m.q.lora_B.bias", Part(names.BIAS, "m.q")),
        ("m.q.lora_down.weight", Part(names.DOWN, "m.q")),
        ("lora_unet_m_q.lora_up.weight", Part(names.UP, "m_q", "", False, True)),
        ("lora_te1_m_q.alpha", Part(names.ALPHA, "m_q", "", False, True)),
        ("base_model.model.score.modules_to_save.weight", Part(names.WHOLE, "score.weight")),
        ("score.modules_to_save.default.weight", Part(names.WHOLE, "score.weight")),
        ("base_model.model.m.q.base_layer.bias", Part(names.WHOLE, "m.q.bias")),
        ("base_model.model.lm_head.weight", Part(names.WHOLE, "lm_head.weight")),
        ("score.original_module.weight", None),
        ("m.q.hada_w1_a", Part(names.OTHER, "m.q.hada_w1_a")),
        ("m.to_q_lora.down.weight", Part(names.OTHER, "m.to_q_lora.down.weight")),
        ("m.q.dora_scale", Part(names.OTHER, "m.q.dora_scale")),
        ("m.q.lora_mid.weight", Part(names.OTHER, "m.q.lora_mid.weight")),
    ],
)
def test_a_part_is_known_by_its_name(name: str, part: Part | None) -> None:
    assert part_of(name) == part
