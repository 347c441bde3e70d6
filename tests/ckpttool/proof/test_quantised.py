"""Dequantised is proven bit for bit, quantised within half a step, and all else is named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Dict

import pytest
import torch
from safetensors.torch import load_file, save_file

import ckpttool
from ckpttool.proof.result import Explained, Operation, Proof, ProofOutcome
from tests.builders import checkpoints, kinds, quantized_models
from tests.builders.repository import ROOT

pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")

State = Dict[str, torch.Tensor]
FOLDERS = ("compressed-tensors-0.20.0", "bitsandbytes-0.50.2")
WRITTEN = {
    path.name.split(".")[0]: path.with_name(path.name.split(".")[0])
    for folder in FOLDERS
    for path in sorted((ROOT / "tests" / "fixtures" / folder).glob("*.expected.safetensors"))
}
#: Those of schemes that are not undone.
NOT_UNDONE = ("nvfp4", "int4-group-zero-points", "int4-channel-bf16")
LAYER = "model.layers.0.mlp.up_proj"
WEIGHT = f"{LAYER}.weight"


def quantised(folder: Path, stem: str) -> tuple[Path, State]:
    """A file that a library wrote, and the same with the weight that it reads, or that it had."""
    folder.mkdir()
    source = WRITTEN[stem]
    shutil.copy(f"{source}.safetensors", folder / "model.safetensors")
    shutil.copy(f"{source}.json", folder / "config.json")
    state = load_file(folder / "model.safetensors")
    expected = load_file(f"{source}.expected.safetensors")
    rest = {name: state[name] for name in ("model.norm.weight", f"{LAYER}.bias")}
    return folder / "model.safetensors", {**rest, **expected}


def saved(folder: Path, state: State, config: Any = None, name: str = "model") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.safetensors"
    save_file({key: one.contiguous().clone() for key, one in state.items()}, path)
    if config is not None:
        (folder / "config.json").write_text(json.dumps({"quantization_config": config}))
    return path


def plain(folder: Path, state: State, which: str) -> Path:
    """The model with its weight as numbers: what is read, or what was quantized (``before``)."""
    rest = {name: one for name, one in state.items() if not name.startswith(f"{LAYER}.w")}
    weight = state[WEIGHT if which == "read" else f"{LAYER}.before"]
    rest.pop(f"{LAYER}.before")
    return saved(folder, {**rest, WEIGHT: weight})


def of(proof: Proof, operation: Operation) -> list[Explained]:
    return [one for one in proof.explained if operation in one.operations]


# --- dequantised --------------------------------------------------------------------------


@pytest.mark.parametrize("stem", [stem for stem in WRITTEN if stem not in NOT_UNDONE])
def test_what_a_library_reads_is_proven(stem: str, tmp_path: Path) -> None:
    source, state = quantised(tmp_path / "a", stem)
    made = plain(tmp_path / "b", state, "read")
    proof = ckpttool.prove(made, source)
    assert proof.outcome is ProofOutcome.PROVEN, proof.unexplained
    (found,) = of(proof, Operation.DEQUANTISED)
    assert found.names == (WEIGHT,)
    assert set(found.sources) == load_file(source).keys() - state.keys() | {found.sources[0]}
    assert not proof.missing
    assert (Operation.CAST in found.operations) is (state[WEIGHT].dtype == torch.bfloat16)
    assert found.quantisation is not None


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    "build",
    [
        quantized_models.fp8_in_blocks,
        quantized_models.fp8_of_tensors,
        quantized_models.int8_of_channels,
        quantized_models.llm_int8,
        quantized_models.mxfp4_experts,
        quantized_models.mxfp4_packed,
    ],
)
def test_what_convert_dequantises_is_proven(build: Any, dtype: str, tmp_path: Path) -> None:
    model = build()
    source = saved(tmp_path / "a", model.tensors, model.config)
    target = tmp_path / "b.safetensors"
    done = ckpttool.convert(source, target, to="safetensors", dequantise=dtype, sync=False)
    assert done.exit_code == 0
    proof = ckpttool.prove(target, source)
    assert proof.outcome is ProofOutcome.PROVEN, (proof.unexplained, proof.missing)
    assert proof.counts[Operation.DEQUANTISED] == len(done.dequantised)
    assert bool(proof.counts[Operation.CAST]) is (dtype == "bfloat16")
    state = load_file(target)
    for weight in done.dequantised[:2]:
        spoilt = state[weight.name].clone()
        spoilt.view(-1)[-1] += 1
        wrong = saved(tmp_path / "c", {**state, weight.name: spoilt})
        proof = ckpttool.prove(wrong, source)
        assert proof.outcome is ProofOutcome.NOT_PROVEN
        assert [one.name for one in proof.unexplained] == [weight.name]
        assert "A's, dequantised," in proof.unexplained[0].reason or (
            "1 of" in proof.unexplained[0].reason
        )


def test_a_receipt_says_what_was_dequantised(tmp_path: Path) -> None:
    source, state = quantised(tmp_path / "a", "fp8-block")
    made = plain(tmp_path / "b", state, "read")
    proof = ckpttool.prove(made, source, receipt=tmp_path / "r.json")
    assert proof.outcome is ProofOutcome.PROVEN
    schema = json.loads((ROOT / "docs" / "schema" / "proof-receipt.schema.json").read_text())
    receipt = json.loads((tmp_path / "r.json").read_text())
    pytest.importorskip("jsonschema").validate(receipt, schema)
    told = {one["name"]: one for one in receipt["tensors"]}
    assert told[WEIGHT]["operations"] == ["dequantised"]
    assert told[WEIGHT]["from"] == [WEIGHT, f"{LAYER}.weight_scale"]
    # digests of B's tensors stand for them in the next proof
    assert ckpttool.prove(made, tmp_path / "r.json").outcome is ProofOutcome.PROVEN


def test_a_weight_that_was_not_written_is_missing_with_its_scale(tmp_path: Path) -> None:
    source, state = quantised(tmp_path / "a", "fp8-block")
    made = saved(tmp_path / "b", {f"{LAYER}.bias": state[f"{LAYER}.bias"]})
    proof = ckpttool.prove(made, source, allow_missing=["model.norm.*"])
    assert proof.outcome is ProofOutcome.NOT_PROVEN
    missing = {one.name: one.dtype for one in proof.not_allowed}
    assert missing == {WEIGHT: "float8_e4m3fn", f"{LAYER}.weight_scale": "float32"}
    more = ["model.norm.*", f"{LAYER}.weight_scale", WEIGHT]
    assert ckpttool.prove(made, source, allow_missing=more).outcome is ProofOutcome.PROVEN


def test_another_layout_of_dequantised_weights_is_proven(tmp_path: Path) -> None:
    state = kinds.encoder()
    name = "blocks.0.attn.qkv.weight"
    codes = state[name].to(torch.float8_e4m3fn)
    scale = {"blocks.0.attn.qkv.weight_scale": torch.tensor(0.5)}
    source = Path(checkpoints.saved(tmp_path, lambda: {**state, name: codes, **scale}))
    options: Any = {"layout": "hf", "dequantise": "bfloat16", "sync": False}
    done = ckpttool.convert(source, tmp_path / "b.safetensors", to="safetensors", **options)
    assert done.exit_code == 0, done.findings
    proof = ckpttool.prove(tmp_path / "b.safetensors", source)
    assert proof.outcome is ProofOutcome.PROVEN, proof.unexplained
    (found,) = of(proof, Operation.DEQUANTISED)
    assert found.operations == (Operation.SPLIT, Operation.DEQUANTISED, Operation.CAST)
    assert len(found.names) == 3


def test_a_weight_without_its_scale_proves_nothing(tmp_path: Path) -> None:
    source, state = quantised(tmp_path / "a", "fp8-block")
    parts = load_file(source)
    del parts[f"{LAYER}.weight_scale"]
    saved(tmp_path / "a", parts)
    proof = ckpttool.prove(plain(tmp_path / "b", state, "read"), source)
    assert proof.outcome is ProofOutcome.NOT_PROVEN
    (found,) = proof.unexplained
    assert f"its scale is missing: {LAYER}.weight_scale" in found.reason


@pytest.mark.parametrize("stem", NOT_UNDONE)
@pytest.mark.parametrize("backwards", [False, True])
def test_a_scheme_that_is_not_undone_leaves_it_open(
    stem: str, backwards: bool, tmp_path: Path
) -> None:
    source, state = quantised(tmp_path / "a", stem)
    sides = plain(tmp_path / "b", state, "read"), source
    proof = ckpttool.prove(*(sides[::-1] if backwards else sides))
    assert proof.outcome is ProofOutcome.CANNOT_TELL
    assert all("is not undone here" in one.reason for one in proof.unexplained)
    assert not proof.missing


def test_a_copy_of_another_weight_in_the_place_of_such_a_one_leaves_it_missing(
    tmp_path: Path,
) -> None:
    made, state = quantised(tmp_path / "a", "nvfp4")
    other = {"other.weight": torch.randn(8, 8)}
    codes = {name: one for name, one in state.items() if not name.endswith(".before")}
    source = saved(tmp_path / "a", {**load_file(made), **other})
    rest = {name: one for name, one in codes.items() if not name.startswith(f"{LAYER}.w")}
    result = saved(tmp_path / "b", {**rest, **other, WEIGHT: other["other.weight"]})
    proof = ckpttool.prove(result, source)
    assert proof.outcome is ProofOutcome.NOT_PROVEN
    assert {one.name for one in proof.missing} == {
        name for name in load_file(made) if name.startswith(f"{LAYER}.w")
    }


def test_a_weight_of_such_a_scheme_that_is_not_there_is_missing(tmp_path: Path) -> None:
    source, state = quantised(tmp_path / "a", "nvfp4")
    made = saved(tmp_path / "b", {f"{LAYER}.bias": state[f"{LAYER}.bias"]})
    proof = ckpttool.prove(made, source, allow_missing=["model.norm.*"])
    assert proof.outcome is ProofOutcome.NOT_PROVEN
    assert len(proof.not_allowed) == 3


# --- quantised ----------------------------------------------------------------------------


@pytest.mark.parametrize("stem", [stem for stem in WRITTEN if stem not in NOT_UNDONE])
def test_what_a_library_quantised_is_proven(stem: str, tmp_path: Path) -> None:
    made, state = quantised(tmp_path / "b", stem)
    source = plain(tmp_path / "a", state, "before")
    proof = ckpttool.prove(made, source)
    assert proof.outcome is ProofOutcome.PROVEN, proof.unexplained
    (found,) = of(proof, Operation.QUANTISED)
    assert found.sources == (WEIGHT,)
    assert set(found.names) == load_file(made).keys() - {"model.norm.weight", f"{LAYER}.bias"}
    # compressed-tensors divides in the type of the weights
    rounded = stem.endswith("bf16")
    assert found.quantisation is not None
    assert bool(found.quantisation.rounded) is rounded


@pytest.mark.parametrize("stem", ["fp8-block", "int8-group-zero-points", "mxfp4", "int8"])
def test_another_code_is_named_with_its_place(stem: str, tmp_path: Path) -> None:
    made, state = quantised(tmp_path / "b", stem)
    source = plain(tmp_path / "a", state, "before")
    parts = load_file(made)
    name = WEIGHT if WEIGHT in parts else f"{LAYER}.weight_packed"
    row = parts[name].view(torch.uint8)[7]
    row[9] ^= 0x11
    proof = ckpttool.prove(saved(tmp_path / "b", parts), source)
    assert proof.outcome is ProofOutcome.NOT_PROVEN
    assert {one.name for one in proof.unexplained} >= {name}
    (reason,) = {one.reason for one in proof.unexplained}
    number, place = ("2", "[7, 18]") if stem == "mxfp4" else ("1", "[7, 9]")
    assert reason.startswith(f"{number} of {state[WEIGHT].numel():,} elements of A are further")
    assert reason.endswith(f"the first at {place}")


def test_another_scale_is_named(tmp_path: Path) -> None:
    made, state = quantised(tmp_path / "b", "fp8-channel-bf16")
    source = plain(tmp_path / "a", state, "before")
    parts = load_file(made)
    parts[f"{LAYER}.weight_scale"][3] *= 2
    proof = ckpttool.prove(saved(tmp_path / "b", parts), source)
    assert proof.outcome is ProofOutcome.NOT_PROVEN
    assert "the first at [3, 0]" in proof.unexplained[0].reason


@pytest.mark.parametrize("scale", [1.0, 1e30, float("inf")])
@pytest.mark.parametrize("stem", ["fp8-channel-bf16", "int8-channel-bf16"])
def test_codes_of_zeros_stand_for_zeros_alone(stem: str, scale: float, tmp_path: Path) -> None:
    made, state = quantised(tmp_path / "b", stem)
    source = plain(tmp_path / "a", state, "before")
    parts = load_file(made)
    parts[WEIGHT] = torch.zeros_like(parts[WEIGHT])
    parts[f"{WEIGHT}_scale"] = torch.full_like(parts[f"{WEIGHT}_scale"], scale)
    proof = ckpttool.prove(saved(tmp_path / "b", parts), source)
    assert proof.outcome is ProofOutcome.NOT_PROVEN
    assert {one.name for one in proof.unexplained} == {WEIGHT, f"{WEIGHT}_scale"}
    zeros = saved(tmp_path / "a", {**load_file(source), WEIGHT: torch.zeros_like(state[WEIGHT])})
    proof = ckpttool.prove(made, zeros)
    assert (proof.outcome is ProofOutcome.PROVEN) is (scale != float("inf"))


def test_experts_of_gpt_oss_are_proven_both_ways(tmp_path: Path) -> None:
    model = quantized_models.mxfp4_experts()
    packed = saved(tmp_path / "b", model.tensors, model.config)
    target = tmp_path / "a.safetensors"
    done = ckpttool.convert(packed, target, to="safetensors", dequantise="bfloat16", sync=False)
    proof = ckpttool.prove(packed, target)
    assert proof.outcome is ProofOutcome.PROVEN, proof.unexplained
    state = load_file(target)
    name = done.dequantised[0].name
    state[name][1, 2, 3] += state[name].abs().max() * 8
    proof = ckpttool.prove(packed, saved(tmp_path / "c", state))
    assert proof.outcome is ProofOutcome.NOT_PROVEN
    assert "the first at [1, 2, 3]" in proof.unexplained[0].reason


def test_names_of_a_layout_are_held_to_codes(tmp_path: Path) -> None:
    """A's fused query, key and value against three weights of codes."""
    state = kinds.encoder()
    source = Path(checkpoints.saved(tmp_path, lambda: state))
    target = tmp_path / "b.safetensors"
    options: Any = {"layout": "hf", "sync": False}
    assert ckpttool.convert(source, target, to="safetensors", **options).exit_code == 0
    parts = load_file(target)
    names = [name for name in parts if "layer.0" in name and name.endswith("query.weight")]
    names += [name.replace("query", other) for name in names for other in ("key", "value")]
    assert len(names) == 3
    for name in names:
        scale = parts[name].abs().max() / 448
        parts[name] = (parts[name] / scale).to(torch.float8_e4m3fn)
        parts[f"{name}_scale"] = scale
    proof = ckpttool.prove(saved(tmp_path / "c", parts), source)
    assert proof.outcome is ProofOutcome.PROVEN, proof.unexplained
    (found,) = of(proof, Operation.QUANTISED)
    assert found.operations == (Operation.SPLIT, Operation.QUANTISED)
    assert len(found.names) == 6
    parts[names[1]].view(torch.uint8)[0, 0] ^= 0x20
    proof = ckpttool.prove(saved(tmp_path / "c", parts), source)
    assert {one.name for one in proof.unexplained} == {names[1], f"{names[1]}_scale"}


