"""Quantized models of two layers, as what quantizes them names the parts; and plain ones."""

from __future__ import annotations

from typing import Callable, Dict, Tuple

import torch

State = Dict[str, torch.Tensor]
#: A state dict, and the names in it that may be cast.
Quantized = Tuple[State, Tuple[str, ...]]

_MLP = "model.layers.0.mlp.up_proj"
_ATTENTION = "model.layers.0.self_attn"
_REST = ("model.norm.weight", "model.embed_tokens.weight")


def _with_the_rest(state: State) -> Quantized:
    rest = {name: torch.randn(4, 4) for name in _REST}
    return {**state, **rest}, _REST


def _codes(*shape: int, dtype: torch.dtype = torch.uint8) -> torch.Tensor:
    return torch.randint(0, 100, shape, dtype=dtype)


def _narrow(*shape: int, name: str = "float8_e4m3fn") -> torch.Tensor:
    """Numbers of 8 bits, which torch 2.0 has none of."""
    return torch.ones(shape).to(getattr(torch, name))


def fine_grained_fp8() -> Quantized:
    """DeepSeek's and Qwen's blocks, with the scales of the cache and of experts."""
    return _with_the_rest(
        {
            f"{_MLP}.weight": _narrow(4, 4),
            f"{_MLP}.weight_scale_inv": torch.rand(1, 1),
            f"{_MLP}.bias": torch.rand(4),
            f"{_ATTENTION}.k_proj.weight": _narrow(4, 4),
            f"{_ATTENTION}.k_proj.weight_scale_inv": torch.rand(1, 1),
            f"{_ATTENTION}.k_scale": torch.rand(1),
            "model.layers.1.mlp.experts.gate_up_proj": _narrow(2, 4, 4),
            "model.layers.1.mlp.experts.gate_up_proj_scale_inv": torch.rand(2, 1, 1),
        }
    )


def scaled_fp8() -> Quantized:
    """One scale a tensor, under the names of two writers, and a marker at the root."""
    return _with_the_rest(
        {
            f"{_MLP}.weight": _narrow(4, 4, name="float8_e5m2"),
            f"{_MLP}.weight_scale": torch.rand(()),
            f"{_MLP}.input_scale": torch.rand(()),
            "double_blocks.0.img_mlp.0.weight": _narrow(4, 4),
            "double_blocks.0.img_mlp.0.scale_weight": torch.rand(()),
            "scaled_fp8": _narrow(2),
        }
    )


def nvfp4() -> Quantized:
    return _with_the_rest(
        {
            f"{_MLP}.weight": _codes(4, 2),
            f"{_MLP}.weight_scale": _narrow(4, 1),
            f"{_MLP}.weight_scale_2": torch.rand(()),
            f"{_MLP}.input_scale": torch.rand(()),
            f"{_ATTENTION}.k_proj.k_scale": torch.rand(1),
        }
    )


def mxfp4() -> Quantized:
    """Codes and scales are integers, and the bias beside them is none of them, to be safe."""
    return _with_the_rest(
        {
            "experts.gate_up_proj_blocks": _codes(2, 4, 16),
            "experts.gate_up_proj_scales": _codes(2, 4),
            "experts.gate_up_proj_bias": torch.rand(2, 4),
        }
    )


def nf4() -> Quantized:
    return _with_the_rest(
        {
            f"{_MLP}.weight": _codes(32, 1),
            f"{_MLP}.weight.absmax": torch.rand(4),
            f"{_MLP}.weight.quant_map": torch.rand(16),
            f"{_MLP}.weight.nested_absmax": torch.rand(1),
            f"{_MLP}.weight.nested_quant_map": torch.rand(256),
            f"{_MLP}.weight.quant_state.bitsandbytes__nf4": _codes(90),
        }
    )


def codes_as_floats() -> Quantized:
    """Codes in the type that the others have, so that they can be sharded together."""
    state, plain = nf4()
    state[f"{_MLP}.weight"] = torch.rand(8, 1).bfloat16()
    state["model.layers.1.mlp.W_q"] = torch.rand(4, 4)
    state["model.layers.1.mlp.scale"] = torch.rand(4, 1)
    return state, plain


def llm_int8() -> Quantized:
    return _with_the_rest(
        {
            f"{_MLP}.weight": _codes(4, 4, dtype=torch.int8),
            f"{_MLP}.SCB": torch.rand(4),
            f"{_MLP}.weight_format": torch.tensor(0, dtype=torch.uint8),
        }
    )


def gptq() -> Quantized:
    return _with_the_rest(
        {
            f"{_MLP}.qweight": _codes(4, 4, dtype=torch.int32),
            f"{_MLP}.qzeros": _codes(1, 4, dtype=torch.int32),
            f"{_MLP}.scales": torch.rand(1, 4),
            f"{_MLP}.g_idx": _codes(4, dtype=torch.int32),
        }
    )


