"""Dequantised weights are what their own libraries read, and nothing else of the file changes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict

import pytest
import torch
from safetensors.torch import load_file, save_file

import ckpttool
from ckpttool.conversion.result import NOT_WRITTEN, PLANNED, WRITTEN
from ckpttool.findings import rules
from tests.builders import checkpoints, kinds, quantized_models
from tests.builders.repository import ROOT

if TYPE_CHECKING:
    from ckpttool.conversion.result import Conversion

# torch 2.0 warns of its own use of a class when it saves and loads.
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")

State = Dict[str, torch.Tensor]
FIXTURES = ROOT / "tests" / "fixtures"
#: Files that compressed-tensors and bitsandbytes wrote, each beside what it reads itself.
READ_BACK = sorted(
    path
    for folder in ("compressed-tensors-0.20.0", "bitsandbytes-0.50.2")
    for path in (FIXTURES / folder).glob("*.expected.safetensors")
)
LAYER = "model.layers.0.mlp.up_proj"
MODEL = "model.safetensors"


def folder_of(folder: Path, state: State, config: Any = None) -> Path:
    """A model as the hub has it, and its file."""
    folder.mkdir(exist_ok=True)
    save_file({name: one.contiguous().clone() for name, one in state.items()}, folder / MODEL)
    if config is not None:
        text = json.dumps({"model_type": "llama", "quantization_config": config})
        (folder / "config.json").write_text(text)
    return folder / MODEL


def in_shards(folder: Path, *shards: State) -> Path:
    """The same, one file for each, with an index."""
    folder.mkdir(exist_ok=True)
    names = {}
    for number, state in enumerate(shards, 1):
        name = f"model-{number:05}-of-{len(shards):05}.safetensors"
        save_file(state, folder / name)
        names.update(dict.fromkeys(state, name))
    path = folder / f"{MODEL}.index.json"
    path.write_text(json.dumps({"metadata": {}, "weight_map": names}))
    return path


def run(source: Path, to_type: str = "bfloat16", **options: Any) -> Conversion:
    out = source.parent / "out"
    out.mkdir(exist_ok=True)
    options = {"to": "safetensors", "sync": False, "dequantise": to_type, **options}
    return ckpttool.convert(source, options.pop("destination", out), **options)


def written(converted: Conversion) -> State:
    assert converted.state == WRITTEN, converted.findings
    state: State = {}
    for file in converted.outputs:
        if file.tensors:
            state.update(load_file(file.path))
    return state


def same(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether type, shape and bits are the same."""
    raw = [tensor.contiguous().flatten().view(torch.uint8) for tensor in (one, other)]
    return one.dtype == other.dtype and one.shape == other.shape and torch.equal(*raw)


