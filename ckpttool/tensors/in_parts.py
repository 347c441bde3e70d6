"""A tensor that is more than bytes: what its class, type and shape are, and what it is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Mapping, NamedTuple, Sequence

from ckpttool.findings.text import some_of

if TYPE_CHECKING:
    from ckpttool.tensors.catalogue import TensorInfo

# Parts that a line of text names, and characters of what a file spells itself.
_SHOWN, _LONGEST = 8, 200


class InParts(NamedTuple):
    """A quantized or sparse tensor, or one of a class of its own: see ``docs/formats.md``.

    Attributes:
        name: as in the checkpoint.
        cls: its class, ``torch.Tensor`` for those that torch makes itself.
        dtype: its element type by torch's name (``qint8``); ``None`` if it is not known.
        shape: its own shape; ``None`` if it is not known.
        facts: what else makes it what it is, by torch's names: layout, scheme, axis.
        parts: the plain tensors that it is made of; each name begins with its own and a dot.
        attributes: the other attributes of a class of its own, by dotted name, as inert nodes.
        closed: why it has no parts here; ``None`` where it has them.
    """

    name: str
    cls: str
    dtype: str | None = None
    shape: tuple[int, ...] | None = None
    facts: Mapping[str, object] = {}
    parts: tuple[TensorInfo, ...] = ()
    attributes: tuple[tuple[str, object], ...] = ()
    closed: str | None = None

    @property
    def suffixes(self) -> tuple[str, ...]:
        """What follows its name and the dot in the names of its parts."""
        return tuple(info.name[len(self.name) + 1 :] for info in self.parts)

    @property
    def text(self) -> str:
        """Type, shape and parts in a line."""
        shape = "" if self.shape is None else f" {list(self.shape)}"
        facts = [str(value) for value in self.facts.values() if isinstance(value, str)]
        before = ", ".join([f"{self.dtype or self.cls}{shape}", *facts])[:_LONGEST]
        if self.closed is not None:
            return f"{before}; its parts are not read: {self.closed}"
        parts = [
            f"{suffix[:_LONGEST]} {info.dtype.name} {list(info.shape)}"
            for suffix, info in zip(self.suffixes, self.parts)
        ]
        return f"{before}; parts: {some_of(parts, _SHOWN)}" if parts else before


def way_to(tensors: Sequence[InParts]) -> str | None:
    """Return how to get parts of one rank whole, ``None`` if other tensors are among them."""
    if tensors and all(one.cls.endswith(".DTensor") for one in tensors):
        return (
            "Name the folder that torch.distributed.checkpoint wrote, if there is one, or gather "
            "the tensor with full_tensor() before it is saved."
        )
    return None
