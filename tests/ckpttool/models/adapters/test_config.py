"""What the configuration of an adapter says, and what is none."""

from __future__ import annotations

from typing import Any

import pytest

from ckpttool.findings import rules
from ckpttool.findings.errors import MalformedError, UnsupportedError
from ckpttool.models.adapters.config import parse_config
from tests.builders import adapters

CONFIG = adapters.CONFIG


@pytest.mark.parametrize(
    "change",
    [
        {"r": "4"},
        {"r": 4.5},
        {"r": True},
        {"r": None},
        {"lora_alpha": None},
        {"lora_alpha": 1e308},
        {"rank_pattern": [1]},
        {"alpha_pattern": {"q_proj": "8"}},
    ],
)
def test_a_field_of_another_type_is_malformed(change: Any) -> None:
    with pytest.raises(MalformedError) as caught:
        parse_config({**CONFIG, **change})
    assert caught.value.rule is rules.ADAPTER


@pytest.mark.parametrize("kind", ["IA3", "LOHA", "ADALORA", None, ["LORA"]])
def test_an_adapter_that_is_no_lora_is_not_supported(kind: object) -> None:
    with pytest.raises(UnsupportedError, match="only LoRA adapters"):
        parse_config({**CONFIG, "peft_type": kind})


def test_a_pattern_is_the_end_of_a_name_and_a_regular_expression_is_not_run() -> None:
    patterns = {"q_proj": 16, r"^model\.layers\.1\.mlp$": 4, "(a+)+$": 2}
    config = parse_config({**CONFIG, "alpha_pattern": patterns, "rank_pattern": {"v_proj": 2}})
    assert config.scale_of("model.layers.0.q_proj", 4) == 4
    assert config.scale_of("model.layers.1.mlp", 4) == 1
    assert config.scale_of("model.layers.0.xq_proj", 4) == 2
    assert config.rank_of("v_proj") == 2
    assert config.unread == ("alpha_pattern (a+)+$",)
