"""Models of transformers with tied weights, as small as they can be, and what they compute.

transformers is imported when one is built: tests that use them skip where it is missing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, NamedTuple

import torch

if TYPE_CHECKING:
    from torch import Tensor

_ENCODER_DECODER = {
    "vocab_size": 64,
    "d_model": 16,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "decoder_start_token_id": 0,
}
_DECODER = {
    "vocab_size": 64,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 64,
    "tie_word_embeddings": True,
}
_CONFIGS: Dict[str, Dict[str, Any]] = {
    "T5Config": {
        "vocab_size": 64,
        "d_model": 16,
        "d_kv": 8,
        "d_ff": 32,
        "num_layers": 2,
        "num_heads": 2,
        "decoder_start_token_id": 0,
    },
    "BartConfig": _ENCODER_DECODER,
    "MarianConfig": _ENCODER_DECODER,
    "GPT2Config": {"vocab_size": 64, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 64},
    "LlamaConfig": {**_DECODER, "num_key_value_heads": 2},
    "RobertaConfig": {**_DECODER, "pad_token_id": 1},
    "XLMRobertaConfig": {**_DECODER, "pad_token_id": 1},
    "ElectraConfig": {**_DECODER, "embedding_size": 8},
    "DebertaV2Config": _DECODER,
    "MambaConfig": {
        "vocab_size": 64,
        "hidden_size": 16,
        "state_size": 4,
        "num_hidden_layers": 2,
        "tie_word_embeddings": True,
    },
    "XLNetConfig": {"vocab_size": 64, "d_model": 16, "n_layer": 2, "n_head": 2, "d_inner": 32},
    "OPTConfig": {
        "vocab_size": 64,
        "hidden_size": 16,
        "word_embed_proj_dim": 16,
        "ffn_dim": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 64,
    },
}


class TiedModel(NamedTuple):
    """A model that is saved whole, and the class that it is loaded as."""

    config: str
    saved_as: str
    loaded_as: str


TIED_MODELS = {
    "BART": TiedModel("BartConfig", *["BartForConditionalGeneration"] * 2),
    "BART without its head": TiedModel("BartConfig", "BartForConditionalGeneration", "BartModel"),
    "Marian": TiedModel("MarianConfig", *["MarianMTModel"] * 2),
    "T5": TiedModel("T5Config", *["T5ForConditionalGeneration"] * 2),
    "T5's encoder alone": TiedModel("T5Config", "T5ForConditionalGeneration", "T5EncoderModel"),
    "GPT-2 without its head": TiedModel("GPT2Config", "GPT2LMHeadModel", "GPT2Model"),
    "Llama": TiedModel("LlamaConfig", *["LlamaForCausalLM"] * 2),
    "Llama without its head": TiedModel("LlamaConfig", "LlamaForCausalLM", "LlamaModel"),
    "RoBERTa without its head": TiedModel("RobertaConfig", "RobertaForMaskedLM", "RobertaModel"),
    # Its head comes first in transformers 5. The whole model is not here: transformers 4.49 loses
    # the bias of this head even from a file of its own.
    "XLM-R without its head": TiedModel(
        "XLMRobertaConfig", "XLMRobertaForMaskedLM", "XLMRobertaModel"
    ),
    # heads of other names: generator_lm_head, cls.predictions.decoder, lm_loss
    "ELECTRA": TiedModel("ElectraConfig", *["ElectraForMaskedLM"] * 2),
    "DeBERTa": TiedModel("DebertaV2Config", *["DebertaV2ForMaskedLM"] * 2),
    "XLNet": TiedModel("XLNetConfig", *["XLNetLMHeadModel"] * 2),
    "Mamba without its head": TiedModel("MambaConfig", "MambaForCausalLM", "MambaModel"),
    "OPT without its head": TiedModel("OPTConfig", "OPTForCausalLM", "OPTModel"),
}


def save(model: TiedModel, folder: Path) -> Path:
    """Write ``config.json`` and ``pytorch_model.bin``, as ``torch.save(model.state_dict())`` does.

    The weights are random, with a spread that makes every layer count.
    """
    import transformers

    torch.manual_seed(0)
    config = getattr(transformers, model.config)(**_CONFIGS[model.config])
    built = getattr(transformers, model.saved_as)(config)
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.add_(torch.randn(parameter.shape) * 0.2)
    folder.mkdir()
    config.save_pretrained(folder)
    torch.save(built.state_dict(), folder / "pytorch_model.bin")
    return folder / "pytorch_model.bin"


def outputs(model: TiedModel, folder: Path) -> tuple[Tensor, dict[str, Any]]:
    """Return what the model of a folder computes, and how transformers says that it loaded."""
    import transformers

    kind = getattr(transformers, model.loaded_as)
    loaded, told = kind.from_pretrained(folder, output_loading_info=True)
    ids = torch.arange(8).view(1, 8) + 3
    further = {"decoder_input_ids": ids} if loaded.config.is_encoder_decoder else {}
    if model.loaded_as == "T5EncoderModel":
        further = {}
    with torch.no_grad():
        return loaded.eval()(input_ids=ids, **further)[0], told