# --- neither ------------------------------------------------------------------------------


def test_a_copy_of_a_quantized_file_is_identical(tmp_path: Path) -> None:
    model = quantized_models.fp8_in_blocks()
    source = saved(tmp_path / "a", model.tensors, model.config)
    made = saved(tmp_path / "b", model.tensors, model.config)
    proof = ckpttool.prove(made, source)
    assert proof.outcome is ProofOutcome.PROVEN
    assert proof.counts[Operation.IDENTICAL] == len(model.tensors)


def test_weights_that_were_quantized_in_part_are_each_what_they_are(tmp_path: Path) -> None:
    model = quantized_models.fp8_in_blocks()
    source = saved(tmp_path / "a", model.tensors, model.config)
    target = tmp_path / "b.safetensors"
    done = ckpttool.convert(source, target, to="safetensors", dequantise="float32", sync=False)
    first = done.dequantised[0]
    parts = {name: model.tensors[name] for name in first.parts.values()}
    made = saved(tmp_path / "c", {**load_file(target), **parts}, model.config)
    proof = ckpttool.prove(made, source)
    assert proof.outcome is ProofOutcome.PROVEN, (proof.unexplained, proof.missing)
    assert proof.counts[Operation.DEQUANTISED] == len(done.dequantised) - 1


def test_codes_that_repeat_a_byte_are_not_decoded(tmp_path: Path) -> None:
    codes = torch.zeros(1, dtype=torch.uint8).view(torch.float8_e4m3fn).expand(1 << 20, 1 << 12)
    state = {"a.weight": codes, "a.weight_scale": torch.ones(1)}
    source = Path(checkpoints.saved(tmp_path, lambda: state))
    proof = ckpttool.prove(saved(tmp_path / "b", {"a.weight": torch.ones(2, 2)}), source)
    assert proof.outcome is not ProofOutcome.PROVEN
