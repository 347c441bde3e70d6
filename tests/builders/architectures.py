"""Models of transformers of all families, as small as they can be, and the folders of them.

transformers is imported when one is built: tests that use them skip where it is missing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Collection, Dict, List, NamedTuple

import torch
from safetensors import safe_open
from safetensors.torch import save_file

#: What a folder holds: the weights in one file, or the index of its shards.
WHOLE = "model.safetensors"
INDEX = "model.safetensors.index.json"


class Architecture(NamedTuple):
    """A class of transformers, and the configuration that it is built of."""

    family: str
    model: str
    config: str
    sizes: Dict[str, Any]

    def build(self) -> Any:
        """Return the model, its weights random."""
        import transformers

        torch.manual_seed(0)
        config = getattr(transformers, self.config)(**self.sizes)
        return getattr(transformers, self.model)(config).eval()


_BERT: Dict[str, Any] = {
    "vocab_size": 64,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 32,
}
_LLAMA: Dict[str, Any] = {**_BERT, "num_key_value_heads": 1, "head_dim": 8, "pad_token_id": 0}
_BART: Dict[str, Any] = {
    "vocab_size": 64,
    "d_model": 16,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "max_position_embeddings": 32,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 0,
}
_VIT: Dict[str, Any] = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 16,
    "patch_size": 8,
}
_STAGES: Dict[str, Any] = {"image_size": 16, "patch_size": 2, "depths": [1, 2], "embed_dim": 8}
_WAVES: Dict[str, Any] = {
    **{key: _BERT[key] for key in _BERT if key != "max_position_embeddings"},
    "conv_dim": [16, 16],
    "conv_kernel": [4, 3],
    "conv_stride": [2, 2],
    "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 2,
}
_TEXT: Dict[str, Any] = {**_BERT, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
_TWO_TOWERS: Dict[str, Any] = {
    "text_config": _TEXT,
    "vision_config": _VIT,
    "projection_dim": 8,
}


def _of(family: str, model: str, config: str, **sizes: Any) -> Architecture:
    return Architecture(family, model, config, sizes)


ARCHITECTURES: Dict[str, Architecture] = {
    "BERT": _of("encoder", "BertForMaskedLM", "BertConfig", **_BERT),
    "RoBERTa": _of("encoder", "RobertaForMaskedLM", "RobertaConfig", **_BERT, pad_token_id=1),
    "DeBERTa-v2": _of(
        "encoder",
        "DebertaV2ForSequenceClassification",
        "DebertaV2Config",
        **_BERT,
        relative_attention=True,
        position_buckets=8,
        pos_att_type=["p2c", "c2p"],
        norm_rel_ebd="layer_norm",
        share_att_key=True,
    ),
    "ELECTRA": _of("encoder", "ElectraForPreTraining", "ElectraConfig", **_BERT, embedding_size=8),
    "GPT-2": _of(
        "decoder",
        "GPT2LMHeadModel",
        "GPT2Config",
        vocab_size=64,
        n_embd=16,
        n_layer=2,
        n_head=2,
        n_positions=32,
    ),
    "Llama": _of("decoder", "LlamaForCausalLM", "LlamaConfig", **_LLAMA),
    "Mistral": _of("decoder", "MistralForCausalLM", "MistralConfig", **_LLAMA),
    "Qwen2": _of("decoder", "Qwen2ForCausalLM", "Qwen2Config", **_LLAMA, tie_word_embeddings=True),
    "Qwen3": _of("decoder", "Qwen3ForCausalLM", "Qwen3Config", **_LLAMA),
    "Gemma 2": _of("decoder", "Gemma2ForCausalLM", "Gemma2Config", **_LLAMA),
    "Phi": _of("decoder", "PhiForCausalLM", "PhiConfig", **_BERT),
    "OPT": _of(
        "decoder",
        "OPTForCausalLM",
        "OPTConfig",
        vocab_size=64,
        hidden_size=16,
        word_embed_proj_dim=8,
        ffn_dim=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=32,
    ),
    "BLOOM": _of(
        "decoder",
        "BloomForCausalLM",
        "BloomConfig",
        vocab_size=64,
        hidden_size=16,
        n_layer=2,
        n_head=2,
    ),
    "Falcon": _of("decoder", "FalconForCausalLM", "FalconConfig", **_BERT),
    "GPT-NeoX": _of("decoder", "GPTNeoXForCausalLM", "GPTNeoXConfig", **_BERT),
    "Mixtral": _of(
        "mixture of experts",
        "MixtralForCausalLM",
        "MixtralConfig",
        **_LLAMA,
        num_local_experts=4,
        num_experts_per_tok=2,
    ),
    "Qwen2-MoE": _of(
        "mixture of experts",
        "Qwen2MoeForCausalLM",
        "Qwen2MoeConfig",
        **_LLAMA,
        moe_intermediate_size=8,
        shared_expert_intermediate_size=16,
        num_experts=4,
        num_experts_per_tok=2,
    ),
    "Qwen3-MoE": _of(
        "mixture of experts",
        "Qwen3MoeForCausalLM",
        "Qwen3MoeConfig",
        **_LLAMA,
        moe_intermediate_size=8,
        num_experts=4,
        num_experts_per_tok=2,
    ),
    "DeepSeek-V3": _of(
        "mixture of experts",
        "DeepseekV3ForCausalLM",
        "DeepseekV3Config",
        **_BERT,
        num_key_value_heads=2,
        pad_token_id=0,
        moe_intermediate_size=8,
        n_routed_experts=4,
        n_group=2,
        topk_group=1,
        num_experts_per_tok=2,
        first_k_dense_replace=1,
        q_lora_rank=8,
        kv_lora_rank=8,
        qk_rope_head_dim=4,
        qk_nope_head_dim=4,
        v_head_dim=8,
    ),
    "gpt-oss": _of(
        "mixture of experts",
        "GptOssForCausalLM",
        "GptOssConfig",
        **_LLAMA,
        num_local_experts=4,
        num_experts_per_tok=2,
    ),
    "T5": _of(
        "encoder and decoder",
        "T5ForConditionalGeneration",
        "T5Config",
        vocab_size=64,
        d_model=16,
        d_kv=8,
        d_ff=32,
        num_layers=2,
        num_heads=2,
        decoder_start_token_id=0,
    ),
    "BART": _of("encoder and decoder", "BartForConditionalGeneration", "BartConfig", **_BART),
    "Marian": _of("encoder and decoder", "MarianMTModel", "MarianConfig", **_BART),
    "mBART": _of("encoder and decoder", "MBartForConditionalGeneration", "MBartConfig", **_BART),
    "ViT": _of("vision", "ViTForImageClassification", "ViTConfig", **_VIT),
    "Swin": _of(
        "vision",
        "SwinForImageClassification",
        "SwinConfig",
        **_STAGES,
        num_heads=[2, 2],
        window_size=2,
    ),
    "ConvNeXt": _of(
        "vision",
        "ConvNextForImageClassification",
        "ConvNextConfig",
        hidden_sizes=[8, 8, 16, 16],
        depths=[1] * 4,
        image_size=32,
    ),
    "BEiT": _of(
        "vision",
        "BeitForImageClassification",
        "BeitConfig",
        **_VIT,
        use_relative_position_bias=True,
    ),
    "DINOv2": _of("vision", "Dinov2Model", "Dinov2Config", **_VIT),
    "ResNet": _of(
        "vision",
        "ResNetForImageClassification",
        "ResNetConfig",
        embedding_size=8,
        hidden_sizes=[8, 16],
        depths=[1, 2],
    ),
    "wav2vec 2.0": _of("audio", "Wav2Vec2ForCTC", "Wav2Vec2Config", **_WAVES),
    "HuBERT": _of("audio", "HubertModel", "HubertConfig", **_WAVES),
    "Whisper": _of(
        "audio",
        "WhisperForConditionalGeneration",
        "WhisperConfig",
        **{key: _BART[key] for key in _BART if key != "max_position_embeddings"},
        num_mel_bins=8,
        max_source_positions=16,
        max_target_positions=16,
    ),
    "CLIP": _of("several modes", "CLIPModel", "CLIPConfig", **_TWO_TOWERS),
    "SigLIP": _of(
        "several modes", "SiglipModel", "SiglipConfig", text_config=_TEXT, vision_config=_VIT
    ),
    "BLIP": _of(
        "several modes",
        "BlipForConditionalGeneration",
        "BlipConfig",
        text_config={**_TEXT, "encoder_hidden_size": 16, "projection_dim": 8},
        vision_config=_VIT,
        projection_dim=8,
    ),
    "LLaVA": _of(
        "several modes",
        "LlavaForConditionalGeneration",
        "LlavaConfig",
        text_config={**_LLAMA, "model_type": "llama"},
        vision_config={**_VIT, "model_type": "clip_vision_model"},
        image_token_index=63,
    ),
    "Qwen2-VL": _of(
        "several modes",
        "Qwen2VLForConditionalGeneration",
        "Qwen2VLConfig",
        text_config={
            **_LLAMA,
            "rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 2]},
        },
        vision_config={"depth": 2, "embed_dim": 16, "hidden_size": 16, "num_heads": 2},
    ),
    "Mamba": _of(
        "state space",
        "MambaForCausalLM",
        "MambaConfig",
        vocab_size=64,
        hidden_size=16,
        state_size=4,
        num_hidden_layers=2,
    ),
    "RWKV": _of(
        "state space",
        "RwkvForCausalLM",
        "RwkvConfig",
        vocab_size=64,
        hidden_size=16,
        num_hidden_layers=2,
        attention_hidden_size=16,
        intermediate_size=32,
        context_length=32,
    ),
}


#: Ten that differ most: in what is tied, joined, transposed, nested, numbered and stored.
DIFFERENT = (
    "DeBERTa-v2",
    "GPT-2",
    "Qwen2",
    "DeepSeek-V3",
    "gpt-oss",
    "T5",
    "Swin",
    "wav2vec 2.0",
    "BLIP",
    "Mamba",
)


def save(architecture: Architecture, folder: Path, *, in_shards: bool = False) -> Path:
    """Write the folder that ``save_pretrained`` writes, of several small shards or of one file."""
    model = architecture.build()
    largest = sum(one.nbytes for one in model.state_dict().values()) // 3
    model.save_pretrained(folder, max_shard_size=largest if in_shards else "5GB")
    return folder


def without(folder: Path, names: Collection[str]) -> None:
    """Take tensors out of the one file of a folder."""
    _rewritten(folder, lambda weights: {n: w for n, w in weights.items() if n not in names})


def reshaped(folder: Path, name: str) -> None:
    """Give a tensor another shape: one row more, or an axis where it has none."""

    def change(weights: Dict[str, Any]) -> Dict[str, Any]:
        first, *others = weights[name].shape or (1,)
        return {**weights, name: torch.rand(first + 1, *others)}

    _rewritten(folder, change)


def names_in(folder: Path) -> List[str]:
    """Return the names of the tensors in the one file of a folder."""
    with safe_open(folder / WHOLE, "pt") as weights:
        return list(weights.keys())


def shards_of(folder: Path) -> List[Path]:
    """Return the shards of a folder."""
    index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    return [folder / name for name in sorted(set(index["weight_map"].values()))]


def _rewritten(folder: Path, change: Callable[[Dict[str, Any]], Dict[str, Any]]) -> None:
    path = folder / WHOLE
    with safe_open(path, "pt") as weights:
        metadata = weights.metadata()
        changed = change({name: weights.get_tensor(name).clone() for name in weights.keys()})  # noqa: SIM118 (no dictionary)
    save_file(changed, path, metadata)
