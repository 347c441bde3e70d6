"""A package of somebody's own code, in a folder: small models, and what goes wrong in such code."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Iterator

import pytest
import torch

#: The module that :func:`written` writes, as ``--schema`` names it.
MODULE = "somebody.models"

_CODE = '''
import sys

import torch
from torch import nn

from somebody.parts import Head

print("somebody's code speaks")


class Net(nn.Module):
    """A tied head, a buffer that is saved and one that is not, and numbers of a schedule."""

    def __init__(self, width=8, depth=3, rate=0.1):
        super().__init__()
        rates = [one.item() for one in torch.linspace(0, rate, depth)]
        self.embed = nn.Embedding(10, width)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width), nn.Dropout(one), nn.BatchNorm1d(width))
            for one in rates
        )
        self.head = Head(width)
        self.head.weight = self.embed.weight
        self.register_buffer("scale", torch.arange(1.0, width + 1), persistent=False)

    def forward(self, ids, shift=0.0):
        hidden = self.embed(ids).mean(1) * self.scale
        for layer in self.layers:
            hidden = layer(hidden)
        return {"logits": self.head(hidden) + shift, "count": len(self.layers)}


class Broken(Net):
    def forward(self, ids):
        raise ValueError("this model cannot be run\\nat all")


class Leaves(Net):
    def forward(self, ids):
        sys.exit(0)


class Infinite(Net):
    def forward(self, ids):
        return super().forward(ids)["logits"] / 0


def build(**sizes):
    return Net(**sizes)


def on_meta():
    made = nn.Linear(2, 2)
    assert made.weight.is_meta
    return made


def state():
    return {"a": torch.zeros(3), "b": torch.zeros(2, 2, dtype=torch.int64), "note": "no tensor"}


def fails():
    raise RuntimeError("nothing is built here\\nand this is not shown")


def leaves():
    sys.exit(0)


def empty():
    return nn.Identity()


def number():
    return 3


def inputs():
    return torch.tensor([[1, 2, 3], [3, 4, 5]])


def more():
    return (torch.tensor([[1, 2, 3], [3, 4, 5]]), 2.0)


def named(shift=1.0):
    return {"ids": torch.tensor([[1, 2, 3], [3, 4, 5]]), "shift": shift}


def both():
    return (torch.tensor([[1, 2, 3], [3, 4, 5]]),), {"shift": 2.0}


def wrong():
    return torch.tensor([[1.5]])


constant = 3
'''
_PARTS = """
from torch import nn


class Head(nn.Linear):
    def __init__(self, width):
        super().__init__(width, 10, bias=False)
"""


def written(folder: Path) -> Path:
    """Write the package, and return the folder to run in."""
    package = folder / "somebody"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "parts.py").write_text(_PARTS)
    (package / "models.py").write_text(_CODE)
    (package / "breaks.py").write_text("import no_such_module_of_anybody\n")
    return folder


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working folder, with the package in it, which nobody has imported yet."""
    monkeypatch.chdir(written(tmp_path))
    yield tmp_path
    forget()


def forget() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "somebody"]:
        del sys.modules[name]


def saved(path: Path) -> str:
    """Write a state dict of ``Net`` with random weights through torch.save; return its path."""
    sys.path.insert(0, str(path.parent))
    try:
        from somebody.models import Net  # type: ignore[import-not-found]  # written above
    finally:
        sys.path.remove(str(path.parent))
    torch.manual_seed(0)
    net = Net()
    with torch.no_grad():
        for tensor in (*net.parameters(), *net.buffers()):
            if tensor.is_floating_point():
                tensor.copy_(torch.rand(tensor.shape) + 0.5)
    torch.save(net.state_dict(), path)
    forget()
    return str(path)
