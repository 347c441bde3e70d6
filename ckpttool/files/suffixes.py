"""The suffixes of checkpoint files, and names without them."""

from __future__ import annotations

from pathlib import PurePath

SAFETENSORS = (".safetensors",)
#: Of files that torch.save wrote.
TORCH = (".pth", ".pth.tar", ".pt", ".bin", ".ckpt")
SUFFIXES = SAFETENSORS + TORCH
#: Of the index of shards, behind the suffix of the shards.
INDEX = ".index.json"

_ENDINGS = (*(suffix + INDEX for suffix in SUFFIXES), *SUFFIXES)


def is_called_checkpoint(path: str) -> bool:
    """Whether a file is called as checkpoints and their indexes are."""
    return path.lower().endswith((*SUFFIXES, INDEX))


def stem_of(path: str) -> str:
    """Return a file's name without the suffix of its container."""
    name = PurePath(path).name
    for ending in _ENDINGS:
        if name.lower().endswith(ending) and len(name) > len(ending):
            return name[: -len(ending)]
    return name
