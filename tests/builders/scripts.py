"""TorchScript programs, as ``torch.jit.save`` writes them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Callable, Dict, Optional, Tuple

import torch
from torch import nn

from tests.builders import modules
from tests.builders import pickles as p
from tests.builders import torch_files as tf


class Reader(nn.Module):
    """With tied, shared, missing and plain attributes, in names that are no identifiers."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 3)
        self.head = nn.Linear(3, 5, bias=False)
        self.head.weight = self.embedding.weight
        self.layers = nn.ModuleDict({"a-b": nn.Linear(3, 3), "c": nn.Identity()})
        self.scales = nn.ParameterList([nn.Parameter(torch.ones(2)) for _ in range(2)])
        self.register_buffer("mean", torch.ones(2))
        self.register_buffer("mask", torch.ones(2), persistent=False)
        self.register_parameter("nothing", None)
        self.stride = torch.ones(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = self.embedding(x)
        for layer in self.layers.values():
            found = layer(found)
        read: torch.Tensor = self.head(found) + self.stride.sum()
        return read


#: Modules, and what they are traced with.
PROGRAMS: Dict[str, Tuple[Callable[[], nn.Module], torch.Tensor]] = {
    "small": (modules.small, torch.ones(2, 2)),
    "reader": (Reader, torch.tensor([1])),
    "attention": (modules.attention, torch.ones(2, 1, 4)),
    "recurrent": (lambda: nn.LSTM(2, 2), torch.ones(2, 1, 2)),
}


def script(module: nn.Module) -> torch.jit.ScriptModule:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made: torch.jit.ScriptModule = torch.jit.script(module.eval())
        return made


def frozen(module: nn.Module) -> torch.jit.ScriptModule:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made: torch.jit.ScriptModule = torch.jit.freeze(script(module))
        return made


def saved(program: torch.jit.ScriptModule, path: Path) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(program, path)
    return str(path)


#: The head of a class that has one parameter and one buffer.
CODE = b'class Net(Module):\n  __parameters__ = ["w", ]\n  __buffers__ = ["b", ]\n  w : Tensor\n'


def program(
    state: bytes | None = None,
    code: bytes = CODE,
    constants: bytes = b")",
    **members: bytes,
) -> bytes:
    """The archive of a program of one class, whose code is stored as it is."""
    held = p.dict_of((p.text("w"), p.tensor()), (p.text("b"), p.tensor()))
    root = p.new(p.name("__torch__.mine", "Net")) + (state or held) + b"b"
    inside: Dict[str, Optional[bytes]] = {
        "constants.pkl": p.pickle(constants),
        "code/__torch__/mine.py": code,
        **members,
    }
    return tf.torch_zip(root, members=inside)
