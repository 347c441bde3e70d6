"""A made-up family, whose names and parts are not those of any that is known."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ckpttool.models.family import Computed, ConfigFile, Family, ForwardPass, Words
from ckpttool.models.layouts.conventions import Convention
from ckpttool.models.layouts.renames import Layout, module, under
from tests.builders.sizes import TINY

if TYPE_CHECKING:
    from ckpttool.tensors.catalogue import TensorInfo
    from mae.config import MAEConfig

#: Every tensor of the model that is called ``toy_tiny``.
NAMES = (
    "lens.weight",
    "layers.0.mix.weight",
    "layers.1.mix.weight",
    "head.0.mix.weight",
    "out.bias",
)


class _Block(nn.Module):
    def __init__(self, width: int, device: str) -> None:
        super().__init__()
        self.mix = nn.Linear(width, width, bias=False, device=device)

    def forward(self, x: Tensor) -> Tensor:
        mixed: Tensor = self.mix(x)
        return x + mixed


class _Out(nn.Module):
    def __init__(self, width: int, device: str) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.empty(width, width, device=device))


class _Toy(nn.Module):
    def __init__(self, config: MAEConfig, device: str) -> None:
        super().__init__()
        width = config.embed_dim
        self.lens = nn.Linear(width, width, bias=False, device=device)
        self.layers = nn.Sequential(_Block(width, device), _Block(width, device))
        self.head = nn.Sequential(_Block(width, device))
        self.out = _Out(width, device)


def toy_state() -> dict[str, Tensor]:
    """Weights of ``toy_tiny``, each tensor its own."""
    random, width = torch.Generator().manual_seed(0), TINY.embed_dim
    return {name: torch.randn(width, width, generator=random) for name in NAMES}


def toy_input(device: str = "cpu") -> Tensor:
    """Two inputs of one token for each feature."""
    tokens = torch.eye(TINY.embed_dim, device=device)
    return torch.stack([tokens, tokens.flip(0)])


def _run(model: _Toy, full: bool, device: str, dtype: torch.dtype) -> Computed:
    features = model.layers(model.lens(toy_input(device).to(dtype)))
    if not full:
        return Computed({"features": features})
    return Computed({"features": features, "guess": model.head(features) + model.out.bias})


def _shapes(config: MAEConfig, full: bool) -> dict[str, tuple[int, ...]]:
    shape = (2, config.embed_dim, config.embed_dim)
    return {"features": shape, "guess": shape} if full else {"features": shape}


def _controls(
    config: MAEConfig, tensors: dict[str, TensorInfo]
) -> list[tuple[str, MAEConfig, dict[str, TensorInfo]]]:
    _, first, second, *_ = NAMES
    swapped = {**tensors, first: tensors[second], second: tensors[first]}
    return [("swap-layers", config, swapped)]


def _layout(name: str, lens: str, layers: str, head: str, mix: str) -> Layout:
    block = module("mix", mix)
    return Layout(
        name,
        (
            *module("lens", lens),
            *under("layers.{n}.", f"{layers}.{{n}}.", (*block, *module("calm"))),
            *under("head.{n}.", f"{head}.{{n}}.", block),
            *module("out"),
        ),
    )


TOY = Family(
    name="toy",
    sizes={"toy_tiny": TINY},
    default="toy_tiny",
    shapes=lambda config: dict.fromkeys(NAMES, (config.embed_dim, config.embed_dim)),
    load=lambda: _Toy,
    forward=None,
    groups=("body", "head"),
    group_of=lambda name: "head" if name.startswith(("head.", "out.")) else "body",
    stacks={"layers": "body", "head": "head"},
    rows={"norms": ("calm",), "mixing": ("mix",)},
    load_layouts=lambda: (
        _layout("own", "lens", "layers", "head", "mix"),
        _layout("toys", "glass", "floor", "roof", "m.ix"),
    ),
    load_conventions=lambda: {
        "toys": Convention(_layout("toys", "glass", "floor", "roof", "m.ix"))
    },
    anchors=("lens.weight",),
    patches="lens.weight",
    tables={},
    layernorms=r"\bcalm\.",
    classifier=("labels.",),
    config_file=ConfigFile("toy", (), lambda _: {}, lambda *_: {}, (), r"toy"),
    published={"toy.pth": "000000"},
    published_at="https://example.org/",
    words=lambda kind, _, name: Words(kind.value, f"a toy, {name}", "for play"),
    with_all=lambda _: (),
)

#: The same with a forward pass.
RUNNING_TOY = replace(TOY, forward=ForwardPass(_run, _shapes, lambda _: None, _controls))
