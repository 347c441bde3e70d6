"""A made-up family, whose names and parts are not those of any that is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ckpttool.models.family import ConfigFile, Family
from ckpttool.models.layouts.renames import Layout, module, under
from tests.builders.sizes import TINY

if TYPE_CHECKING:
    from ckpttool.models.family import ModelConfig

#: Every tensor of the model that is called ``toy_tiny``.
NAMES = (
    "lens.weight",
    "layers.0.mix.weight",
    "layers.1.mix.weight",
    "head.0.mix.weight",
    "out.bias",
)


class _Toy:
    """The model, as far as a schema is read off it."""

    def __init__(self, config: ModelConfig, device: str) -> None:
        self._width, self._device = config.embed_dim, device

    def state_dict(self) -> dict[str, Any]:
        import torch

        shape = (self._width, self._width)
        return {name: torch.empty(shape, device=self._device) for name in NAMES}


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
    load=lambda: _Toy,
    groups=("body", "head"),
    group_of=lambda name: "head" if name.startswith(("head.", "out.")) else "body",
    stacks={"layers": "body", "head": "head"},
    rows={"norms": ("calm",), "mixing": ("mix",)},
    load_layouts=lambda: (
        _layout("own", "lens", "layers", "head", "mix"),
        _layout("toys", "glass", "floor", "roof", "m.ix"),
    ),
    anchors=("lens.weight",),
    class_token="start",  # noqa: S106 (no password)
    patches="lens.weight",
    fused="mix",
    tables={},
    layernorms=r"\bcalm\.",
    classifier=("labels.",),
    pooled=("mean", "calm"),
    config_file=ConfigFile("toy", lambda _: {}, lambda *_: {}, r"toy"),
    published={"toy.pth": "000000"},
    published_at="https://example.org/",
)
