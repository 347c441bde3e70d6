"""A checkpoint against the config.json beside it: complete, or what exactly is wrong."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path
from typing import Callable, List, Tuple

import pytest
import torch
from safetensors.torch import save_file

import ckpttool
from ckpttool import Report, Severity, UsageError, Verdict
from tests.builders import hugging_face
from tests.builders.commands import invoke
from tests.builders.hugging_face import Weights, change_config, change_weights, saved, weights_of

pytest.importorskip("transformers")


def verified(path: str, schema: str = "hf") -> Report:
    return ckpttool.verify(path, schema=schema, forward=False)


def told(report: Report) -> List[Tuple[str, Severity, Tuple[str, ...]]]:
    return [(found.rule.code, found.severity, found.tensors) for found in report.findings]


@pytest.mark.parametrize("name", hugging_face.MODELS)
def test_what_save_pretrained_wrote_has_no_finding(tmp_path: Path, name: str) -> None:
    report = verified(weights_of(saved(tmp_path, name)))
    assert (told(report), report.verdict) == ([], Verdict.PASS)
    (file,) = report.files
    assert file.loading is not None
    assert file.loading.filled == file.loading.tensors == file.tensors
    assert file.loading.random == {}


def lose(name: str) -> Callable[[Weights], object]:
    return lambda weights: weights.pop(name)


def reshape(name: str) -> Callable[[Weights], object]:
    return lambda weights: weights.update({name: weights[name][:-1].contiguous()})


QUERY = "model.layers.1.self_attn.q_proj.weight"
EXPERT = "model.layers.1.block_sparse_moe.experts.2.w1.weight"


@pytest.mark.parametrize(
    ("name", "tensor"),
    [("decoder", QUERY), ("experts", EXPERT), ("tied", "model.embed_tokens.weight")],
)
@pytest.mark.parametrize(("defect", "code"), [(lose, "STR022"), (reshape, "STR005")])
def test_a_defect_is_named_exactly(
    tmp_path: Path, name: str, tensor: str, defect: Callable[[str], object], code: str
) -> None:
    path = change_weights(saved(tmp_path, name), defect(tensor))  # type: ignore[arg-type]
    assert told(verified(path)) == [(code, Severity.ERROR, (tensor,))]


def test_a_shard_that_is_missing_is_named(tmp_path: Path) -> None:
    import transformers

    folder = saved(tmp_path, "decoder")
    model = transformers.LlamaForCausalLM.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="20KB")
    assert told(verified(str(folder / "model.safetensors.index.json"))) == []
    gone = sorted(folder.glob("model-*.safetensors"))[1]
    gone.unlink()
    report = verified(str(folder / "model.safetensors.index.json"))
    assert report.exit_code == 1
    assert gone.name in str(report.findings[0])


def store_again(weights: Weights) -> None:
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"].clone()


def store_under_the_other_name(weights: Weights) -> None:
    weights["lm_head.weight"] = weights.pop("model.embed_tokens.weight")


def train_both(weights: Weights) -> None:
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"] * 2


def round_one(weights: Weights) -> None:
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"].bfloat16()


def store_another_shape(weights: Weights) -> None:
    weights["lm_head.weight"] = torch.randn(3, 3)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (store_again, [("NUM008", Severity.NOTE)]),
        (store_under_the_other_name, []),
        (train_both, [("STR025", Severity.WARNING)]),
        (round_one, []),
        (store_another_shape, [("STR004", Severity.WARNING)]),
    ],
)
def test_a_tied_tensor_may_be_stored_under_any_of_its_names(
    tmp_path: Path, change: Callable[[Weights], object], expected: List[Tuple[str, Severity]]
) -> None:
    report = verified(change_weights(saved(tmp_path, "tied"), change))
    assert [(code, severity) for code, severity, _ in told(report)] == expected
    (file,) = report.files
    assert file.loading is not None
    assert file.loading.filled == file.loading.tensors


def test_a_buffer_that_old_versions_saved_is_nothing_unexpected(tmp_path: Path) -> None:
    def save_it(weights: Weights) -> None:
        weights["model.rotary_emb.inv_freq"] = torch.tensor([1.0, 0.5, 0.3, 0.1])

    assert told(verified(change_weights(saved(tmp_path, "decoder"), save_it))) == []


def rename(old: str, new: str) -> Callable[[Weights], object]:
    def change(weights: Weights) -> None:
        for name in list(weights):
            weights[name.replace(old, new)] = weights.pop(name)

    return change


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("tied", rename("model.", "")),
        ("encoder", rename("LayerNorm.weight", "LayerNorm.gamma")),
        ("encoder", rename("LayerNorm.bias", "LayerNorm.beta")),
        ("encoder", rename("bert.", "")),
    ],
)
def test_names_that_the_loader_still_knows_are_the_models(
    tmp_path: Path, name: str, change: Callable[[Weights], object]
) -> None:
    report = ckpttool.verify(change_weights(saved(tmp_path, name), change), schema="hf")
    assert told(report) == []
    (file,) = report.files
    assert file.loading is not None
    assert file.loading.filled == file.loading.tensors
    assert file.forward is not None
    assert file.forward.status == "run", file.forward.reason


def test_a_name_that_is_taken_is_no_other_spelling(tmp_path: Path) -> None:
    def add(weights: Weights) -> None:
        weights["norm.weight"] = weights["model.norm.weight"] + 1

    report = verified(change_weights(saved(tmp_path, "decoder"), add))
    assert told(report) == [("STR004", Severity.WARNING, ("norm.weight",))]


def test_what_a_model_keeps_in_float32_may_be_so(tmp_path: Path) -> None:
    def widen(names: str) -> Callable[[Weights], object]:
        return lambda weights: weights.update(
            {name: one.float() for name, one in weights.items() if names in name}
        )

    folder = saved(tmp_path, "encoder-decoder", torch.bfloat16)
    path = change_weights(folder, widen(".DenseReluDense.wo."))
    assert told(verified(path)) == []
    path = change_weights(folder, widen(".DenseReluDense.wi."))
    assert [code for code, _, _ in told(verified(path))] == ["STR006"]


def test_a_config_that_says_more_than_the_file_has_is_what_counts(tmp_path: Path) -> None:
    folder = saved(tmp_path, "decoder")
    change_config(folder, num_hidden_layers=6)
    ((code, _, tensors),) = told(verified(weights_of(folder)))
    assert (code, len(tensors)) == ("STR022", 18)


@pytest.mark.parametrize("folder", [True, False], ids=["folder", "file"])
def test_a_config_elsewhere_is_a_schema_too(tmp_path: Path, folder: bool) -> None:
    config = saved(tmp_path / "a", "decoder") / "config.json"
    path = weights_of(saved(tmp_path / "b", "decoder"))
    (tmp_path / "a" / "model.safetensors").unlink()
    (tmp_path / "b" / "config.json").unlink()
    report = verified(path, str(config.parent if folder else config))
    assert report.verdict is Verdict.PASS
    (file,) = report.files
    assert file.coverage is not None
    assert file.coverage.schema == "LlamaForCausalLM"


def test_of_a_folder_with_weights_either_may_be_meant(tmp_path: Path) -> None:
    folder = saved(tmp_path, "decoder")
    with pytest.raises(UsageError, match="either may be the schema"):
        ckpttool.schema(folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="there is none"):
        ckpttool.schema(tmp_path / "empty")


def test_each_file_of_a_run_has_the_config_of_its_own_folder(tmp_path: Path) -> None:
    for name in ("decoder", "encoder"):
        saved(tmp_path / name, name)
    report = verified(str(tmp_path))
    assert [file.coverage.schema for file in report.files if file.coverage] == [
        "LlamaForCausalLM",
        "BertForMaskedLM",
    ]
    assert report.verdict is Verdict.PASS


def test_a_file_without_a_config_is_one_of_which_nothing_can_be_told(tmp_path: Path) -> None:
    folder = saved(tmp_path, "decoder")
    (folder / "config.json").unlink()
    report = verified(weights_of(folder))
    assert report.exit_code == 2
    assert [code for code, _, _ in told(report)] == ["FIL504"]
    assert "no config.json beside" in str(report.findings[0])


def test_the_schema_file_of_a_config_has_the_names_of_files(tmp_path: Path) -> None:
    config = saved(tmp_path, "experts") / "config.json"
    done = invoke("schema", str(config))
    assert (done.code, done.err) == (0, "")
    assert '"model.layers.{0-3}.block_sparse_moe.experts.{0-3}.w1.weight"' in done.out
    assert ckpttool.schema(weights_of(tmp_path)).text == done.out


def test_a_lock_takes_it_too(tmp_path: Path) -> None:
    path = weights_of(saved(tmp_path, "decoder"))
    done = invoke("lock", path, "--schema", "hf", "--no-forward", "-o", "-")
    assert done.code == 0, done.err
    assert "LlamaForCausalLM" in done.out
    done = invoke("schema", "hf")
    assert (done.code, "name the config.json" in done.err) == (2, True)


# --- quantized weights --------------------------------------------------------------------

in_each_way = pytest.mark.parametrize(
    ("quantize", "codes"),
    [
        pytest.param(
            hugging_face.in_fp8,
            "weight",
            marks=pytest.mark.skipif(
                not hasattr(torch, "float8_e4m3fn"), reason="this torch has no floats of 8 bits"
            ),
        ),
        (hugging_face.in_gptq, "qweight"),
    ],
)


@in_each_way
def test_a_quantized_weight_is_the_one_that_the_model_has(
    tmp_path: Path, quantize: Callable[[Path], str], codes: str
) -> None:
    report = ckpttool.verify(quantize(saved(tmp_path, "decoder")), schema="hf")
    assert told(report) == []
    (file,) = report.files
    assert file.loading is not None
    assert file.loading.filled == file.loading.tensors == 39
    assert file.forward is not None
    assert file.forward.reason == "its weights are quantized"


@in_each_way
def test_a_quantized_weight_that_is_missing_is_named(
    tmp_path: Path, quantize: Callable[[Path], str], codes: str
) -> None:
    quantize(saved(tmp_path, "decoder"))
    module = "model.layers.1.self_attn.q_proj"

    def drop(weights: Weights) -> None:
        for name in [name for name in weights if name.startswith(module)]:
            del weights[name]

    report = ckpttool.verify(change_weights(tmp_path, drop), schema="hf")
    assert ("STR022", Severity.ERROR, (f"{module}.weight",)) in told(report)
    assert [code for code, severity, _ in told(report) if severity is Severity.ERROR] == ["STR022"]


@in_each_way
def test_a_quantized_weight_of_another_shape_is_named(
    tmp_path: Path, quantize: Callable[[Path], str], codes: str
) -> None:
    path = quantize(saved(tmp_path, "decoder"))
    change_config(tmp_path, intermediate_size=64)
    errors = [one for one in told(ckpttool.verify(path, schema="hf")) if one[1] is Severity.ERROR]
    assert {code for code, _, _ in errors} == {"STR005"}
    assert {name.split(".")[3] for _, _, tensors in errors for name in tensors} == {"mlp"}
    assert sum(len(tensors) for _, _, tensors in errors) == 12


# --- the forward pass ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "inputs"),
    [
        ("decoder", "its dummy_inputs"),
        ("tied", "its dummy_inputs"),
        ("experts", "its dummy_inputs"),
        ("encoder", "its dummy_inputs"),
        ("encoder-decoder", "its dummy_inputs"),
        ("vision", "made pixel_values 2 x 3 x 32 x 32"),
    ],
)
def test_the_model_runs_with_the_weights_of_the_file(
    tmp_path: Path, name: str, inputs: str
) -> None:
    import transformers

    folder = saved(tmp_path, name)
    report = ckpttool.verify(weights_of(folder), schema="hf")
    assert not report.findings
    (file,) = report.files
    assert file.forward is not None
    assert (file.forward.status, file.forward.inputs) == ("run", inputs), file.forward.reason
    assert file.forward.unused == ()
    if name in ("decoder", "experts"):
        model = transformers.AutoModelForCausalLM.from_pretrained(folder)
        ids = torch.tensor([[7, 6, 0, 0, 1], [1, 2, 3, 0, 0], [0, 0, 0, 4, 5]])
        with torch.no_grad():
            logits = model(ids).logits
        assert file.forward.outputs["logits"].std == pytest.approx(
            float(logits.std(unbiased=False)), rel=1e-4
        )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_runs_too(tmp_path: Path, dtype: torch.dtype) -> None:
    folder = saved(tmp_path, "decoder", dtype)
    (file,) = ckpttool.verify(weights_of(folder), schema="hf").files
    assert file.forward is not None
    assert (file.forward.status, file.findings) == ("run", ())


def test_weights_that_overflow_are_found_by_running(tmp_path: Path) -> None:
    def enlarge(weights: Weights) -> None:
        for tensor in weights.values():
            tensor *= 1e15

    report = ckpttool.verify(change_weights(saved(tmp_path, "decoder"), enlarge), schema="hf")
    assert "MOD005" in {found.rule.code for found in report.findings}
    assert report.verdict is Verdict.FAIL


def test_a_model_of_transformers_takes_an_example_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = weights_of(saved(tmp_path, "decoder"))
    (tmp_path / "mine_inputs.py").write_text(
        "import torch\ndef ids():\n    return {'input_ids': torch.ones(1, 2, dtype=torch.int64)}\n"
    )
    monkeypatch.chdir(tmp_path)
    (file,) = ckpttool.verify(path, schema="hf", example="mine_inputs:ids").files
    assert file.forward is not None
    assert file.forward.outputs["logits"].shape == (1, 2, 40)


def test_a_head_that_the_configuration_does_not_tie_is_told_with_the_setting(
    tmp_path: Path,
) -> None:
    folder = saved(tmp_path, "tied")
    change_config(folder, tie_word_embeddings=False)
    (found,) = verified(weights_of(folder)).findings
    assert (found.rule.code, found.tensors) == ("STR022", ("lm_head.weight",))
    assert "If it is to be model.embed_tokens.weight, set tie_word_embeddings" in found.advice
    change_config(folder, tie_word_embeddings=True)
    assert told(verified(weights_of(folder))) == []


def test_of_another_tensor_that_is_missing_nothing_is_said_of_ties(tmp_path: Path) -> None:
    path = change_weights(saved(tmp_path, "decoder"), lose(QUERY))
    assert "tie_word_embeddings" not in verified(path).findings[0].advice


def test_weights_that_the_named_class_has_not_are_not_only_to_be_left_out(tmp_path: Path) -> None:
    folder = saved(tmp_path, "decoder")
    change_config(folder, architectures=["LlamaModel"])
    (found,) = verified(weights_of(folder)).findings
    assert (found.rule.code, found.tensors) == ("STR004", ("lm_head.weight",))
    assert "config.json names another class" in found.advice


def test_an_embedding_of_another_vocabulary_is_told_with_the_setting(tmp_path: Path) -> None:
    folder = saved(tmp_path, "decoder")
    vocabulary = json.loads((folder / "config.json").read_text())["vocab_size"]
    change_config(folder, vocab_size=vocabulary - 1)
    (found,) = verified(weights_of(folder)).findings
    assert (found.rule.code, len(found.tensors)) == ("STR005", 2)
    assert (
        found.advice == f"If the weights are right, set vocab_size to {vocabulary} in config.json."
    )
    change_config(folder, vocab_size=vocabulary)
    assert told(verified(weights_of(folder))) == []


def test_parts_of_one_process_are_told_to_be_parts(tmp_path: Path) -> None:
    def part(weights: Weights) -> None:
        weights["model.embed_tokens.weight"] = weights["model.embed_tokens.weight"].flatten()[:24]
        weights["model.norm.weight"] = weights["model.norm.weight"][:0]

    found = verified(change_weights(saved(tmp_path, "decoder"), part)).findings
    assert [(one.rule.code, one.tensors) for one in found] == [
        ("STR005", ("model.embed_tokens.weight",)),
        ("STR005", ("model.norm.weight",)),
    ]
    assert all("Gather them before they are saved" in (one.advice or "") for one in found)


def test_another_size_of_a_layer_gets_no_advice_on_processes(tmp_path: Path) -> None:
    path = change_weights(saved(tmp_path, "decoder"), reshape(QUERY))
    (found,) = verified(path).findings
    assert "Gather" not in (found.advice or "")
    assert "vocab_size" not in (found.advice or "")


def add_an_adapter(folder: Path) -> None:
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    save_file({"a.lora_A.weight": torch.ones(2, 2)}, folder / "adapter_model.safetensors")


def test_an_adapter_beside_the_whole_model_is_a_warning(tmp_path: Path) -> None:
    folder = saved(tmp_path, "decoder")
    add_an_adapter(folder)
    assert [code for code, _, _ in told(verified(weights_of(folder)))] == ["HUB013"]
    (folder / "adapter_config.json").unlink()
    assert told(verified(weights_of(folder))) == []


def with_prefix(prefix: str, inner: str = "") -> Callable[[Weights], object]:
    def change(weights: Weights) -> None:
        for name in list(weights):
            new = name.replace("layers.0.", f"layers.0.{inner}")
            weights[f"{prefix}{new}"] = weights.pop(name)

    return change


FSDP = "_fsdp_wrapped_module."


@pytest.mark.parametrize(("prefix", "inner"), [("module.", ""), ("_orig_mod.", ""), (FSDP, FSDP)])
def test_names_behind_a_prefix_are_told_and_the_fix_takes_it_off(
    tmp_path: Path, prefix: str, inner: str
) -> None:
    path = change_weights(saved(tmp_path, "decoder"), with_prefix(prefix, inner))
    (found, *_) = verified(path).findings
    assert (found.rule.code, found.severity) == ("STR012", Severity.ERROR)
    assert f"have the prefix {prefix}" in found.message
    assert found.advice is not None
    command = found.advice.partition("ckpttool ")[2].replace("PATH", path)
    out = str(tmp_path / "out" / "model.safetensors")
    (tmp_path / "out").mkdir()
    done = invoke(*shlex.split(command), "-o", out)
    assert done.code == 0, done.err
    shutil.copy(tmp_path / "config.json", tmp_path / "out")
    assert "STR012" not in {code for code, _, _ in told(verified(out))}
    assert verified(out).exit_code == 0


def test_wrappers_in_wrappers_get_no_command_that_leaves_some(tmp_path: Path) -> None:
    path = change_weights(saved(tmp_path, "decoder"), with_prefix(FSDP, FSDP * 2))
    (found, *_) = verified(path).findings
    assert f"have the prefix {FSDP}" in found.message
    assert "ckpttool" not in (found.advice or "")


def in_peft(weights: Weights) -> None:
    """As ``state_dict()`` of a PeftModel has it."""
    for name in list(weights):
        tensor = weights.pop(name)
        module = f"base_model.model.{name[: -len('.weight')]}"
        if ".q_proj." not in name:
            weights[f"{module}.weight"] = tensor
            continue
        weights[f"{module}.base_layer.weight"] = tensor
        weights[f"{module}.lora_A.default.weight"] = torch.randn(2, tensor.shape[1])
        weights[f"{module}.lora_B.default.weight"] = torch.randn(tensor.shape[0], 2)


def test_a_model_with_adapters_that_were_not_merged_is_told_to_be_one(tmp_path: Path) -> None:
    (found, *_) = verified(change_weights(saved(tmp_path, "decoder"), in_peft)).findings
    assert found.rule.code == "STR012"
    assert "adapters that are not merged" in found.message
    assert "merge_and_unload()" in (found.advice or "")


def test_an_adapter_alone_is_told_to_be_one(tmp_path: Path) -> None:
    def keep_the_adapter(weights: Weights) -> None:
        in_peft(weights)
        for name in [name for name in weights if ".lora_" not in name]:
            del weights[name]

    (found, *_) = verified(change_weights(saved(tmp_path, "decoder"), keep_the_adapter)).findings
    assert found.message.startswith("these are adapters")
    assert "ckpttool prove" in (found.advice or "")


def test_all_parts_without_their_index_are_told_to_be_all(tmp_path: Path) -> None:
    import transformers

    folder = saved(tmp_path, "decoder")
    model = transformers.LlamaForCausalLM.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="20KB")
    (folder / "model.safetensors.index.json").unlink()
    first = str(sorted(folder.glob("model-*.safetensors"))[0])
    assert "ckpttool index FOLDER" in (verified(first).findings[0].advice or "")
    assert invoke("index", str(folder)).code == 0
    assert verified(str(folder)).exit_code == 0
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "b.safetensors"}}')
    assert "ckpttool index FOLDER --force" in (verified(first).findings[0].advice or "")
    assert invoke("index", str(folder), "--force").code == 0
    assert verified(first).exit_code == 0
    sorted(folder.glob("model-*.safetensors"))[1].unlink()
    (folder / "model.safetensors.index.json").unlink()
    assert "put the others" in (verified(first).findings[0].advice or "")
