"""Distributed tensors (DTensor) in the file of one process: whole in it, or a part.

torch pickles one as ``_rebuild_from_type_v2(_rebuild_wrapper_subclass, DTensor, (DTensor, dtype,
shape, ...), state)``; the state has the process's own tensor under ``_local_tensor`` and under
``_spec`` the mesh of processes and how the tensor is placed on each of its axes.
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple

from ckpttool.formats.objects.attributes import attributes_of, shape_of, size_of, state_of
from ckpttool.formats.objects.storages import UnsupportedTensorError
from ckpttool.formats.pickles.nodes import Call, Dict, New, Node, pair_of

_CLASSES = frozenset(
    (module, "DTensor")
    for module in (
        "torch.distributed.tensor",
        "torch.distributed.tensor._api",
        "torch.distributed._tensor",
        "torch.distributed._tensor.api",
    )
)
_PLACEMENTS = tuple(
    f"torch.distributed.{module}.placement_types" for module in ("tensor", "_tensor")
)
_LOCAL, _SPEC = "_local_tensor", "_spec"
# Placements that are shown, and of which a process has all where its tensor has the whole shape. A
# Partial has a summand, whatever its shape is.
_MOST, _WHOLE = 8, ("Replicate()", "Shard(", "_StridedShard(")


class DTensor(NamedTuple):
    """What a file says of a distributed tensor.

    Attributes:
        dtype: the node of its element type.
        shape: of the tensor of all processes; ``None`` if it is not known.
        local: the node of this process's own tensor.
        placements: how it is placed on each axis of the mesh, as torch spells it.
        mesh: the processes along each axis of the mesh; ``None`` if that is not known.
    """

    dtype: Node
    shape: tuple[int, ...] | None
    local: Node
    placements: tuple[str, ...]
    mesh: tuple[int, ...] | None

    @property
    def whole(self) -> bool:
        """Whether this process has all of its elements."""
        placed = bool(self.placements) and all(one.startswith(_WHOLE) for one in self.placements)
        alone = self.mesh is not None and bool(self.mesh) and prod(self.mesh) == 1
        same = self.shape is not None and shape_of(self.local) == self.shape
        return same and (placed or alone)

    @property
    def part(self) -> str:
        """In words, what it is that is not the whole."""
        placed = f"placed {', '.join(self.placements)}" if self.placements else "placed unknown"
        mesh = "" if self.mesh is None else f" on a mesh of {' x '.join(map(str, self.mesh))}"
        return f"one rank's part of a DTensor ({placed}{mesh})"


def is_dtensor(cls: Node) -> bool:
    """Whether a node names torch's class of distributed tensors."""
    return pair_of(cls) in _CLASSES


def dtensor_of(args: tuple[Node, ...], state: Node) -> DTensor:
    """Return a distributed tensor from the arguments of its call, and its state.

    Raises:
        UnsupportedTensorError: it is not of torch's form.
    """
    attributes = attributes_of(state)
    if attributes is None or len(args) != 8 or not {_LOCAL, _SPEC} <= set(attributes):
        raise UnsupportedTensorError("a DTensor without its local tensor")
    spec = state_of(attributes[_SPEC]) or {}
    placements: Node = spec.get("placements")
    known = type(placements) in (tuple, list) and len(placements) <= _MOST
    return DTensor(
        args[1],
        size_of(args[2]),
        attributes[_LOCAL],
        tuple(map(_placement, placements)) if known else (),
        _mesh(spec.get("mesh")),
    )


def spec_of(state: Node) -> Node:
    """Return the state of a distributed tensor without its local tensor.

    That one is read as the tensor itself.
    """
    kept = Dict()
    kept.flat = [_SPEC, (attributes_of(state) or {}).get(_SPEC)]
    return kept


def is_spec(node: Node) -> bool:
    """Whether a node is what a distributed tensor has besides its elements: no weights."""
    return type(node) is New and is_dtensor(node.function)


def _placement(node: Node) -> str:
    """Return a placement as torch spells it, ``unknown`` for what is none."""
    name = pair_of(node.function) if isinstance(node, Call) else None
    if name is None or name[0] not in _PLACEMENTS:
        return "unknown"
    state = state_of(node) or {}
    given = node.args[:1] if type(node.args) is tuple else ()
    for key in ("dim", "reduce_op"):
        given = (state[key],) if key in state else given
    given = tuple(one for one in given if type(one) is int or (type(one) is str and len(one) < 20))
    return f"{name[1][:40]}({', '.join(map(str, given))})"


def _mesh(node: Node) -> tuple[int, ...] | None:
    """Return the sizes of a mesh, from any of the forms that releases of torch have written."""
    state = state_of(node) or {}
    layout = state_of(state.get("_layout"))
    if layout is not None:
        axes = layout.get("axes")
        if type(axes) is tuple and len(axes) <= _MOST:
            sizes = tuple(_product((state_of(axis) or {}).get("shape")) for axis in axes)
            return None if None in sizes else tuple(size for size in sizes if size is not None)
        shape = layout.get("shape")
        shape = (shape,) if type(shape) is int else shape
        return shape if _are_sizes(shape) else None
    return shape_of(state.get("mesh"))


def _product(shape: Node) -> int | None:
    shape = (shape,) if type(shape) is int else shape
    return prod(shape) if _are_sizes(shape) else None


def _are_sizes(shape: Node) -> bool:
    return (
        type(shape) is tuple
        and len(shape) <= _MOST
        and all(type(one) is int and 0 < one < 1 << 32 for one in shape)
    )
