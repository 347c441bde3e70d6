"""ckpttool: verify, inspect and convert model checkpoints before you publish them.

The public names are imported when they are first used, so that ``import ckpttool`` is quick
and the light commands never load numpy or torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ckpttool._version import __version__

if TYPE_CHECKING:
    from ckpttool.findings.errors import (
        CkpttoolError,
        MalformedError,
        UnreadableError,
        UnsupportedError,
        UsageError,
    )
    from ckpttool.formats import open_checkpoint
    from ckpttool.tensors.catalogue import Checkpoint, Extent, TensorInfo
    from ckpttool.tensors.dtypes import DType

_HOMES = {
    "open_checkpoint": "ckpttool.formats",
    "Checkpoint": "ckpttool.tensors.catalogue",
    "DType": "ckpttool.tensors.dtypes",
    "Extent": "ckpttool.tensors.catalogue",
    "TensorInfo": "ckpttool.tensors.catalogue",
    "CkpttoolError": "ckpttool.findings.errors",
    "MalformedError": "ckpttool.findings.errors",
    "UnreadableError": "ckpttool.findings.errors",
    "UnsupportedError": "ckpttool.findings.errors",
    "UsageError": "ckpttool.findings.errors",
}

__all__ = [
    "Checkpoint",
    "CkpttoolError",
    "DType",
    "Extent",
    "MalformedError",
    "TensorInfo",
    "UnreadableError",
    "UnsupportedError",
    "UsageError",
    "__version__",
    "open_checkpoint",
]


def __getattr__(name: str) -> object:
    """Import a public name from its room on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
