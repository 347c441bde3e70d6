"""Honest quantized models, tiny, of every scheme that is known: tensors and the configuration.

The numbers are made of random weights as each format says, so that they can be read back.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Dict, NamedTuple, Tuple

import torch
from safetensors.torch import save_file

Tensors = Dict[str, torch.Tensor]

#: The modules of the model: two layers, with two experts each in the second.
MODULES = (
    "model.layers.0.self_attn.q_proj",
    "model.layers.0.mlp.up_proj",
    "model.layers.1.self_attn.q_proj",
    "model.layers.1.mlp.experts.0.up_proj",
    "model.layers.1.mlp.experts.1.up_proj",
)
#: Rows and columns of every weight.
SHAPE = (96, 128)


class Model(NamedTuple):
    """A model: its tensors, and the ``quantization_config`` of its config.json.

    Attributes:
        parts: what a weight becomes, by what stands behind the module.
    """

    tensors: Tensors
    config: Dict[str, Any]
    parts: Callable[[torch.Tensor], Tensors] = dict


def _parted(tensor: torch.Tensor, axis: int, size: int) -> torch.Tensor:
    """Return a tensor with an axis in parts of ``size``, in order."""
    axis %= tensor.dim()
    return tensor.reshape(*tensor.shape[:axis], -1, size, *tensor.shape[axis + 1 :])


def _floats(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 0.05


def _around(parts: Callable[[torch.Tensor], Tensors], shape: Tuple[int, int] = SHAPE) -> Tensors:
    """Return the model with the parts of each weight, by what stands behind the module."""
    tensors: Tensors = {"model.embed_tokens.weight": _floats(32, shape[1]).bfloat16()}
    for number, module in enumerate(MODULES):
        weight = _floats(*shape, seed=number)
        tensors.update({f"{module}.{ending}": part for ending, part in parts(weight).items()})
        tensors[f"{module}.bias"] = _floats(shape[0], seed=number).bfloat16()
    tensors["model.norm.weight"] = torch.ones(shape[1]).bfloat16()
    tensors["lm_head.weight"] = _floats(32, shape[1], seed=1).bfloat16()
    return tensors


def _of_blocks(weight: torch.Tensor, block: Tuple[int, int]) -> torch.Tensor:
    """Return the largest magnitude of each block, the last of an axis being shorter."""
    rows, columns = weight.shape
    padded = torch.zeros(-(-rows // block[0]) * block[0], -(-columns // block[1]) * block[1])
    padded[:rows, :columns] = weight.abs()
    parts = _parted(_parted(padded, 0, block[0]), 2, block[1])
    return parts.amax(dim=(1, 3))


def _spread(scale: torch.Tensor, block: Tuple[int, int], shape: Tuple[int, ...]) -> torch.Tensor:
    whole = scale.repeat_interleave(block[0], 0).repeat_interleave(block[1], 1)
    return whole[: shape[0], : shape[1]]


def fp8_in_blocks(block: int = 32, shape: Tuple[int, int] = (80, 100)) -> Model:
    """DeepSeek's and Qwen's: blocks that the shape is no multiple of."""

    def parts(weight: torch.Tensor) -> Tensors:
        scale = _of_blocks(weight, (block, block)) / 448
        codes = weight / _spread(scale, (block, block), weight.shape)
        return {"weight": codes.to(torch.float8_e4m3fn), "weight_scale_inv": scale}

    config = {
        "quant_method": "fp8",
        "fmt": "e4m3",
        "activation_scheme": "dynamic",
        "weight_block_size": [block, block],
    }
    return Model(_around(parts, shape), config, parts)


def fp8_of_tensors() -> Model:
    """One scale a tensor, and one for its inputs."""

    def parts(weight: torch.Tensor) -> Tensors:
        scale = weight.abs().max() / 448
        codes = (weight / scale).to(torch.float8_e4m3fn)
        return {"weight": codes, "weight_scale": scale, "input_scale": torch.tensor(0.02)}

    config = {"quant_method": "fp8", "activation_scheme": "static", "ignored_layers": ["lm_head"]}
    return Model(_around(parts), config, parts)


def _group(num_bits: int, kind: str, strategy: str, **more: Any) -> Dict[str, Any]:
    weights = {"num_bits": num_bits, "type": kind, "strategy": strategy, "symmetric": True, **more}
    return {"targets": ["Linear"], "weights": weights, "input_activations": None}


def _compressed(form: str, group: Dict[str, Any]) -> Dict[str, Any]:
    return {
        "quant_method": "compressed-tensors",
        "format": form,
        "quantization_status": "compressed",
        "config_groups": {"group_0": group},
        "ignore": ["lm_head"],
    }


def fp8_of_channels() -> Model:
    """compressed-tensors' float-quantized."""

    def parts(weight: torch.Tensor) -> Tensors:
        scale = weight.abs().amax(1, keepdim=True) / 448
        return {
            "weight": (weight / scale).to(torch.float8_e4m3fn),
            "weight_scale": scale.bfloat16(),
        }

    return Model(
        _around(parts), _compressed("float-quantized", _group(8, "float", "channel")), parts
    )


