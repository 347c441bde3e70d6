"""HUB: release conventions, and what lies beside the weights."""

from __future__ import annotations

from ckpttool.findings.rules.base import Rule, RuleFamily, Severity

# Warnings for the most part: the weights are right, but people or libraries will stumble over the
# release. An error is only what makes from_pretrained build another model.
FAMILY = RuleFamily("HUB", "release conventions, and what lies beside the weights")

_RELEASE_FOLDER = (
    "A release folder is one that is given to verify as a folder, or that holds config.json, "
    "model.safetensors or model.safetensors.index.json: the files by which Hugging Face's "
    "libraries know one."
)
_CONFIG = "Read is the config.json in the folder of the checkpoint, with the keys of ViTMAE."

TRAINING_STATE = Rule(
    "HUB001",
    "training-state",
    Severity.WARNING,
    "The file holds training state or settings beside the weights.",
    "Publish the state dict alone: ckpttool convert PATH --to safetensors.",
    "Named are entries such as optimizer, scaler, epoch, args and random states. They make the "
    "file larger, tell about the machine it was trained on, and often need code to load. Settings "
    "(args, config, hyper_parameters) may be what a loader builds the model from: `convert` leaves "
    "them out, and `--sidecar` keeps them as JSON.",
)
UNLISTED_SHARD = Rule(
    "HUB002",
    "unlisted-shard",
    Severity.WARNING,
    "There are weights beside the index that the index does not list.",
    "Remove files of an earlier export, or write the index again.",
    "Named are files that are numbered as shards are, and a model.safetensors, which many readers "
    "take instead of the index.",
)
# A warning: a base model and its adapter may lie together on purpose.
ADAPTER_BESIDE = Rule(
    "HUB013",
    "adapter-beside",
    Severity.WARNING,
    "An adapter lies beside the weights of a whole model.",
    "Move the adapter into a folder of its own, especially if it is merged into the weights.",
    "Of adapter_config.json and the adapter_model of PEFT beside model.safetensors, its index, or "
    "pytorch_model.bin: with peft installed, from_pretrained of transformers puts the adapter onto "
    "the model, so that one that is merged counts twice. `ckpttool prove --adapter` tells whether "
    "it is merged.",
)
CONFIG_MALFORMED = Rule(
    "HUB003",
    "config-malformed",
    Severity.ERROR,
    "The config.json beside the weights is not a JSON object.",
    "Write config.json again, for example with save_pretrained.",
)
CONFIG_CONTRADICTS = Rule(
    "HUB004",
    "config-contradicts",
    Severity.ERROR,
    "The config.json beside the weights describes another model.",
    "Set config.json to the sizes that the weights have.",
    f"{_CONFIG} Compared are hidden_size, num_hidden_layers, num_attention_heads, "
    "intermediate_size, patch_size, image_size, num_channels, qkv_bias, hidden_act and, where the "
    "file holds a decoder, decoder_hidden_size, decoder_num_hidden_layers, "
    "decoder_num_attention_heads and decoder_intermediate_size: with what the shapes of the "
    "weights say, and where shapes say nothing (heads, activation), with the known size of the "
    "model that the weights have, even if another one was asked for. An absent key is no "
    "contradiction.",
)
CONFIG_MODEL_TYPE = Rule(
    "HUB005",
    "config-model-type",
    Severity.WARNING,
    "The config.json beside the weights names another kind of model.",
    'Set "model_type": "vit_mae", unless the weights are meant for that other model.',
)
# Warnings, while CONFIG_CONTRADICTS is an error: no weight shows these settings, so what they were
# trained with is only inferred.
CONFIG_EPS = Rule(
    "HUB006",
    "config-layer-norm-eps",
    Severity.WARNING,
    "The layer_norm_eps in config.json is not the one that the weights were trained with.",
    'If these weights were trained with the published code, set "layer_norm_eps": 1e-06.',
    "Weights cannot show it. The model was trained with 1e-6; the config of "
    "facebook/vit-mae-large on the hub says 1e-12, as do files made from it.",
)
CONFIG_NORM_PIX = Rule(
    "HUB007",
    "config-norm-pix-loss",
    Severity.WARNING,
    "The norm_pix_loss in config.json is not the one that the weights were trained with.",
    "Set norm_pix_loss in config.json to the value of the training run.",
    "Weights cannot show it, so it is compared with the args of the training run where the file "
    "has them, and with what is known of the published names: mae_pretrain_vit_*_full was trained "
    "on normalised pixels.",
)
NO_FORMAT = Rule(
    "HUB008",
    "no-format-metadata",
    Severity.WARNING,
    "The safetensors metadata does not say format: pt.",
    'Save with metadata={"format": "pt"}: some versions of transformers refuse the file without.',
)
HEADER_SIZE = Rule(
    "HUB009",
    "hub-header-limit",
    Severity.WARNING,
    "The safetensors header is larger than the Hugging Face hub reads.",
    "Split the checkpoint into shards, or shorten its metadata.",
    "The Hugging Face hub does not parse headers beyond 25,000,000 bytes, so that it shows no "
    "tensors of the file; the safetensors library reads up to 100,000,000.",
)
NO_LICENCE = Rule(
    "HUB010",
    "no-licence",
    Severity.WARNING,
    "The release folder has no licence.",
    "Add a LICENSE file, or license: to the front matter of README.md.",
    f"{_RELEASE_FOLDER} A file called LICENSE, LICENCE or COPYING counts, with any ending, and so "
    "does a `license:` in the front matter of README.md.",
)
NO_MODEL_CARD = Rule(
    "HUB011",
    "no-model-card",
    Severity.WARNING,
    "The release folder has no model card.",
    "Add a README.md that says what the weights are, how they were made, and what they are for.",
    _RELEASE_FOLDER,
)
# A note: the file is not the checkpoint, and may have nothing to do with it.
BESIDE_NOT_READ = Rule(
    "HUB012",
    "beside-not-read",
    Severity.NOTE,
    "A file beside the checkpoint could not be read, so it was not checked.",
    "Replace it by a regular file of normal size in the same folder.",
)
