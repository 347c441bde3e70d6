"""What is read of an adapter, and what is no adapter."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import ckpttool
from ckpttool.findings.errors import UsageError
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
            "its int32 is not a type that is multiplied",
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
    assert [part.reason for part in proof.unmerged] == ["its alpha is not a finite number"]


def test_hostile_names_of_modules_are_shown_and_harmless(tmp_path: Path) -> None:
    odd = ["\x1b[31mred", "..", "a" * 5000, "model.layers.{0}", ""]
    adapter = {f"{name}.lora_{part}.weight": torch.ones(4, 4) for name in odd for part in "AB"}
    proof = prove(tmp_path, adapter)
    assert proof.outcome is ProofOutcome.NOT_PROVEN
    assert "\x1b" not in ckpttool.render(proof)
    json.loads(ckpttool.render(proof, "json"))