def int8_of_channels() -> Model:
    """compressed-tensors' int-quantized, with zero points."""

    def parts(weight: torch.Tensor) -> Tensors:
        low, high = weight.amin(1, keepdim=True), weight.amax(1, keepdim=True)
        scale = (high - low) / 255
        zero = (-128 - low / scale).round().clamp(-128, 127)
        codes = (weight / scale + zero).round().clamp(-128, 127)
        return {
            "weight": codes.to(torch.int8),
            "weight_scale": scale.bfloat16(),
            "weight_zero_point": zero.to(torch.int8),
        }

    group = _group(8, "int", "channel", symmetric=False)
    return Model(_around(parts), _compressed("int-quantized", group), parts)


def _words(codes: torch.Tensor, bits: int) -> torch.Tensor:
    """Pack unsigned codes along the last axis into words of 32 bits, the first one lowest."""
    per_word = 32 // bits
    shifts = torch.arange(per_word) * bits
    words = (_parted(codes.long(), -1, per_word) << shifts).sum(-1)
    return torch.where(words >= 1 << 31, words - (1 << 32), words).to(torch.int32)


def _by_groups(
    weight: torch.Tensor, bits: int, size: int
) -> Tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return unsigned codes [rows, columns], scales and zero points [rows, groups]."""
    parts = _parted(weight, 1, size)
    low, high = parts.amin(2), parts.amax(2)
    scale = (high - low) / (2**bits - 1)
    zero = (-low / scale).round()
    codes = (parts / scale[..., None] + zero[..., None]).round().clamp(0, 2**bits - 1)
    return codes.flatten(1), scale, zero


def pack_quantized(size: int = 32) -> Model:
    """compressed-tensors' integers of 4 bits in words, with zero points."""

    def parts(weight: torch.Tensor) -> Tensors:
        codes, scale, zero = _by_groups(weight, 4, size)
        return {
            "weight_packed": _words(codes, 4),
            "weight_scale": scale.bfloat16(),
            "weight_zero_point": _words(zero.T, 4).T.contiguous(),
            "weight_shape": torch.tensor(weight.shape),
        }

    group = _group(4, "int", "group", group_size=size, symmetric=False)
    return Model(_around(parts), _compressed("pack-quantized", group), parts)


def gptq(size: int = 32) -> Model:
    """Codes along the inputs, which are the rows; the zero points are stored less one."""

    def parts(weight: torch.Tensor) -> Tensors:
        codes, scale, zero = _by_groups(weight, 4, size)
        return {
            "qweight": _words(codes, 4).T.contiguous(),
            "qzeros": _words(((zero - 1).long() & 15).T, 4),
            "scales": scale.T.contiguous().half(),
            "g_idx": torch.arange(weight.shape[1], dtype=torch.int32) // size,
        }

    config = {
        "quant_method": "gptq",
        "bits": 4,
        "group_size": size,
        "desc_act": False,
        "sym": False,
    }
    return Model(_around(parts), {**config, "checkpoint_format": "gptq"}, parts)


#: The place of each of eight codes in a word of AWQ.
_AWQ_ORDER = [0, 2, 4, 6, 1, 3, 5, 7]


