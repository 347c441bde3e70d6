"""What a model's JSON files say: config.json, those of quantizers and adapters, schema files."""

from __future__ import annotations

import json
from contextlib import ExitStack
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING, Any, Dict, List, NamedTuple, Sequence, Tuple
from unittest import mock

from safetensors.torch import save_file

from ckpttool.files.sources import MemorySource
from ckpttool.files.strict_json import strict_json
from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError, UnsupportedError
from ckpttool.models.adapters.config import AdapterConfig, parse_config
from ckpttool.models.choosing import choose, said_of
from ckpttool.models.families import AUTO
from ckpttool.models.schema_file import KEY, parse
from ckpttool.quantization.settings import Settings, settings_in
from ckpttool.tensors.catalogue import TensorInfo
from ckpttool.verification.checks.config_file import check_config
from ckpttool.verification.options import VerifyOptions
from ckpttool.verification.release_files import ReleaseFiles
from ckpttool.verification.run import verified
from mae.config import CONFIGS
from tests.builders import checkpoints
from tests.builders.sizes import TINY
from tests.fuzzing import scratch
from tests.fuzzing.mutations import json_texts, raw
from tests.fuzzing.parser import SAME, ViolationError

if TYPE_CHECKING:
    from random import Random

    from ckpttool.verification.evidence import Evidence

NAME = "model-config"

#: Modules that are looked up in what is said of quantization.
_MODULES = (
    *("lm_head", "model.layers.0.self_attn.q_proj", "model.layers.10.mlp.experts.3.down_proj"),
    *("a" * 40, "a." * 300, "\u4e00\u4e8c" * 20, "", ".", "model"),
)
_PATTERNS = (
    *("lm_head", "re:.*lm_head", "model.layers.[0-9]+", r"re:.*\.(a|b)*c", "re:(a*)*b"),
    *("*a*b*", "", "re:" + ".*" * 400, "(" * 60 + ")" * 60, "a{200}{200}", "a{1,}", "["),
    *(r"\1", "(?=a)", "Linear", "(a|aa)+$", "*" * 300 + "b", "[^a]*[a-z", r"\d+"),
    *("a" * 5_000, ".*.*.*.*.*.*x", "^$", "a|", "|"),
)
_GROUPS = (
    *("blocks.{0-11}.w", "w{1,2}.{a,b}", "w.{0-99999999}", "{", "w\\{", "{9-1}", "{a"),
    *("{01-2}",),
)
_DOCUMENTS: Tuple[Dict[str, Any], ...] = (
    {
        "architectures": ["ViTMAEForPreTraining"],
        "model_type": "vit_mae",
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "patch_size": 8,
        "image_size": [32, 32],
        "num_channels": 3,
        "layer_norm_eps": 1e-12,
        "norm_pix_loss": True,
        "qkv_bias": True,
    },
    {
        "quantization_config": {
            "quant_method": "compressed-tensors",
            "format": "pack-quantized",
            "ignore": ["lm_head", "re:.*experts.*"],
            "config_groups": {
                "group_0": {
                    "targets": ["Linear", "re:.*q_proj"],
                    "weights": {"num_bits": 4, "type": "int", "group_size": 32, "symmetric": True},
                    "input_activations": {"dynamic": False},
                }
            },
        }
    },
    {
        "text_config": {
            "quantization_config": {
                "quant_method": "gptq",
                "bits": 4,
                "group_size": 128,
                "sym": True,
                "desc_act": False,
                "dynamic": {"+:.*\\.1[0-5]\\..*": {"bits": 8}, "-:.*lm_head.*": {}},
            }
        }
    },
    {
        "quantization_config": {
            "quant_method": "fp8",
            "weight_block_size": [128, 128],
            "modules_to_not_convert": ["lm_head", "model.layers.[0-3]"],
        }
    },
    {"quantization_config": {"load_in_4bit": True, "llm_int8_skip_modules": ["lm_head"]}},
    {"quantization": {"quant_algo": "NVFP4", "group_size": 16, "exclude_modules": ["*head*"]}},
    {"w_bit": 4, "q_group_size": 64, "zero_point": True, "modules_to_not_convert": ["visual"]},
    {
        "peft_type": "LORA",
        "r": 8,
        "lora_alpha": 16,
        "use_rslora": True,
        "rank_pattern": {"q_proj": 4, "^model.layers.0.k_proj$": 2},
        "alpha_pattern": {"(q|k)_proj": 1.5},
        "init_lora_weights": "pissa_niter_4",
        "base_model_name_or_path": "a/b",
    },
    {
        KEY: 1,
        "tensors": {
            "blocks.{0-2}.norm.{weight,bias}": {"dtype": "float32", "shape": [16]},
            "w": {"dtype": "bfloat16", "shape": [2, 3]},
            "scale": {"dtype": "int64", "shape": []},
        },
    },
)


class _Said(NamedTuple):
    """What was read: of quantization, of an adapter, of a schema."""

    quantization: Settings
    adapter: AdapterConfig | None
    schema: Dict[str, TensorInfo] | None


@lru_cache(maxsize=None)
def seeds() -> Sequence[bytes]:
    """Return files as the libraries write them."""
    return tuple(json.dumps(document).encode() for document in _DOCUMENTS)


def mutate(content: bytes, random: Random) -> bytes:
    """Change the text, or a pattern in it."""
    if random.random() < 0.7:
        return json_texts.mutate(content, random)
    return json_texts.in_tree(content, random, _with_pattern)


