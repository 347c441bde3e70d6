"""What a file of a low-rank adapter says of itself: its rank, its alpha, the model it is for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Iterator, Mapping

from ckpttool.findings.errors import CkpttoolError
from ckpttool.findings.listing import AdapterFacts
from ckpttool.models.adapters.config import CONFIG, config_at
from ckpttool.models.adapters.names import ALPHA, DOWN, MAGNITUDE, part_of

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
    # most files have no such name, and each costs an expression
    named = [
        (part, info)
        for name, info in checkpoint.tensors.items()
        if _MARK in name or name.endswith(".alpha")
        for part in (part_of(name),)
        if part is not None
    ]
    downs = [(part, info) for part, info in named if part.kind == DOWN and info.shape]
    if not downs:
        return None
    trouble = None
    try:
        config = config_at(str(Path(path).parent / CONFIG))
    except CkpttoolError as error:
        config, trouble = None, error.detail()
    alphas, said_by = _alphas(downs, config, checkpoint.metadata)
    return AdapterFacts(
        tuple(sorted({info.shape[0] for _, info in downs})),
        tuple(sorted(alphas)),
        said_by,
        any(part.kind == ALPHA for part, _ in named),
        len({part.module for part, _ in downs}),
        tuple(dict.fromkeys(_last(part) for part, _ in downs)),
        tuple(_variants(config, any(part.kind == MAGNITUDE for part, _ in named))),
        _base(config, checkpoint.metadata),
        trouble or _contradiction(downs, config),
    )


def _last(part: Part) -> str:
    # of a name with underscores for dots the last module is not known
    return part.module.rpartition(".")[2]


def _alphas(
    downs: list[tuple[Part, TensorInfo]],
    config: AdapterConfig | None,
    metadata: Mapping[str, str],
) -> tuple[set[float], str | None]:
    """Return the alphas of all modules, and what says so."""
    if config is not None:
        return {config.alpha_of(part.module) for part, _ in downs}, CONFIG
    try:
        return {float(metadata[_ALPHA])}, _ALPHA
    except (KeyError, ValueError):
        return set(), None


def _variants(config: AdapterConfig | None, magnitudes: bool) -> Iterator[str]:
    if magnitudes or (config is not None and config.dora):
        yield "DoRA"
    if config is not None and config.rslora:
        yield "rsLoRA"


def _base(config: AdapterConfig | None, metadata: Mapping[str, str]) -> str | None:
    if config is not None and config.base is not None:
        return config.base
    return next((metadata[key] for key in _BASES if metadata.get(key)), None)


def _contradiction(
    downs: list[tuple[Part, TensorInfo]], config: AdapterConfig | None
) -> str | None:
    """Return where the configuration has another rank than a tensor."""
    for part, info in downs if config is not None else ():
        told = config.rank_of(part.module) if config is not None else 0
        if told != info.shape[0]:
            return f"{CONFIG} has rank {told} for {part.module}, whose tensors have {info.shape[0]}"
    return None
