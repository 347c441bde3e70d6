"""What tensors are made of that are more than bytes: quantized, sparse, nested, of other classes.

The forms are those of torch's ``Tensor._reduce_ex_internal``, which calls a function of
``torch._utils`` with the plain tensors that such a tensor consists of. Its parts are those, under
the names that torch's own methods and attributes have.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Callable, Iterator

from ckpttool.files.sources import MemorySource
from ckpttool.findings.errors import MalformedError
from ckpttool.formats.objects.attributes import (
    attributes_of,
    size_of,
)
from ckpttool.formats.objects.dtensors import is_dtensor
from ckpttool.formats.objects.plain import Reader
from ckpttool.formats.objects.rebuild import (
    FROM_TYPE,
    REBUILD_V2,
    SUBCLASS,
    UNSUPPORTED,
    WRAPPING,
    is_tensor,
    rebuild,
)
from ckpttool.formats.objects.sparse import (
    COMPRESSED,
    COORDINATES,
    compressed_names,
    fit,
    layout_of,
)
from ckpttool.formats.objects.storages import UnsupportedTensorError
from ckpttool.formats.pickles.nodes import (
    Call,
    Dict,
    Global,
    Node,
    PersistentId,
    is_scalar,
    near,
    pair_of,
)
from ckpttool.tensors.catalogue import Extent, TensorInfo
from ckpttool.tensors.dtypes import DTYPES, DType
from ckpttool.tensors.in_parts import InParts

if TYPE_CHECKING:
    from ckpttool.formats.objects.storages import Locate

#: Nodes and parts that are looked at in one file, and how many more for each tensor: many may share
#: what they are made of, and then a small file would have any number of parts.
MAX_LOOKS, LOOKS_EACH = 500_000, 5
#: Parts of one tensor; nodes, and characters, of the other attributes of one.
MAX_PARTS, MAX_NODES, MAX_CHARACTERS = 1_000, 1_000, 100_000
# How deep tensors lie in tensors.
_DEPTH = 8

_UTILS = "torch._utils"
_TENSOR = "torch.Tensor"
# Storages of quantized tensors: the element type, and the class of the codes alone; ``None`` for
# codes that share bytes.
_CODES = {
    "QInt8Storage": ("qint8", Global("torch", "CharStorage")),
    "QUInt8Storage": ("quint8", Global("torch", "ByteStorage")),
    "QInt32Storage": ("qint32", Global("torch", "IntStorage")),
    "QUInt4x2Storage": ("quint4x2", None),
    "QUInt2x4Storage": ("quint2x4", None),
}
_INT64, _FLOAT64 = DTYPES["int64"], DTYPES["float64"]
_INDICES = (DTYPES["int32"], _INT64)


class PartsReader:
    """Finds the parts of tensors of one file."""

    def __init__(self, locate: Locate, *, big_endian: bool = False) -> None:
        self._locate = locate
        self._big_endian = big_endian
        self._looks = MAX_LOOKS

    def read(self, name: str, node: Call) -> InParts | None:
        """Return what a tensor is made of that ``rebuild`` refused as of a kind that is not read.

        ``None`` for an unknown call.
        """
        self._looks += LOOKS_EACH
        return self._read(name, node, _DEPTH)

    def _read(self, name: str, node: Call, depth: int) -> InParts | None:
        call, state = _innermost(node)
        read = None if call is None else _READERS.get(pair_of(call.function) or ("", ""))
        if call is None or read is None:
            return None
        made = InParts(name, _TENSOR)
        try:
            self._look(1)
            return read(self, made, call.args, state, depth)
        except _ClosedError as reason:
            return (reason.made or made)._replace(closed=str(reason))
        except (UnsupportedTensorError, MalformedError) as error:
            return made._replace(closed=str(error))

    def _look(self, number: int) -> None:
        self._looks -= number
        if self._looks < 0:
            raise _ClosedError("the tensors of the file have too many parts")

    def _part(self, name: str, node: Node) -> TensorInfo:
        self._look(1)
        if not is_tensor(node):
            raise _ClosedError(f"{name.rpartition('.')[2][:40]} is not a tensor")
        return rebuild(name, node, self._locate, big_endian=self._big_endian)

    # --- quantized -----------------------------------------------------------------------

    def _quantized(self, made: InParts, args: tuple[Node, ...], _: Node, __: int) -> InParts:
        """``_rebuild_qtensor(storage, offset, shape, strides, scheme, requires_grad, hooks)``."""
        storage, params = (args[0], args[4]) if len(args) == 7 else (None, None)
        value = storage.value if type(storage) is PersistentId else None
        if type(value) is not tuple or len(value) < 3 or type(params) is not tuple or not params:
            raise _ClosedError("the call has other arguments than torch writes")
        found = pair_of(value[1]) or ("", "")
        scheme = pair_of(params[0]) or ("", "")
        made = made._replace(shape=size_of(args[2]), facts={"qscheme": scheme[1][:60]})
        if found[0] not in ("torch", "torch.cuda", "torch.storage") or found[1] not in _CODES:
            raise _ClosedError("its storage is no quantized one", made)
        dtype, plain = _CODES[found[1]]
        made = made._replace(dtype=dtype)
        if plain is None:
            raise _ClosedError("several codes share a byte", made)
        codes = Call(
            Global(*REBUILD_V2),
            (PersistentId((value[0], plain, *value[2:])), *args[1:4], False, args[6]),
        )
        parts = [self._part(f"{made.name}.int_repr", codes)]
        if scheme == ("torch", "per_tensor_affine"):
            parts += _numbers(made, params[1:])
        elif scheme in _PER_CHANNEL and len(params) == 4:
            parts += self._per_channel(made, params)
        else:
            raise _ClosedError("its scheme is not known", made)
        return made._replace(parts=tuple(parts))

    def _per_channel(self, made: InParts, params: tuple[Node, ...]) -> list[TensorInfo]:
        scales = self._part(f"{made.name}.scales", params[1])
        points = self._part(f"{made.name}.zero_points", params[2])
        axis, shape = params[3], made.shape or ()
        if type(axis) is not int or not 0 <= axis < len(shape):
            raise _ClosedError("it has no such axis", made)
        if not scales.shape == points.shape == (shape[axis],):
            raise _ClosedError("scales, zero points and channels are of other numbers", made)
        if scales.dtype.kind != "float" or points.dtype.kind not in ("float", "int"):
            raise _ClosedError("scales or zero points are of another type", made)
        return [scales, points, _number(f"{made.name}.axis", _INT64, struct.pack("<q", axis))]

    # --- sparse --------------------------------------------------------------------------

    def _sparse(self, made: InParts, args: tuple[Node, ...], _: Node, __: int) -> InParts:
        """``_rebuild_sparse_tensor(layout, (indices, values, shape, ...))``."""
        data = args[1] if len(args) == 2 and type(args[1]) in (tuple, list) else ()
        layout = layout_of(args[0]) if args else None
        made = made._replace(facts={"layout": layout or "unknown"})
        if layout == COORDINATES and len(data) in (3, 4):
            return self._coo(made, *data)
        if layout is not None and layout in COMPRESSED and len(data) == 4:
            return self._compressed(made, layout, *data)
        raise _ClosedError("the call has other arguments than torch writes", made)

    def _coo(
        self, made: InParts, indices: Node, values: Node, shape: Node, coalesced: Node = None
    ) -> InParts:
        places = self._part(f"{made.name}.indices", indices)
        elements = self._part(f"{made.name}.values", values)
        sizes = size_of(shape)
        facts = {**made.facts, "is_coalesced": coalesced} if type(coalesced) is bool else made.facts
        made = made._replace(dtype=elements.dtype.name, shape=sizes, facts=facts)
        if places.dtype is not _INT64:
            raise _ClosedError("its indices are of another type than int64", made)
        sparse, number = places.shape if len(places.shape) == 2 else (-1, -1)
        if sizes is None or elements.shape != (number, *sizes[max(sparse, 0) :]):
            raise _ClosedError("its indices, values and shape do not fit together", made)
        return made._replace(parts=(places, elements))

    def _compressed(
        self, made: InParts, layout: str, compressed: Node, plain: Node, values: Node, shape: Node
    ) -> InParts:
        by_rows, _ = COMPRESSED[layout]
        one, other = compressed_names(by_rows)
        starts = self._part(f"{made.name}.{one}", compressed)
        places = self._part(f"{made.name}.{other}", plain)
        elements = self._part(f"{made.name}.values", values)
        sizes = size_of(shape)
        made = made._replace(dtype=elements.dtype.name, shape=sizes)
        if starts.dtype not in _INDICES or places.dtype is not starts.dtype:
            raise _ClosedError("its indices are of another type than int64 or int32", made)
        if sizes is None or not fit(layout, sizes, starts.shape, places.shape, elements.shape):
            raise _ClosedError("its indices, values and shape do not fit together", made)
        return made._replace(parts=(starts, places, elements))

    # --- nested, and without data ----------------------------------------------------------

    def _nested(self, made: InParts, args: tuple[Node, ...], _: Node, __: int) -> InParts:
        """``_rebuild_nested_tensor(values, sizes, strides, offsets)``, a row for each tensor."""
        names = ("values", "nested_size", "nested_strides", "storage_offsets")
        if len(args) != len(names):
            raise _ClosedError("the call has other arguments than torch writes")
        parts = [self._part(f"{made.name}.{name}", arg) for name, arg in zip(names, args)]
        facts = {"layout": "nested"}
        return made._replace(dtype=parts[0].dtype.name, facts=facts, parts=tuple(parts))

    def _jagged(self, made: InParts, args: tuple[Node, ...], _: Node, __: int) -> InParts:
        """``_rebuild_njt({"values": ..., "offsets": ..., "lengths": ...})``."""
        state = attributes_of(args[0]) if len(args) == 1 else None
        if state is None or not {"values", "offsets"} <= set(state):
            raise _ClosedError("the call has other arguments than torch writes")
        names = [name for name in ("values", "offsets", "lengths") if state.get(name) is not None]
        parts = [self._part(f"{made.name}.{name}", state[name]) for name in names]
        ragged = state.get("_ragged_idx")
        axis = {"ragged_idx": ragged} if type(ragged) is int else {}
        facts = {"layout": "jagged", **axis}
        return made._replace(dtype=parts[0].dtype.name, facts=facts, parts=tuple(parts))

    def _without_data(self, made: InParts, args: tuple[Node, ...], _: Node, __: int) -> InParts:
        """``_rebuild_meta_tensor_no_storage(dtype, shape, strides, requires_grad)``."""
        dtype, shape = (args[0], size_of(args[1])) if len(args) == 4 else (None, None)
        made = made._replace(dtype=_dtype_name(dtype), shape=shape)
        raise _ClosedError("it has no data", made)

    # --- classes of their own --------------------------------------------------------------

    def _subclass(self, made: InParts, args: tuple[Node, ...], state: Node, depth: int) -> InParts:
        """``_rebuild_wrapper_subclass(cls, dtype, shape, ...)``, whose state has its attributes."""
        if len(args) != 8 or type(args[0]) is not Global:
            raise _ClosedError("the call has other arguments than torch writes")
        cls, dtype, shape = str(args[0])[:MAX_NODES], _dtype_name(args[1]), size_of(args[2])
        made = made._replace(cls=cls, dtype=dtype, shape=shape)
        if is_dtensor(args[0]):
            raise _ClosedError("they are those of one rank", made)
        attributes = attributes_of(state)
        if attributes is None:
            raise _ClosedError("it has an attribute twice", made)
        if depth == 0:
            raise _ClosedError("tensors lie too deep in tensors", made)
        parts: list[TensorInfo] = []
        others: list[tuple[str, Node]] = []
        for key, value in attributes.items():
            name = f"{made.name}.{key}"
            if not is_tensor(value):
                self._require_small(made, value)
                others.append((key, value))
                continue
            inner = self._attribute(made, name, value, depth)
            if isinstance(inner, InParts):
                parts += inner.parts
                others.append((key, _as_node(inner)))
                others += [(f"{key}.{below}", one) for below, one in inner.attributes]
            else:
                parts.append(inner)
            if len(parts) > MAX_PARTS:
                raise _ClosedError("it has too many parts", made)
        return made._replace(parts=tuple(parts), attributes=tuple(others))

    def _attribute(self, made: InParts, name: str, node: Node, depth: int) -> TensorInfo | InParts:
        try:
            return self._part(name, node)
        except UnsupportedTensorError as reason:
            inner = self._read(name, node, depth - 1)
            if inner is None or inner.closed is not None:
                why = str(reason) if inner is None else inner.closed
                raise _ClosedError(f"{name[len(made.name) + 1 :][:80]}: {why}", made) from None
            return inner

    def _require_small(self, made: InParts, node: Node) -> None:
        """Raise unless an attribute can be written as text beside the parts."""
        nodes = list(near((node,), MAX_NODES))
        self._look(len(nodes))
        if len(nodes) == MAX_NODES or _characters(nodes) > MAX_CHARACTERS:
            raise _ClosedError("an attribute is too large to be written as text", made)
        if any(type(one) is PersistentId or is_tensor(one) for one in nodes):
            raise _ClosedError("an attribute holds tensors in a container", made)


_Read = Callable[[PartsReader, InParts, "tuple[Node, ...]", Node, int], InParts]
_READERS: dict[tuple[str, str], _Read] = {
    (_UTILS, "_rebuild_qtensor"): PartsReader._quantized,
    (_UTILS, "_rebuild_sparse_tensor"): PartsReader._sparse,
    (_UTILS, "_rebuild_sparse_csr_tensor"): PartsReader._sparse,
    (_UTILS, "_rebuild_nested_tensor"): PartsReader._nested,
    ("torch.nested._internal.nested_tensor", "_rebuild_njt"): PartsReader._jagged,
    (_UTILS, "_rebuild_meta_tensor_no_storage"): PartsReader._without_data,
    SUBCLASS: PartsReader._subclass,
}
_PER_CHANNEL = (("torch", "per_channel_affine"), ("torch", "per_channel_affine_float_qparams"))


class _ClosedError(Exception):
    """Why a tensor has no parts, and what is known of it."""

    def __init__(self, reason: str, made: InParts | None = None) -> None:
        super().__init__(reason)
        self.made = made


def facts_of(one: InParts) -> dict[str, object]:
    """Return what makes a tensor what it is besides its parts, as JSON can hold it."""
    found: dict[str, object] = {
        "class": one.cls,
        "dtype": one.dtype,
        "shape": None if one.shape is None else list(one.shape),
        "facts": dict(one.facts),
    }
    reader = Reader(exact=True)
    attributes = {}
    for key, node in one.attributes:
        plain = reader.read(key, node)
        attributes[key] = plain.value
        attributes.update(plain.parts)
    return {**found, "attributes": attributes}


def _innermost(node: Call) -> tuple[Call | None, Node]:
    """Return the call that makes a tensor, within calls around it, and the state it is given.

    Of a tensor that :func:`rebuild` refused as a kind that is not read, so that the calls around
    the one that makes it are not too many, and have their arguments.
    """
    state: Node = None
    while True:
        function = pair_of(node.function)
        if function in UNSUPPORTED:
            return node, state
        if function in WRAPPING:
            node = node.args[0]
        elif function in FROM_TYPE and type(node.args[2]) is tuple:
            state = node.args[3]
            node = Call(node.args[0], node.args[2])
        else:
            return None, None


def _numbers(made: InParts, params: tuple[Node, ...]) -> Iterator[TensorInfo]:
    """Yield the scale and the zero point of a quantized tensor, which are numbers in the pickle."""
    scale, point = params if len(params) == 2 else (None, None)
    if type(scale) is not float or type(point) is not int or not -(2**63) <= point < 2**63:
        raise _ClosedError("its scale or zero point is not a number", made)
    yield _number(f"{made.name}.scale", _FLOAT64, struct.pack("<d", scale))
    yield _number(f"{made.name}.zero_point", _INT64, struct.pack("<q", point))


def _number(name: str, dtype: DType, data: bytes) -> TensorInfo:
    source = MemorySource(data, "a number in the pickle")
    return TensorInfo(name, dtype, (), None, (Extent(source, 0, len(data)),))


def _dtype_name(node: Node) -> str | None:
    name = pair_of(node)
    return name[1][:40] if name and name[0] == "torch" else None


def _characters(nodes: list[Node]) -> int:
    return sum(
        len(one) if isinstance(one, (str, bytes)) else 20
        for one in nodes
        if is_scalar(one) or isinstance(one, bytes)
    )


def _as_node(inner: InParts) -> Node:
    """Return what is known of a tensor in a tensor as a node, for its attributes."""
    kept = Dict()
    kept.flat = ["class", inner.cls, "dtype", inner.dtype]
    kept.flat += ["shape", None if inner.shape is None else list(inner.shape)]
    for key, value in inner.facts.items():
        kept.flat += [key, value]
    return kept
