"""The masked autoencoder in PyTorch, with the parameter names of the published weights.

The two public names are looked up when they are first asked for, so that the position table
(:mod:`mae.large.pos_embed`, numpy alone) can be imported without paying for torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mae.large.mae_vit_large import MAEViTLarge, mae_vit_large_patch16

__all__ = ["MAEViTLarge", "mae_vit_large_patch16"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from mae.large import mae_vit_large

    return getattr(mae_vit_large, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
