"""What a model holds, as a schema: the names of its state dict, and which of them are tied."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Container, Mapping, NamedTuple

from ckpttool.findings import rules
from ckpttool.findings.errors import UnsupportedError
from ckpttool.models.schema_file import MOST_TENSORS, described

if TYPE_CHECKING:
    from torch import nn

    from ckpttool.tensors.catalogue import TensorInfo


# Old names of transformers that its loader still knows, and of torch's weight norm.
_OLD = (
    ("LayerNorm.gamma", "LayerNorm.weight"),
    ("LayerNorm.beta", "LayerNorm.bias"),
    (".weight_g", ".parametrizations.weight.original0"),
    (".weight_v", ".parametrizations.weight.original1"),
)


class Held(NamedTuple):
    """What a model holds.

    Attributes:
        tensors: what its checkpoint must have; their bytes are nowhere.
        tied: other names of tied tensors -> the first one, which is in ``tensors``. A checkpoint
            may have any of them; where it usually has all, the others are in ``tensors``, too.
        optional: buffers that the model computes: old checkpoints have them, new ones do not.
        ignored: expressions for names that the model's loader passes over without a word.
        wide: names of ``tensors`` that may be in float32, too, where the model has 16 bits: its
            loader keeps them so.
        prefix: the module that holds a model without its head, which has the names without it:
            a loader puts it before a name, or takes it off.
    """

    tensors: dict[str, TensorInfo]
    tied: Mapping[str, str] = {}
    optional: frozenset[str] = frozenset()
    ignored: tuple[str, ...] = ()
    wide: frozenset[str] = frozenset()
    prefix: str = ""

    def spelled(self, name: str, stored: Container[str]) -> str:
        """Return what the model calls a tensor of a file, where its loader knows another name.

        Args:
            name: in the file.
            stored: all names of the file: a name that is taken is no other spelling.
        """
        if name in self.tensors:
            return name
        modern = [name, *(f"{name[: -len(old)]}{new}" for old, new in _OLD if name.endswith(old))]
        head = f"{self.prefix}."
        for one in modern if self.prefix else modern[1:]:
            for other in (one, head + one, one[len(head) :] if one.startswith(head) else one):
                if other in self.tensors and other not in stored:
                    return other
        return name

    def computes(self, name: str) -> bool:
        """Whether the model does without a tensor that an old checkpoint of it may have."""
        return name in self.optional or any(re.search(one, name) for one in self.ignored)


def held_by(state_dict: Mapping[Any, Any]) -> Held:
    """Return what a state dict holds; entries that are no tensors are left out.

    Args:
        state_dict: name -> tensor; the same object under two names is a tied tensor.

    Raises:
        UnsupportedError: there is no tensor, too many, or one of a dtype that is not known.
    """
    import torch

    tensors: dict[str, TensorInfo] = {}
    for name, tensor in state_dict.items():
        if not isinstance(name, str) or not isinstance(tensor, torch.Tensor):
            continue
        if len(tensors) == MOST_TENSORS:
            raise UnsupportedError(
                f"the model has more than {MOST_TENSORS:,} tensors", rules.SCHEMA_CODE
            )
        dtype = str(tensor.dtype).rpartition(".")[2]
        tensors[name] = described(name, dtype, tuple(tensor.shape))
    if not tensors:
        raise UnsupportedError("the model has no tensor", rules.SCHEMA_CODE)
    return Held(tensors)


def groups_of_tied(state_dict: Mapping[str, Any]) -> list[list[str]]:
    """Return the names of each tensor that has more than one, in their order.

    Args:
        state_dict: with the tensors themselves, as of ``state_dict(keep_vars=True)``: detached ones
            are objects of their own, and on the meta device none has an address.
    """
    names: dict[int, list[str]] = {}
    for name, tensor in state_dict.items():
        names.setdefault(id(tensor), []).append(name)
    return [group for group in names.values() if len(group) > 1]


def computed_buffers(module: nn.Module) -> frozenset[str]:
    """Return the buffers of a model that its state dict leaves out."""
    kept = module.state_dict()
    return frozenset(name for name, _ in module.named_buffers() if name not in kept)