def blocks(rows: int, columns: int, block: int = 128) -> State:
    """A weight of fine-grained fp8, and what is beside it."""
    codes = torch.randn(rows, columns).clamp(-3, 3).to(torch.float8_e4m3fn)
    grid = torch.rand(-(-rows // block), -(-columns // block)) / 100
    return {f"{LAYER}.weight": codes, f"{LAYER}.weight_scale_inv": grid}


def by_hand(state: State, block: int = 128) -> torch.Tensor:
    """The float32 product of codes and spread scales."""
    codes, scale = state[f"{LAYER}.weight"].float(), state[f"{LAYER}.weight_scale_inv"].float()
    spread = scale.repeat_interleave(block, 0).repeat_interleave(block, 1)
    return codes * spread[: codes.shape[0], : codes.shape[1]]


# --- the numbers --------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("path", READ_BACK, ids=lambda path: path.name.split(".")[0])
def test_a_file_is_read_as_its_own_library_reads_it(path: Path, dtype: str, tmp_path: Path) -> None:
    stem = path.name[: -len(".expected.safetensors")]
    shutil.copy(path.with_name(f"{stem}.safetensors"), tmp_path / MODEL)
    shutil.copy(path.with_name(f"{stem}.json"), tmp_path / "config.json")
    source, expected = load_file(tmp_path / MODEL), load_file(path)[f"{LAYER}.weight"]
    converted = run(tmp_path / MODEL, dtype)
    if stem in ("nvfp4", "int4-group-zero-points", "int4-channel-bf16"):
        assert (converted.state, converted.exit_code) == (NOT_WRITTEN, 2)
        return
    found = written(converted)
    weight = found.pop(f"{LAYER}.weight")
    assert weight.dtype == getattr(torch, dtype)
    # theirs may be rounded to the type of their scales, and ours to the one that was asked for
    narrow = min((expected.dtype, weight.dtype), key=lambda one: torch.finfo(one).bits)
    assert same(weight.to(narrow), expected.to(narrow))
    assert found.keys() == {"model.norm.weight", f"{LAYER}.bias"}
    assert all(same(one, source[name]) for name, one in found.items())


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_fine_grained_fp8_is_what_transformers_makes_of_it(dtype: str, tmp_path: Path) -> None:
    there = pytest.importorskip("transformers.integrations.finegrained_fp8").Fp8Dequantize(None)
    state = blocks(256, 384)
    found = written(run(folder_of(tmp_path, state), dtype))
    expected = there._dequantize_one(
        state[f"{LAYER}.weight"], state[f"{LAYER}.weight_scale_inv"], getattr(torch, dtype)
    )
    assert found.keys() == {f"{LAYER}.weight"}
    assert same(found[f"{LAYER}.weight"], expected)


@pytest.mark.parametrize("shape", [(300, 200), (1, 129), (128, 128), (5, 7)], ids=str)
def test_the_last_block_of_an_axis_may_be_shorter(shape: tuple[int, int], tmp_path: Path) -> None:
    state = blocks(*shape)
    found = written(run(folder_of(tmp_path, state)))
    assert same(found[f"{LAYER}.weight"], by_hand(state).bfloat16())


@pytest.mark.parametrize("kind", ["bfloat16", "float16", "float8_e8m0fnu"])
def test_scales_of_other_types_are_widened(kind: str, tmp_path: Path) -> None:
    """DeepSeek-V3.1 and Kimi K2 have powers of two (``ue8m0``)."""
    if not hasattr(torch, kind):
        pytest.skip("this torch has no such type")
    state = blocks(300, 200)
    scale = f"{LAYER}.weight_scale_inv"
    if kind == "float8_e8m0fnu":
        state[scale] = torch.exp2(torch.randint(-9, 3, state[scale].shape).float())
    state[scale] = state[scale].to(getattr(torch, kind))
    found = written(run(folder_of(tmp_path, state), "float32"))
    assert same(found[f"{LAYER}.weight"], by_hand(state))


def test_blocks_are_those_of_the_configuration(tmp_path: Path) -> None:
    """Of 300 rows, 5 blocks are 60 rows each, or 64 with a shorter last one."""
    state = blocks(300, 256, 64)
    config = {"quant_method": "fp8", "weight_block_size": [64, 64]}
    found = written(run(folder_of(tmp_path, state, config), "float32"))
    assert same(found[f"{LAYER}.weight"], by_hand(state, 64))


def test_codes_that_are_no_numbers_stay_none(tmp_path: Path) -> None:
    state = blocks(2, 300)
    state[f"{LAYER}.weight"].view(torch.uint8)[0, :3] = torch.tensor([0x7F, 0xFF, 0x80])
    found = written(run(folder_of(tmp_path, state)))[f"{LAYER}.weight"]
    assert found[0, :2].isnan().all()
    assert found[0, 2] == 0
    assert found[0, 2].signbit()
    assert not found[0, 3:].isnan().any()


def test_experts_of_gpt_oss_lie_as_transformers_has_them(tmp_path: Path) -> None:
    there = pytest.importorskip("transformers.integrations.mxfp4").convert_moe_packed_tensors
    model = quantized_models.mxfp4_experts()
    found = written(run(folder_of(tmp_path, model.tensors, model.config)))
    names = [name[: -len("_blocks")] for name in model.tensors if name.endswith("_blocks")]
    assert names
    for name in names:
        parts = [model.tensors[f"{name}_{part}"] for part in ("blocks", "scales")]
        assert same(found.pop(name), there(*parts, dtype=torch.bfloat16))
    rest = {name for name in model.tensors if not name.endswith(("_blocks", "_scales"))}
    assert found.keys() == rest


def test_a_model_of_many_weights_has_all_of_them(tmp_path: Path) -> None:
    model = quantized_models.fp8_in_blocks()
    found = written(run(folder_of(tmp_path, model.tensors, model.config)))
    assert found.keys() == {name for name in model.tensors if not name.endswith("_inv")}
    for name, weight in found.items():
        if f"{name}_scale_inv" not in model.tensors:
            assert same(weight, model.tensors[name])


def test_scales_of_inputs_go_too(tmp_path: Path) -> None:
    model = quantized_models.fp8_of_tensors()
    converted = run(folder_of(tmp_path, model.tensors, model.config))
    found = written(converted)
    assert not any("scale" in name for name in found)
    assert {"scale", "input_scale"} <= converted.dequantised[0].parts.keys()


@pytest.mark.parametrize("shape", [(0, 128), (128, 0)], ids=str)
def test_an_empty_weight_is_decoded(shape: tuple[int, int], tmp_path: Path) -> None:
    weight = torch.empty(shape).to(torch.float8_e4m3fn)
    scale = {f"{LAYER}.weight_scale": torch.ones(1)}
    state = {
        f"{LAYER}.weight": weight,
        **scale,
        "a.weight": torch.ones(2),
        "b.weight": torch.ones(2),
    }
    found = written(run(folder_of(tmp_path, state)))
    assert found[f"{LAYER}.weight"].shape == shape


# --- with other options -------------------------------------------------------------------


def test_a_scale_in_another_shard_is_found(tmp_path: Path) -> None:
    """A script that looks into one shard at a time loses such a weight."""
    state = blocks(300, 200)
    (weight, codes), (scale, grid) = state.items()
    source = in_shards(tmp_path, {"a": torch.ones(3), scale: grid}, {weight: codes})
    converted = run(source, max_shard_size=60_000)
    assert len(converted.outputs) == 3  # two and the index
    found = written(converted)
    assert found.keys() == {"a", weight}
    assert same(found[weight], by_hand(state).bfloat16())


def test_dtype_casts_the_others_alone(tmp_path: Path) -> None:
    state = {**blocks(4, 4), f"{LAYER}.bias": torch.rand(4), "steps": torch.arange(3)}
    found = written(run(folder_of(tmp_path, state), "float32", dtype="float16"))
    assert found[f"{LAYER}.weight"].dtype == torch.float16
    assert same(found[f"{LAYER}.weight"], by_hand(state).half())
    assert same(found[f"{LAYER}.bias"], state[f"{LAYER}.bias"].half())
    assert found["steps"].dtype == torch.int64
    found = written(run(folder_of(tmp_path, state), "bfloat16", force=True))
    assert found[f"{LAYER}.bias"].dtype == torch.float32


def test_rows_are_split_and_renamed_by_a_layout(tmp_path: Path) -> None:
    """Query, key and value of one fused weight, whose scale is that of the whole."""
    state = {name: one.float() for name, one in kinds.encoder().items()}
    name = "blocks.0.attn.qkv.weight"
    codes, scale = state[name].to(torch.float8_e4m3fn), torch.tensor(0.5)
    source = folder_of(tmp_path, {**state, name: codes, "blocks.0.attn.qkv.weight_scale": scale})
    found = written(run(source, "float32", layout="hf", encoder_only=True))
    parts = [
        one
        for kind in ("query", "key", "value")
        for key, one in found.items()
        if "layer.0." in key and key.endswith(f"{kind}.weight")
    ]
    assert same(torch.cat(parts), codes.float() * 0.5)


def test_names_are_chosen_by_those_of_the_weights(tmp_path: Path) -> None:
    state = {**blocks(4, 4), "b.weight": torch.ones(2)}
    source = folder_of(tmp_path, state)
    assert written(run(source, exclude=["b*"])).keys() == {f"{LAYER}.weight"}
    with_all = run(source, rename={"model.*": "m.*"}, force=True)
    assert written(with_all).keys() == {f"m{LAYER[5:]}.weight", "b.weight"}


def test_a_pth_is_written_and_read(tmp_path: Path) -> None:
    state = blocks(40, 30)
    tied = {**state, "tied.weight": state[f"{LAYER}.weight"]}
    tied["tied.weight_scale_inv"] = state[f"{LAYER}.weight_scale_inv"]
    source = Path(checkpoints.saved(tmp_path, lambda: tied))
    converted = run(source, to="pth", destination=tmp_path / "out.pth")
    assert converted.state == WRITTEN
    assert converted.proof is not None
    assert converted.proof.checksums == 2  # those of codes and scales
    found = torch.load(tmp_path / "out.pth", weights_only=True)
    assert found.keys() == {f"{LAYER}.weight", "tied.weight"}
    weights = list(found.values())
    assert weights[0].data_ptr() == weights[1].data_ptr()
    assert same(weights[0], by_hand(state).bfloat16())


def test_damaged_codes_are_noticed_by_their_stored_sum(tmp_path: Path) -> None:
    state = blocks(40, 30)
    source = Path(checkpoints.saved(tmp_path, lambda: state))
    raw = bytearray(source.read_bytes())
    at = raw.index(state[f"{LAYER}.weight"].view(torch.uint8).numpy().tobytes())
    raw[at] ^= 1
    source.write_bytes(raw)
    converted = run(source)
    assert (converted.state, converted.exit_code) == (NOT_WRITTEN, 1)
    assert converted.findings[0].rule is rules.CHECKSUM


def test_a_dry_run_reads_no_weight(tmp_path: Path) -> None:
    converted = run(folder_of(tmp_path, blocks(4, 4)), dry_run=True)
    assert converted.state == PLANNED
    assert [weight.name for weight in converted.dequantised] == [f"{LAYER}.weight"]
    assert not list((tmp_path / "out").iterdir())


def test_a_receipt_has_what_was_decoded_from_what(tmp_path: Path) -> None:
    state = {**blocks(40, 30), f"{LAYER}.bias": torch.rand(40)}
    source = folder_of(tmp_path, state)
    converted = run(source, receipt=tmp_path / "r.json")
    receipt = json.loads((tmp_path / "r.json").read_text())
    (told,) = receipt["dequantised"]
    assert told["parts"] == {"codes": f"{LAYER}.weight", "scale": f"{LAYER}.weight_scale_inv"}
    again = ckpttool.convert(
        source, tmp_path / "copy.safetensors", to="safetensors", receipt=tmp_path / "c.json"
    )
    copied = {one["name"]: one for one in json.loads((tmp_path / "c.json").read_text())["tensors"]}
    assert told["sha256"] == {name: copied[name]["sha256"] for name in told["parts"].values()}
    by_name = {one["name"]: one for one in receipt["tensors"]}
    assert by_name[f"{LAYER}.weight"]["source"] == {
        "dtype": "float8_e4m3fn",
        "sha256": copied[f"{LAYER}.weight"]["sha256"],
    }
    # the fingerprint of the source is what it is without dequantising
    assert receipt["source"]["fingerprint"] == again.file.fingerprint
    assert receipt["result"]["fingerprint"] != again.file.fingerprint
    assert converted.fingerprint == receipt["result"]["fingerprint"]


# --- the configuration --------------------------------------------------------------------


def test_the_configuration_is_written_without_its_claim(tmp_path: Path) -> None:
    config = {"quant_method": "fp8", "weight_block_size": [128, 128]}
    converted = run(folder_of(tmp_path, blocks(4, 4), config))
    assert json.loads((tmp_path / "out" / "config.json").read_text()) == {"model_type": "llama"}
    assert not converted.findings
    assert "quantization_config" in (tmp_path / "config.json").read_text()


def test_a_configuration_that_claims_it_is_named(tmp_path: Path) -> None:
    config = {"quant_method": "fp8", "weight_block_size": [128, 128]}
    source = folder_of(tmp_path, blocks(4, 4), config)
    beside = run(source, destination=tmp_path / "plain.safetensors")
    assert [one.rule for one in beside.findings] == [rules.CONFIG_CLAIMS]
    assert beside.state == WRITTEN
    claim = (tmp_path / "config.json").read_text()
    (tmp_path / "out" / "config.json").write_text(claim)
    assert [one.rule for one in run(source).findings] == [rules.CONFIG_CLAIMS]
    assert (tmp_path / "out" / "config.json").read_text() == claim
    assert not run(source, force=True).findings
    assert "quant" not in (tmp_path / "out" / "config.json").read_text()


def test_a_claim_on_the_language_model_in_a_larger_one_goes_too(tmp_path: Path) -> None:
    source = folder_of(tmp_path, blocks(4, 4), {"quant_method": "fp8"})
    config = json.loads((tmp_path / "config.json").read_text())
    claim = config["quantization_config"]
    config["text_config"] = {"hidden_size": 4, "quantization_config": claim}
    (tmp_path / "config.json").write_text(json.dumps(config))
    run(source)
    told = json.loads((tmp_path / "out" / "config.json").read_text())
    assert told == {"model_type": "llama", "text_config": {"hidden_size": 4}}


def test_a_configuration_beside_the_result_that_claims_nothing_is_kept(tmp_path: Path) -> None:
    source = folder_of(tmp_path, blocks(4, 4), {"quant_method": "fp8"})
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "config.json").write_text('{"mine": 1}')
    assert not run(source).findings
    assert (tmp_path / "out" / "config.json").read_text() == '{"mine": 1}'


def test_no_configuration_is_written_beside_a_file_that_no_loader_looks_for(
    tmp_path: Path,
) -> None:
    source = folder_of(tmp_path, blocks(4, 4), {"quant_method": "fp8"})
    (tmp_path / "out").mkdir()
    converted = run(source, destination=tmp_path / "out" / "plain.safetensors")
    assert [one.rule for one in converted.findings] == [rules.NO_CONFIG]
    assert not (tmp_path / "out" / "config.json").exists()


# --- what is refused ----------------------------------------------------------------------


def without_scale(state: State) -> State:
    return {name: one for name, one in state.items() if not name.endswith("_scale_inv")}


def of_other_blocks(state: State) -> State:
    return {**state, f"{LAYER}.weight_scale_inv": torch.rand(3, 2)}


def of_integers(state: State) -> State:
    return {**state, f"{LAYER}.weight_scale_inv": torch.ones(1, 1, dtype=torch.int32)}


def scale_alone(state: State) -> State:
    return {"a": torch.ones(2), f"{LAYER}.weight_scale_inv": state[f"{LAYER}.weight_scale_inv"]}


def codes_are_plain(state: State) -> State:
    return {**state, f"{LAYER}.weight": state[f"{LAYER}.weight"].float()}


@pytest.mark.parametrize(
    "change", [without_scale, of_other_blocks, of_integers, scale_alone, codes_are_plain]
)
def test_a_weight_that_is_not_whole_is_named(
    change: Callable[[State], State], tmp_path: Path
) -> None:
    state = {**change(blocks(40, 30)), "b": torch.ones(1)}
    config = {"quant_method": "fp8", "weight_block_size": [128, 128]}
    converted = run(folder_of(tmp_path, state, config))
    assert (converted.state, converted.exit_code) == (NOT_WRITTEN, 1)
    (found,) = [one for one in converted.findings if one.rule is rules.NOT_DEQUANTISED]
    assert f"{LAYER}.weight cannot be dequantised" in found.message
    assert not list((tmp_path / "out").iterdir())


def test_a_plain_cast_to_8_bits_is_not_guessed_to_be_one(tmp_path: Path) -> None:
    state = {"a.weight": torch.ones(4, 4).to(torch.float8_e4m3fn)}
    converted = run(folder_of(tmp_path, state))
    assert converted.exit_code == 1
    assert "has no scale" in converted.findings[0].message


def test_what_is_left_out_need_not_be_whole(tmp_path: Path) -> None:
    state = {**blocks(40, 30), "b.weight": torch.ones(4, 4).to(torch.float8_e4m3fn)}
    source = folder_of(tmp_path, state)
    assert run(source).exit_code == 1
    assert written(run(source, exclude=["b.*"])).keys() == {f"{LAYER}.weight"}


@pytest.mark.parametrize(
    ("build", "scheme"),
    [
        (quantized_models.gptq, "GPTQ"),
        (quantized_models.awq, "AWQ"),
        (quantized_models.nf4, "nf4"),
        (quantized_models.pack_quantized, "packed in 32 bits"),
        (quantized_models.nvfp4_of_modelopt, "NVFP4"),
        (quantized_models.nvfp4_packed, "NVFP4"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_scheme_that_is_not_undone_is_named(
    build: Callable[[], quantized_models.Model], scheme: str, tmp_path: Path
) -> None:
    model = build()
    converted = run(folder_of(tmp_path, model.tensors, model.config))
    assert (converted.state, converted.exit_code) == (NOT_WRITTEN, 2)
    assert scheme in converted.findings[-1].message
    assert not list((tmp_path / "out").iterdir())


def test_scaled_inputs_are_not_undone(tmp_path: Path) -> None:
    """Without them the model would compute something else."""
    state = {**blocks(40, 30), f"{LAYER}.pre_quant_scale": torch.rand(30)}
    converted = run(folder_of(tmp_path, state))
    assert converted.exit_code == 2
    assert "inputs are scaled" in converted.findings[-1].message


def test_llm_int8_is_decoded_row_by_row_alone(tmp_path: Path) -> None:
    model = quantized_models.llm_int8()
    names = [name for name in model.tensors if name.endswith("weight_format")]
    state = {**model.tensors, names[0]: torch.tensor(2, dtype=torch.uint8)}
    assert run(folder_of(tmp_path, state, model.config)).exit_code == 2
    # codes that somebody transposed: one scale a column is none of theirs
    name = names[0].replace("weight_format", "weight")
    state = {**model.tensors, name: model.tensors[name].T}
    converted = run(folder_of(tmp_path, state, model.config))
    assert converted.exit_code == 1
    assert "its scale has the shape" in converted.findings[0].message


def test_a_file_without_quantized_weights_is_wrong_usage(tmp_path: Path) -> None:
    converted = run(folder_of(tmp_path, {"a.weight": torch.ones(2, 2)}))
    assert converted.exit_code == 2
    assert "no quantized weight" in converted.findings[0].message


@pytest.mark.parametrize("options", [{"dequantise": "float16"}, {"except_quantized": True}])
def test_what_contradicts_it_is_wrong_usage(options: Any, tmp_path: Path) -> None:
    with pytest.raises(ckpttool.UsageError):
        run(folder_of(tmp_path, blocks(4, 4)), **options)


def test_a_few_bytes_are_not_decoded_into_any_amount_of_numbers(tmp_path: Path) -> None:
    codes = torch.zeros(1, dtype=torch.uint8).view(torch.float8_e4m3fn).expand(1 << 20, 1 << 12)
    state = {"a.weight": codes, "a.weight_scale": torch.ones(1)}
    converted = run(Path(checkpoints.saved(tmp_path, lambda: state)))
    assert converted.exit_code == 1
    assert converted.findings[0].rule is rules.AMPLIFICATION
