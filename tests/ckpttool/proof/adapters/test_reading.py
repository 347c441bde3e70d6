"""What is read of an adapter, and what is no adapter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import ckpttool
from ckpttool.findings import rules
from ckpttool.findings.errors import MalformedError, UnsupportedError, UsageError
from ckpttool.proof.adapters import names
from ckpttool.proof.adapters.config import parse_config
from ckpttool.proof.adapters.names import Part, part_of
from ckpttool.proof.result import Proof, ProofOutcome
from tests.builders import adapters, checkpoints

# torch 2.0 warns of its own use of a class when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")

CONFIG = adapters.CONFIG
Q0 = f"{adapters.PEFT}{adapters.Q0}"


def prove(folder: Path, adapter: adapters.State, config: adapters.Config | None = CONFIG) -> Proof:
    before, lora = adapters.base(), adapters.lora()
    source = adapters.save(folder, "a.safetensors", before)
    made = adapters.save(folder, "b.safetensors", adapters.merged(before, lora))
    return ckpttool.prove(made, source, adapter=adapters.write(folder, adapter, config))


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


@pytest.mark.parametrize(
    ("adapter", "config", "said"),
    [
        ({f"{Q0}.lora_A.weight": torch.ones(4, 24)}, CONFIG, "of its parts there is only down"),
        (
            {f"{Q0}.lora_A.weight": torch.ones(4, 24), f"{Q0}.lora_B.weight": torch.ones(24, 3)},
            CONFIG,
            "its factors do not fit",
        ),
        (
            {f"{Q0}.lora_A.weight": torch.ones(4, 9), f"{Q0}.lora_B.weight": torch.ones(24, 4)},
            CONFIG,
            "it is for a weight of [24, 9], and there is one of [24, 24]",
        ),
        (
            {f"{Q0}.lora_A.weight": torch.ones(0, 24), f"{Q0}.lora_B.weight": torch.ones(24, 0)},
            CONFIG,
            "its rank is 0",
        ),
        (
            {f"{Q0}.lora_{p}.weight": torch.ones(4, 4, dtype=torch.int32) for p in "AB"},
            CONFIG,
            "its int32 is no type that is multiplied",
        ),
        (adapters.lora(), {**CONFIG, "use_dora": True}, "has no magnitudes"),
        (adapters.lora(), {**CONFIG, "use_qalora": True}, "an adapter of groups (use_qalora)"),
        (
            {**adapters.lora(), f"{Q0}.lora_B.bias": torch.ones(24)},
            CONFIG,
            "a bias of the adapter's own is not replayed",
        ),
        (
            {**adapters.lora(), f"{Q0}.lora_magnitude_vector": torch.ones(5)},
            CONFIG,
            "its magnitudes are float32 of [5]",
        ),
    ],
)
def test_what_is_not_replayed_is_said_and_nothing_is_proven(
    tmp_path: Path, adapter: adapters.State, config: adapters.Config, said: str
) -> None:
    proof = prove(tmp_path, adapter, config)
    assert proof.outcome is ProofOutcome.NOT_PROVEN
    assert any(said in part.reason for part in proof.unmerged), proof.unmerged
    assert said in " ".join(ckpttool.render(proof).split())


def test_a_folder_without_an_adapter_and_one_without_its_configuration_are_wrong_usage(
    tmp_path: Path,
) -> None:
    with pytest.raises(UsageError, match="beside the adapter"):
        prove(tmp_path, adapters.lora(), None)
    source = str(tmp_path / "a.safetensors")
    with pytest.raises(UsageError, match="there is no adapter in the folder"):
        ckpttool.prove(source, source, adapter=tmp_path)


def test_a_configuration_that_is_written_as_advised_is_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        prove(tmp_path, adapters.lora(), None)
    advised = str(caught.value.fix).partition("{")[2].rpartition("}")[0]
    text = "{" + advised.replace("RANK", "4").replace("ALPHA", "8") + "}"
    assert json.loads(text) == CONFIG
    (tmp_path / "lora" / "adapter_config.json").write_text(text)
    paths = [tmp_path / f"{side}.safetensors" for side in "ba"]
    proof = ckpttool.prove(*paths, adapter=tmp_path / "lora")
    assert proof.outcome is ProofOutcome.PROVEN


def test_an_adapter_that_is_an_attack_or_broken_is_never_proven(tmp_path: Path) -> None:
    before = adapters.base()
    source = adapters.save(tmp_path, "a.safetensors", before)
    (tmp_path / "adapter_config.json").write_text(json.dumps(CONFIG))
    attack = checkpoints.saved(tmp_path, checkpoints.attack_beside)
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"\x08\0\0\0\0\0\0\0{")
    for adapter in (attack, broken, tmp_path / "none.safetensors"):
        proof = ckpttool.prove(source, source, adapter=adapter)
        assert proof.outcome is ProofOutcome.CANNOT_TELL
        assert proof.findings
        assert "the adapter cannot be" in ckpttool.render(proof)


def test_a_model_is_no_adapter(tmp_path: Path) -> None:
    source = adapters.save(tmp_path, "a.safetensors", adapters.base())
    other = adapters.save(tmp_path, "b.safetensors", adapters.base(seed=40))
    # each of its tensors could stand in A's place, and everything be proven from anything
    proof = ckpttool.prove(other, source, adapter=other)
    assert proof.outcome is ProofOutcome.CANNOT_TELL
    assert "no part of a LoRA adapter" in proof.findings[0].message


def test_an_alpha_that_is_no_number_is_said(tmp_path: Path) -> None:
    adapter = {**adapters.lora(), f"{Q0}.alpha": torch.tensor(float("nan"))}
    proof = prove(tmp_path, adapter)
    assert [part.reason for part in proof.unmerged] == ["its alpha is no finite number"]


def test_hostile_names_of_modules_are_shown_and_harmless(tmp_path: Path) -> None:
    odd = ["\x1b[31mred", "..", "a" * 5000, "model.layers.{0}", ""]
    adapter = {f"{name}.lora_{part}.weight": torch.ones(4, 4) for name in odd for part in "AB"}
    proof = prove(tmp_path, adapter)
    assert proof.outcome is ProofOutcome.NOT_PROVEN
    assert "\x1b" not in ckpttool.render(proof)
    json.loads(ckpttool.render(proof, "json"))