def awq() -> Quantized:
    return _with_the_rest(
        {
            f"{_MLP}.qweight": _codes(4, 4, dtype=torch.int32),
            f"{_MLP}.qzeros": _codes(1, 4, dtype=torch.int32),
            f"{_MLP}.scales": torch.rand(1, 4).half(),
            f"{_MLP}.bias": torch.rand(4).half(),
        }
    )


def compressed_tensors() -> Quantized:
    return _with_the_rest(
        {
            f"{_MLP}.weight_packed": _codes(4, 4, dtype=torch.int32),
            f"{_MLP}.weight_scale": torch.rand(4, 1),
            f"{_MLP}.weight_zero_point": _codes(4, 1, dtype=torch.int8),
            f"{_MLP}.weight_shape": torch.tensor([4, 32]),
            f"{_MLP}.weight_global_scale": torch.rand(1),
        }
    )


def torchao() -> Quantized:
    """As ``flatten_tensor_state_dict`` names the parts."""
    return _with_the_rest(
        {
            f"{_MLP}._weight_qdata": _codes(4, 4, dtype=torch.int8),
            f"{_MLP}._weight_scale": torch.rand(4, 1),
            f"{_MLP}._weight_zero_point": torch.rand(4, 1),
        }
    )


def quanto() -> Quantized:
    return _with_the_rest(
        {
            f"{_MLP}.weight._data": _codes(4, 4, dtype=torch.int8),
            f"{_MLP}.weight._scale": torch.rand(4, 1),
            f"{_MLP}.input_scale": torch.rand(()),
            f"{_MLP}.output_scale": torch.rand(()),
        }
    )


def quanto_of_4_bits() -> Quantized:
    """The codes are a packed tensor in a tensor."""
    return _with_the_rest(
        {
            f"{_MLP}.weight._data._data": _codes(2, 4),
            f"{_MLP}.weight._scale": torch.rand(4, 1),
            f"{_MLP}.weight._shift": torch.rand(4, 1),
            f"{_MLP}.bias": torch.rand(4),
        }
    )


def hqq() -> Quantized:
    return _with_the_rest(
        {
            f"{_MLP}.W_q": _codes(4, 4),
            f"{_MLP}.scale": torch.rand(4, 1),
            f"{_MLP}.zero": torch.rand(4, 1),
        }
    )


def aqlm() -> Quantized:
    return _with_the_rest(
        {
            f"{_MLP}.codes": _codes(4, 1, 2, dtype=torch.int16),
            f"{_MLP}.codebooks": torch.rand(2, 4, 1, 8),
            f"{_MLP}.scales": torch.rand(4, 1, 1, 1),
        }
    )


def blocks_with_weights_of_their_own() -> Quantized:
    """Codes at many levels: norms in a block below them are weights like any other."""
    state = {
        "core.block.dw_weight.qweight": _codes(4, 1, 3, dtype=torch.int8),
        "core.block.dw_weight.scale": torch.rand(4, 1, 1),
        "core.block.dw_bias": torch.rand(4),
        "core.block.pw.weight.qweight": _codes(4, 4, dtype=torch.int8),
        "core.block.pw.weight.scale": torch.rand(4, 1),
        "core.block.norm1.weight": torch.rand(4),
        "experts.gate_up_proj": _narrow(2, 4, 4),
        "experts.gate_up_proj_scale_inv": torch.rand(2, 1, 1),
        "experts.router.weight": torch.rand(4, 4),
    }
    whole, rest = _with_the_rest(state)
    return whole, ("core.block.norm1.weight", "experts.router.weight", *rest)


def marked() -> Quantized:
    """A marker at the root is no weight: what lies beside it there is none of it."""
    state, rest = scaled_fp8()
    return {**state, "pos_embed": torch.rand(1, 4)}, (*rest, "pos_embed")


def mlx() -> Quantized:
    return _with_the_rest(
        {
            f"{_MLP}.weight": _codes(4, 4, dtype=torch.int32),
            f"{_MLP}.scales": torch.rand(4, 1),
            f"{_MLP}.biases": torch.rand(4, 1),
        }
    )


def with_scales_before_the_quantization() -> Quantized:
    return _with_the_rest(
        {
            f"{_MLP}.weight": _codes(4, 2),
            f"{_MLP}.weight_scale": _narrow(4, 1),
            f"{_MLP}.weight_scale_2": torch.rand(()),
            f"{_MLP}.pre_quant_scale": torch.rand(4),
            f"{_ATTENTION}.kv_cache_scaling_factor": torch.rand(1),
            "model.layers.1.mlp.pre_quant_scale": torch.rand(4),
        }
    )