def awq(size: int = 32) -> Model:
    """Codes along the outputs, which are the columns, in an order of their own."""

    def words(codes: torch.Tensor) -> torch.Tensor:
        return _words(_parted(codes, -1, 8)[..., _AWQ_ORDER].flatten(-2), 4)

    def parts(weight: torch.Tensor) -> Tensors:
        codes, scale, zero = _by_groups(weight, 4, size)
        return {
            "qweight": words(codes.T),
            "qzeros": words(zero.T),
            "scales": scale.T.contiguous().half(),
        }

    config = {"quant_method": "awq", "bits": 4, "group_size": size, "zero_point": True}
    return Model(
        _around(parts), {**config, "version": "gemm", "modules_to_not_convert": None}, parts
    )


#: The sixteen numbers of nf4 (Dettmers et al., QLoRA, 2023), to four digits.
_NF4 = [
    *(-1.0, -0.6962, -0.5251, -0.3949, -0.2844, -0.1848, -0.0911, 0.0),
    *(0.0796, 0.1609, 0.2461, 0.3379, 0.4407, 0.5626, 0.7230, 1.0),
]


def nf4(*, nested: bool = True) -> Model:
    """Four bits of bitsandbytes, the largest magnitudes of the blocks quantized as well."""
    table = torch.tensor(_NF4)

    def parts(weight: torch.Tensor) -> Tensors:
        blocks = _parted(weight.flatten(), 0, 64)
        absmax = blocks.abs().amax(1)
        codes = ((blocks / absmax[:, None])[..., None] - table).abs().argmin(-1).flatten()
        state: Dict[str, Any] = {
            "quant_type": "nf4",
            "blocksize": 64,
            "dtype": "bfloat16",
            "shape": list(weight.shape),
        }
        made = {"weight": (codes[0::2] * 16 + codes[1::2]).to(torch.uint8)[:, None]}
        made["weight.quant_map"] = table.clone()
        if nested:
            state.update(nested_blocksize=256, nested_dtype="float32", nested_offset=0.05)
            made["weight.absmax"] = (absmax / absmax.max() * 255).to(torch.uint8)
            made["weight.nested_absmax"] = absmax.max().repeat(-(-len(absmax) // 256))
            made["weight.nested_quant_map"] = torch.linspace(-1, 1, 256)
        else:
            made["weight.absmax"] = absmax
        text = json.dumps(state).encode()
        made["weight.quant_state.bitsandbytes__nf4"] = torch.tensor(list(text), dtype=torch.uint8)
        return made

    config = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
    return Model(_around(parts), {**config, "llm_int8_skip_modules": None}, parts)


def llm_int8() -> Model:
    def parts(weight: torch.Tensor) -> Tensors:
        largest = weight.abs().amax(1)
        codes = (weight / largest[:, None] * 127).round().to(torch.int8)
        form = torch.tensor(0, dtype=torch.uint8)
        return {"weight": codes, "SCB": largest, "weight_format": form}

    return Model(_around(parts), {"quant_method": "bitsandbytes", "load_in_8bit": True}, parts)


#: The magnitudes of e2m1.
_E2M1 = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6])


def halves(numbers: torch.Tensor) -> torch.Tensor:
    """Return numbers as 4-bit floats, two to a byte along the last axis, the first one lower."""
    codes = (numbers.abs()[..., None] - _E2M1).abs().argmin(-1) + 8 * (numbers < 0)
    return (codes[..., 0::2] + 16 * codes[..., 1::2]).to(torch.uint8)


def mx(weight: torch.Tensor) -> Tuple[torch.Tensor, torch.Tensor]:
    """Return the groups of 32 in units of a power of two, and its exponent plus 127."""
    groups = _parted(weight, -1, 32)
    exponent = (groups.abs().amax(-1) / 6).log2().ceil()
    return groups / 2 ** exponent[..., None], (exponent + 127).to(torch.uint8)


