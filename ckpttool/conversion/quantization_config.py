"""What the files beside a checkpoint say of quantization, and a ``config.json`` without it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Mapping

from ckpttool.conversion.model_config import CONFIG, ModelConfig, read_config
from ckpttool.files.suffixes import INDEX
from ckpttool.findings import rules
from ckpttool.findings.finding import Finding, finding
from ckpttool.findings.rules import Severity
from ckpttool.findings.text import printable
from ckpttool.quantization.settings import settings_in

if TYPE_CHECKING:
    from ckpttool.conversion.options import ConvertOptions
    from ckpttool.quantization.settings import Settings
    from ckpttool.tensors.catalogue import Checkpoint

# Keys of a config.json that say that the weights are quantized.
CLAIMS = ("quantization_config", "compression_config")
_BESIDE = (CONFIG, "hf_quant_config.json", "quantize_config.json")
# The file by which a loader takes a folder for a model.
_LOADED = {"safetensors": "model.safetensors", "pth": "pytorch_model.bin"}


def settings_beside(checkpoint: Checkpoint) -> Settings:
    """Return what the configuration in the folder of a checkpoint says of quantization."""
    folder = os.path.dirname(checkpoint.path)  # noqa: PTH120
    return settings_in(*(read_config(os.path.join(folder, name)) for name in _BESIDE))  # noqa: PTH118


def config_without(
    checkpoint: Checkpoint, destination: str, options: ConvertOptions
) -> ModelConfig:
    """Return the ``config.json`` for decoded weights: that of the source without its claim.

    It is written where a loader looks for it, beside ``model.safetensors``, and not where one is.
    One that is there and claims that the weights are quantized is replaced by force alone, and
    never that of the source.
    """
    there = os.path.join(os.path.dirname(destination), CONFIG)  # noqa: PTH118, PTH120
    own = os.path.join(os.path.dirname(checkpoint.path), CONFIG)  # noqa: PTH118, PTH120
    config = read_config(own)
    plain = _plain(config) if config is not None else None
    same = os.path.realpath(there) == os.path.realpath(own)
    if os.path.lexists(there):
        found = read_config(there)
        if found is None or _plain(found) is None:
            return ModelConfig()
        if same or plain is None or not options.force:
            return ModelConfig(findings=(_claimed(there),))
    if plain is None:
        return ModelConfig()
    name = os.path.basename(destination)  # noqa: PTH119
    if name.replace(INDEX, "") != _LOADED[options.to]:
        return ModelConfig(findings=(_not_written(name, _LOADED[options.to]),))
    content = json.dumps(plain, indent=2, ensure_ascii=False).encode() + b"\n"
    return ModelConfig(there, content)


def _plain(config: Mapping[str, object]) -> dict[str, object] | None:
    """Return a configuration without its claim; ``None`` if it has none."""
    plain = _without(config)
    for key, value in plain.items():  # of the language model in a model of several
        if isinstance(value, dict):
            plain[key] = _without(value)
    return None if plain == config else plain


def _without(config: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in config.items() if key not in CLAIMS}


def _claimed(path: str) -> Finding:
    return finding(
        rules.CONFIG_CLAIMS,
        f"the {CONFIG} beside the result says that its weights are quantized",
        found=printable(path),
        fix=f"Remove {' and '.join(CLAIMS)} from the {CONFIG} that the result is used with.",
    )


def _not_written(called: str, name: str) -> Finding:
    return finding(
        rules.NO_CONFIG,
        f"no {CONFIG} is written: a folder is loaded by {name}, and the file is called "
        f"{printable(called)}",
        severity=Severity.NOTE,
        fix=f"Remove {' and '.join(CLAIMS)} from the {CONFIG} that the result is used with.",
    )