def _with_pattern(tree: Any, random: Random) -> Any:
    """Put a pattern in the place of a text, of a key or beside it."""
    holders = _holders(tree)
    if not holders:
        return tree
    holder = random.choice(holders)
    pattern = random.choice((*_PATTERNS, *_GROUPS, raw.edge(random)))
    if isinstance(holder, list):
        holder.insert(random.randrange(len(holder) + 1), pattern)
    else:
        key = random.choice(list(holder))
        if random.random() < 0.5:
            holder[key] = pattern
        else:
            holder[str(pattern)] = holder.pop(key) if random.random() < 0.7 else holder[key]
    return tree


def _holders(tree: Any) -> List[Any]:
    found, left = [], [tree]
    while left:
        one = left.pop()
        if isinstance(one, (dict, list)):
            found += [one] if one or isinstance(one, list) else []
            left += one.values() if isinstance(one, dict) else one
    return found


@lru_cache(maxsize=1)
def _evidence() -> Evidence:
    """Verify a tiny model once: a config.json that changes asks for no more."""
    path = scratch.shared(NAME) / "model.safetensors"
    save_file(checkpoints.state(), path)
    with ExitStack() as stack:
        stack.enter_context(mock.patch.dict(CONFIGS, tiny=TINY))
        options = VerifyOptions("tiny", forward=False)
        evidence = stack.enter_context(verified(str(path), options))[1]
    assert evidence is not None
    return evidence


def read(content: bytes) -> object:
    """Read the file in every role that it may have, and ask it of modules and sizes."""
    document = strict_json(MemorySource(content, "config.json"), rules.CONFIG_MALFORMED)
    if not isinstance(document, dict):
        raise UnsupportedError("no object")
    quantization = settings_in(document)
    for other in ({"modelopt": document}, {"gptq": document}, {"awq": document}):
        quantization = quantization if quantization.method else settings_in(None, **other)
    for module in _MODULES:
        quantization.arguments(module)
        quantization.covers(module)
        quantization.demands(module)
    evidence = _evidence()
    files = ReleaseFiles(config=document, names=("config.json",))
    said = said_of(evidence.checkpoint, document)
    choose(evidence.canonical, AUTO, {}, said)
    list(check_config(evidence._replace(release_files=files)))
    return _Said(
        quantization,
        parse_config(document) if "peft_type" in document else None,
        parse(document) if KEY in document else None,
    )


def compare(content: bytes, said: object | CkpttoolError) -> str:
    """Hold what was read to what json gives."""
    if isinstance(said, CkpttoolError):
        return "refused"
    assert isinstance(said, _Said)
    document = json.loads(content)
    if said.adapter is not None:
        _adapter(document, said.adapter)
    if said.schema is not None:
        _schema(document["tensors"], said.schema)
    _quantization(document, said.quantization)
    return SAME


def _adapter(document: Dict[str, Any], adapter: AdapterConfig) -> None:
    stated = document.get("r", 8), document.get("lora_alpha", 8), bool(document.get("use_rslora"))
    if (adapter.rank, adapter.alpha, adapter.rslora) != stated:
        raise ViolationError(f"{adapter!a:.200} for {stated}")
    for key, found in (("rank_pattern", adapter.ranks), ("alpha_pattern", adapter.alphas)):
        listed = document.get(key) or {}
        if not all(value in listed.values() for value in found.values()):
            raise ViolationError(f"{found!a:.200} for {listed!a:.200}")


def _schema(tensors: Dict[str, Any], schema: Dict[str, TensorInfo]) -> None:
    expected = {
        name: (entry["dtype"], tuple(entry["shape"]))
        for group, entry in tensors.items()
        for name in _names(group)
    }
    if expected != {name: (info.dtype.name, info.shape) for name, info in schema.items()}:
        raise ViolationError(f"{list(schema)!a:.200} for {list(expected)!a:.200}")


def _names(group: str) -> List[str]:
    """Return the names of a group, as docs/schema.md has it."""
    parts: List[List[str]] = [[""]]
    at = 0
    while at < len(group):
        if group[at] == "\\":
            parts.append([group[at + 1]])
            at += 2
        elif group[at] == "{":
            end = group.index("}", at)
            parts.append([name for one in group[at + 1 : end].split(",") for name in _range(one)])
            at = end + 1
        else:
            parts.append([group[at]])
            at += 1
    return ["".join(names) for names in product(*parts)]


def _range(text: str) -> List[str]:
    first, dash, last = text.partition("-")
    if dash and first.isascii() and first.isdigit() and last.isascii() and last.isdigit():
        return [str(number) for number in range(int(first), int(last) + 1)]
    return [text]


def _quantization(document: Dict[str, Any], found: Settings) -> None:
    stated = document.get("quantization_config")
    if not isinstance(stated, dict) or found.where != "config.json":
        return
    method = stated.get("quant_method")
    if isinstance(method, str) and 0 < len(method) <= 40:
        same = found.method == method.lower().replace("_", "-")
        if not same:
            raise ViolationError(f"the method {found.method!a} for {method!a}")
    bits = stated.get("bits")
    if found.method == "gptq" and type(bits) is int and found.groups[-1].arguments.bits != bits:
        raise ViolationError(f"{found.groups[-1]!a:.200} for {bits} bits")