def scales_named_after_the_weight() -> Quantized:
    """A scale lies beside the module that its codes are in."""
    return _with_the_rest(
        {
            "layers.0.fc.weight": _codes(4, 4, dtype=torch.int8),
            "layers.0.fc_scale": torch.rand(4, 1),
            "layers.0.fc_zero_point": torch.rand(4, 1),
        }
    )


def quip() -> Quantized:
    """Four codes in 64 bits, and a vector of signs for each side."""
    return _with_the_rest(
        {
            f"{_MLP}.Qidxs": _codes(4, 4, dtype=torch.int64),
            f"{_MLP}.Wscale": torch.rand(()),
            f"{_MLP}.bias": torch.rand(4),
        }
    )


def calibrated() -> Quantized:
    """Quantizers beside weights that are whole still: what they measured is no weight."""
    state = {
        f"{_MLP}.weight": torch.rand(4, 4),
        f"{_MLP}.input_quantizer._amax": torch.rand(()),
        f"{_MLP}.weight_quantizer._amax": torch.rand(4),
        f"{_MLP}.weight_quantizer._scale": torch.rand(4),
        f"{_MLP}.weight_fake_quant.scale": torch.rand(1),
        f"{_MLP}.activation_post_process.min_val": torch.rand(1),
    }
    whole, rest = _with_the_rest(state)
    return whole, (f"{_MLP}.weight", *rest)


def companions_alone() -> Quantized:
    """What a file of a sharded model may hold, without the codes."""
    names = ("weight_scale_inv", "weight.absmax", "weight.quant_map", "SCB")
    return _with_the_rest({f"{_MLP}.{name}": torch.rand(4) for name in names})


QUANTIZED: Dict[str, Callable[[], Quantized]] = {
    "fp8 in blocks": fine_grained_fp8,
    "scaled fp8": scaled_fp8,
    "nvfp4": nvfp4,
    "MXFP4": mxfp4,
    "nf4": nf4,
    "codes as floats": codes_as_floats,
    "LLM.int8": llm_int8,
    "GPTQ": gptq,
    "AWQ": awq,
    "compressed-tensors": compressed_tensors,
    "torchao": torchao,
    "quanto": quanto,
    "quanto of 4 bits": quanto_of_4_bits,
    "HQQ": hqq,
    "AQLM": aqlm,
    "MLX": mlx,
    "QuIP#": quip,
    "AWQ of ModelOpt": with_scales_before_the_quantization,
    "blocks with weights of their own": blocks_with_weights_of_their_own,
    "a marker": marked,
    "scales named after the weight": scales_named_after_the_weight,
    "calibrated": calibrated,
    "companions alone": companions_alone,
}


def vision_model() -> State:
    """LayerScale, the scale of CLIP, of RMSNorm, and of attention with normalised keys."""
    return {
        "logit_scale": torch.rand(()),
        "blocks.0.ls1.gamma": torch.rand(4),
        "blocks.0.layer_scale_1": torch.rand(4, 1, 1),
        "blocks.0.norm1.scale": torch.rand(4),
        "blocks.0.attn.scale": torch.rand(4),
        "blocks.0.attn.q_scale": torch.rand(4),
        "blocks.0.attn.k_scale": torch.rand(4),
        "blocks.0.attn.weight_scale": torch.rand(4),
        "blocks.0.attn.input_scale": torch.rand(4),
        "blocks.0.attn.qkv.weight": torch.rand(12, 4),
        "blocks.0.bn.num_batches_tracked": torch.tensor(3),
    }


def swin_v2() -> State:
    """An index of 64 bits beside a scale of attention."""
    return {
        "layers.0.attn.logit_scale": torch.rand(4, 1, 1),
        "layers.0.attn.relative_position_index": torch.randint(0, 9, (9, 9)),
        "layers.0.attn.qkv.weight": torch.rand(12, 4),
    }


def old_gpt2() -> State:
    """A mask of bytes, called bias, and tables of positions."""
    return {
        "h.0.attn.bias": torch.ones(1, 1, 8, 8, dtype=torch.uint8).tril(),
        "h.0.attn.masked_bias": torch.tensor(-1e4),
        "h.0.attn.scale": torch.rand(1),
        "h.0.attn.c_attn.weight": torch.rand(4, 12),
        "position_ids": torch.arange(8, dtype=torch.int32).view(1, 8),
        "scale": torch.rand(1),
    }


PLAIN: Dict[str, Callable[[], State]] = {
    "a vision model": vision_model,
    "Swin v2": swin_v2,
    "an old GPT-2": old_gpt2,
}
