"""What a config.json names is built as save_pretrained writes it, in bounds, and never remote."""

from __future__ import annotations

import builtins
import json
import socket
import sys
from pathlib import Path
from typing import Any, Dict, List

import pytest
import torch
from safetensors.torch import load_file

from ckpttool.findings.errors import UnsupportedError
from ckpttool.models.code.architectures import Architecture, is_config
from tests.builders import hugging_face

LLAMA: Dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "vocab_size": 40,
}


def of(**settings: object) -> Architecture:
    return Architecture({**LLAMA, **settings})  # type: ignore[dict-item]  # JSON of a test


@pytest.mark.parametrize("name", hugging_face.MODELS)
def test_the_names_shapes_and_dtypes_are_those_that_save_pretrained_writes(
    tmp_path: Path, name: str
) -> None:
    pytest.importorskip("transformers")
    folder = hugging_face.saved(tmp_path, name, torch.bfloat16)
    held = Architecture(json.loads((folder / "config.json").read_text())).held
    written = load_file(hugging_face.weights_of(folder))
    shapes = {key: tuple(tensor.shape) for key, tensor in written.items()}
    assert {key: info.shape for key, info in held.tensors.items()} == shapes
    assert {info.dtype.name for info in held.tensors.values()} == {"bfloat16"}


def test_the_dtype_is_float32_where_none_is_stated() -> None:
    pytest.importorskip("transformers")
    assert {info.dtype.name for info in of().held.tensors.values()} == {"float32"}


def test_other_names_of_a_tied_tensor_are_known() -> None:
    pytest.importorskip("transformers")
    held = of(tie_word_embeddings=True).held
    assert held.tied == {"lm_head.weight": "model.embed_tokens.weight"}
    assert not held.tensors.keys() & held.tied.keys()


def test_buffers_that_are_not_saved_are_known() -> None:
    pytest.importorskip("transformers")
    held = of().held
    assert held.computes("model.rotary_emb.inv_freq")
    assert not held.computes("model.norm.weight")


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"architectures": None}, "does not say which class"),
        ({"architectures": []}, "does not say which class"),
        ({"architectures": [3]}, "does not say which class"),
        ({"architectures": "LlamaForCausalLM"}, "does not say which class"),
        ({"quantization_config": {"quant_method": "aqlm"}}, "quantized by a method"),
        ({"torch_dtype": "float31"}, "a torch_dtype that there is not"),
        ({"num_hidden_layers": 10_000_000}, "num_hidden_layers"),
        ({"text_config": {"num_hidden_layers": 10_000_000}}, "num_hidden_layers"),
        ({"depths": [1, 10_000_000]}, "depths"),
        ({"num_labels": 10**6}, "num_labels"),
        ({"num_attention_heads": 10**7}, "num_attention_heads"),
        ({"hidden_size": 10**18}, "hidden_size"),
    ],
)
def test_what_cannot_be_built_is_told_before_transformers_is_imported(
    settings: Dict[str, object], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UnsupportedError, match=told):
        of(**settings)


@pytest.mark.parametrize(
    "name",
    ["NoSuchModel", "AutoModel", "pipeline", "LlamaConfig", "__class__", "os.system", "x" * 9_999],
)
def test_a_class_that_is_no_model_of_transformers_is_told(name: str) -> None:
    pytest.importorskip("transformers")
    with pytest.raises(UnsupportedError, match="has no model of the class"):
        of(architectures=[name])


def test_a_missing_transformers_is_told_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    missing = builtins.__import__

    def without(name: str, *others: Any) -> Any:
        if name == "transformers":
            raise ModuleNotFoundError("No module named 'transformers'", name="transformers")
        return missing(name, *others)

    monkeypatch.delitem(sys.modules, "transformers", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UnsupportedError) as caught:
        of()
    assert caught.value.fix == "pip install 'ckpttool[hf]'."


@pytest.mark.parametrize(
    "settings",
    [
        {"hidden_size": "wide"},
        {"num_hidden_layers": -1, "hidden_size": None},
        {"rope_scaling": {"rope_type": "nonsense", "factor": "x"}},
    ],
)
def test_a_configuration_that_transformers_refuses_is_told_in_its_words(
    settings: Dict[str, object],
) -> None:
    pytest.importorskip("transformers")
    with pytest.raises(UnsupportedError, match="LlamaForCausalLM cannot be built"):
        of(**settings)


def test_many_layers_of_many_experts_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("transformers")
    monkeypatch.setattr("ckpttool.models.code.building.MOST_PARTS", 100)
    with pytest.raises(UnsupportedError, match="too many layers or experts"):
        of(num_hidden_layers=20)


def test_code_that_comes_with_a_checkpoint_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("transformers")
    (tmp_path / "modeling_evil.py").write_text("open('ran', 'w')\n")
    monkeypatch.chdir(tmp_path)
    remote = {"auto_map": {"AutoModelForCausalLM": "modeling_evil.Evil"}}
    assert of(**remote).name == "LlamaForCausalLM"
    with pytest.raises(UnsupportedError, match="has no model of the class") as caught:
        of(**remote, architectures=["Evil"])
    assert "never run" in str(caught.value)
    assert not (tmp_path / "ran").exists()


def test_nothing_is_fetched_for_what_a_configuration_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("transformers")
    asked: List[object] = []
    for home, name in ((socket.socket, "connect"), (socket, "getaddrinfo")):
        monkeypatch.setattr(home, name, lambda *place, **_: asked.append(place))
    # kernels of the hub are code; in place of them the model's own is taken
    assert of(_attn_implementation="kernels-community/flash-attn2", _name_or_path="a/b").held
    assert of(attn_implementation="flash_attention_2").held
    backbone = {"backbone": "microsoft/resnet-50", "use_pretrained_backbone": True}
    with pytest.raises(UnsupportedError, match="cannot be built"):
        of(architectures=["DPTForDepthEstimation"], model_type="dpt", **backbone)
    assert asked == []


def test_what_is_a_config_is_told_from_other_documents() -> None:
    assert is_config({"architectures": ["BertModel"]})
    assert is_config({"model_type": "bert"})
    assert not is_config({"model_type": "bert", "weight_map": {}})
    assert not is_config({"peft_type": "LORA"})
