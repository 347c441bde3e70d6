"""What a file of a low-rank adapter says of itself: its rank, its alpha, the model it is for."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Iterator, Mapping

from ckpttool.findings.errors import CkpttoolError
from ckpttool.findings.listing import AdapterFacts

if TYPE_CHECKING:
    from ckpttool.models.adapters.config import AdapterConfig
    from ckpttool.models.adapters.names import Part
    from ckpttool.tensors.catalogue import Checkpoint, TensorInfo

# In each name of a part that has a rank.
_MARK = ".lora_"
# What kohya's scripts say in the header of a file: the alpha, and the model that was trained.
_ALPHA, _BASES = "ss_network_alpha", ("ss_sd_model_name", "ss_base_model_version")


def adapter_of(path: str, checkpoint: Checkpoint) -> AdapterFacts | None:
    """Return what is known of an adapter; ``None`` for a file that is none.

    The rank is that of the shapes. The alpha is no tensor's shape: it is taken from the
    configuration beside the file, or from the header.
    """
    if not any(_MARK in name for name in checkpoint.tensors):
        return None
    # late: most files have no such name
    from ckpttool.models.adapters.config import CONFIG, config_at
    from ckpttool.models.adapters.names import ALPHA, DOWN, MAGNITUDE, part_of

    parts = ((part_of(name), info) for name, info in checkpoint.tensors.items())
    named = [(part, info) for part, info in parts if part is not None]
    downs = [(part, info) for part, info in named if part.kind == DOWN and info.shape]
    if not downs:
        return None
    trouble = None
    try:
        config = config_at(str(Path(path).parent / CONFIG))
    except CkpttoolError as error:
        config, trouble = None, error.detail()
    if config is not None:
        alphas, said_by = {config.alpha_of(part.module) for part, _ in downs}, CONFIG
    else:
        alphas, said_by = _alpha_in(checkpoint.metadata)
    return AdapterFacts(
        tuple(sorted({info.shape[0] for _, info in downs})),
        tuple(sorted(alphas)),
        said_by or None,
        any(part.kind == ALPHA for part, _ in named),
        len({part.module for part, _ in downs}),
        tuple(dict.fromkeys(_last(part) for part, _ in downs)),
        tuple(_variants(config, any(part.kind == MAGNITUDE for part, _ in named))),
        _base(config, checkpoint.metadata),
        trouble or (_contradiction(downs, config) if config is not None else None),
    )


def _last(part: Part) -> str:
    # of a name with underscores for dots the last module is not known
    return part.module.rpartition(".")[2]


def _alpha_in(metadata: Mapping[str, str]) -> tuple[set[float], str]:
    """Return the alpha that a header says, and under which key."""
    try:
        alpha = float(metadata[_ALPHA])
    except (KeyError, ValueError):
        return set(), ""
    return ({alpha}, _ALPHA) if math.isfinite(alpha) else (set(), "")


def _variants(config: AdapterConfig | None, magnitudes: bool) -> Iterator[str]:
    if magnitudes or (config is not None and config.dora):
        yield "DoRA"
    if config is not None and config.rslora:
        yield "rsLoRA"


def _base(config: AdapterConfig | None, metadata: Mapping[str, str]) -> str | None:
    if config is not None and config.base is not None:
        return config.base
    return next((metadata[key] for key in _BASES if metadata.get(key)), None)


def _contradiction(downs: list[tuple[Part, TensorInfo]], config: AdapterConfig) -> str | None:
    """Return where the configuration has another rank than a tensor."""
    for part, info in downs:
        told, own = config.rank_of(part.module), info.shape[0]
        if told != own:
            return f"the configuration has rank {told} for {part.module}, whose tensors have {own}"
    return None