def mxfp4_experts() -> Model:
    """gpt-oss: the experts of a layer in one tensor."""
    tensors = _around(lambda weight: {"weight": weight.bfloat16()})
    for layer in (0, 1):
        for name, rows in (("gate_up_proj", 8), ("down_proj", 4)):
            numbers, scales = mx(_floats(3, rows, 64))
            place = f"model.layers.{layer}.mlp.experts.{name}"
            tensors[f"{place}_blocks"] = halves(numbers)
            tensors[f"{place}_scales"] = scales
            tensors[f"{place}_bias"] = _floats(3, rows).bfloat16()
    config = {"quant_method": "mxfp4", "modules_to_not_convert": ["model.layers.*.self_attn"]}
    return Model(tensors, config)


def mxfp4_packed() -> Model:
    """compressed-tensors' mxfp4-pack-quantized."""

    def parts(weight: torch.Tensor) -> Tensors:
        numbers, scales = mx(weight)
        return {"weight_packed": halves(numbers.flatten(1)), "weight_scale": scales}

    group = _group(4, "float", "group", group_size=32)
    return Model(_around(parts), _compressed("mxfp4-pack-quantized", group), parts)


def _nv(weight: torch.Tensor) -> Tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return groups of 16 as bytes, their scales as 8-bit floats, and the scale of these."""
    groups = _parted(weight, -1, 16)
    whole = weight.abs().max() / (6 * 448)
    scale = (groups.abs().amax(-1) / 6 / whole).to(torch.float8_e4m3fn)
    numbers = groups / (scale.float() * whole)[..., None]
    return halves(numbers.flatten(1)), scale, whole


def nvfp4_of_modelopt() -> Model:
    def parts(weight: torch.Tensor) -> Tensors:
        codes, scale, whole = _nv(weight)
        made = {"weight": codes, "weight_scale": scale, "weight_scale_2": whole}
        return {**made, "input_scale": torch.tensor(0.01)}

    config = {"quant_method": "modelopt", "quant_algo": "NVFP4", "group_size": 16}
    return Model(_around(parts), {**config, "exclude_modules": ["lm_head", "*embed*"]}, parts)


def nvfp4_packed() -> Model:
    """compressed-tensors' nvfp4-pack-quantized."""

    def parts(weight: torch.Tensor) -> Tensors:
        codes, scale, whole = _nv(weight)
        made = {"weight_packed": codes, "weight_scale": scale}
        return {**made, "weight_global_scale": 1 / whole[None]}

    group = _group(4, "float", "tensor_group", group_size=16)
    return Model(_around(parts), _compressed("nvfp4-pack-quantized", group), parts)


#: Every model, by the scheme of its weights and what tells it from others of the scheme.
MODELS: Dict[str, Callable[[], Model]] = {
    "fp8 in blocks": fp8_in_blocks,
    "fp8 of tensors": fp8_of_tensors,
    "fp8 of channels": fp8_of_channels,
    "int8 of channels": int8_of_channels,
    "pack-quantized": pack_quantized,
    "gptq": gptq,
    "awq": awq,
    "bnb-4bit nested": nf4,
    "bnb-4bit": lambda: nf4(nested=False),
    "llm-int8": llm_int8,
    "mxfp4 of experts": mxfp4_experts,
    "mxfp4 packed": mxfp4_packed,
    "nvfp4 of modelopt": nvfp4_of_modelopt,
    "nvfp4 packed": nvfp4_packed,
}


def quantized(whole: Tensors, model: Model) -> Tensors:
    """Return other weights, their linear layers quantized as those of a model."""
    tensors: Tensors = {}
    for name, tensor in whole.items():
        module, _, last = name.rpartition(".")
        if last == "weight" and tensor.dim() == 2 and module.endswith("_proj"):
            made = model.parts(tensor.float())
            tensors.update({f"{module}.{ending}": part for ending, part in made.items()})
        else:
            tensors[name] = tensor
    return tensors


def written(folder: Path, model: Model, **config: Any) -> str:
    """Write model.safetensors and its config.json, and return the path of the first."""
    path = folder / "model.safetensors"
    save_file(
        {name: tensor.contiguous() for name, tensor in model.tensors.items()},
        path,
        metadata={"format": "pt"},
    )
    document = {"model_type": "llama", "quantization_config": model.config, **config}
    document = {key: value for key, value in document.items() if value is not None}
    (folder / "config.json").write_text(json.dumps(document))
    return str(path)
