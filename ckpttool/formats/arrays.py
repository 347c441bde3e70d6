"""Arrays of numpy as a pickle describes them: to tensors, where they hold numbers.

The forms are those of ``numpy.ndarray.__reduce__`` (a ``_reconstruct`` that is given a state)
and, from protocol 5 on, of ``__reduce_ex__`` (``_frombuffer``). The bytes stand in the pickle
itself: they are kept in memory, which it was read into anyway, and a pickle is read up to a limit.
"""

from __future__ import annotations

from math import prod

from ckpttool import rules
from ckpttool.errors import MalformedError
from ckpttool.formats.nodes import Call, Node, pair_of
from ckpttool.formats.rebuild import MAX_DIMENSIONS
from ckpttool.formats.storages import is_natural
from ckpttool.sources import ByteSource, MemorySource
from ckpttool.tensors import DTYPES, DType, Extent, TensorInfo

# numpy 2 has moved numpy.core, and keeps reading files that name the old place
_RECONSTRUCT = frozenset((f"numpy.{core}.multiarray", "_reconstruct") for core in ("core", "_core"))
_FROM_BUFFER = frozenset((f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core"))
_FORMS = _RECONSTRUCT | _FROM_BUFFER
_ARRAY, _DTYPE, _ENCODE = ("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")
# how protocol 2 writes bytes that are none
_NO_BYTES = frozenset({("__builtin__", "bytes"), ("builtins", "bytes")})

# By numpy's code of a type: its kind and the bytes of an element.
_KINDS = {"f": "float", "i": "int", "u": "uint", "c": "complex"}
_DTYPES = {
    f"{code}{dtype.bits // 8}": dtype
    for code, kind in _KINDS.items()
    for name, dtype in DTYPES.items()
    if name.rstrip("0123456789") == kind
}
_DTYPES["b1"] = DTYPES["bool"]
_ORDERS = {"<": False, "|": False, ">": True}


class Arrays:
    """Makes tensors of arrays; bytes that several of them share are kept once."""

    def __init__(self) -> None:
        self._sources: dict[int, tuple[Node, ByteSource]] = {}

    def tensor(self, name: str, node: Node) -> TensorInfo:
        """Return the tensor that an array is; the caller asked :func:`is_array`.

        Raises:
            MalformedError: the bytes are not as many as the shape has elements.
        """
        found = _read(node)
        assert found is not None  # noqa: S101 (the caller looked)
        dtype, big_endian, shape, by_columns, data = found
        numel = prod(shape)
        source = self._source(data)
        if source.size != numel * dtype.itemsize:
            raise MalformedError(
                "an array has other bytes than its shape needs",
                rules.GEOMETRY,
                tensor=name,
                expected=f"{numel * dtype.itemsize:,} bytes",
                found=f"{source.size:,}",
            )
        strides = _by_columns(shape) if by_columns else None
        extents = (Extent(source, 0, source.size),) if numel else ()
        return TensorInfo(name, dtype, shape, strides, extents, big_endian)

    def _source(self, data: Node) -> ByteSource:
        known = self._sources.get(id(data))
        if known is None:
            known = data, MemorySource(_bytes_of(data), "an array in the pickle")
            self._sources[id(data)] = known
        return known[1]


def is_array(node: Node) -> bool:
    """Whether a node is an array of numbers that is read; one of objects or text is none."""
    return is_of_numpy(node) and _read(node) is not None


def is_of_numpy(node: Node) -> bool:
    """Whether a node is an array at all, whatever its elements are."""
    return type(node) is Call and pair_of(node.function) in _FORMS


def _read(node: Call) -> tuple[DType, bool, tuple[int, ...], bool, Node] | None:
    """Return type, whether it is big-endian, shape, whether columns come first, and the bytes."""
    parts = _parts(node)
    if parts is None:
        return None
    shape, type_node, by_columns, data = parts
    known = _dtype(type_node)
    of_numbers = (
        type(shape) is tuple and len(shape) <= MAX_DIMENSIONS and all(map(is_natural, shape))
    )
    if known is None or not of_numbers or not _is_bytes(data):
        return None
    return (*known, shape, by_columns, data)


def _parts(node: Call) -> tuple[Node, Node, bool, Node] | None:
    """Return shape, type, whether columns come first, and the bytes, as the two forms have them."""
    if node.mapped or node.appended:
        return None
    if pair_of(node.function) in _FROM_BUFFER:
        if node.states or len(node.args) != 4 or node.args[3] not in ("C", "F"):
            return None
        data, type_node, shape, order = node.args
        return shape, type_node, order == "F", data
    states = node.states or []
    state = states[0] if len(states) == 1 else None
    if type(state) is not tuple or len(state) != 5 or not node.args:
        return None
    if pair_of(node.args[0]) != _ARRAY or type(state[3]) not in (bool, int):
        return None
    return state[1], state[2], bool(state[3]), state[4]


def _dtype(node: Node) -> tuple[DType, bool] | None:
    """Return an element type and whether it is big-endian; ``None`` for any but plain numbers."""
    if type(node) is not Call or pair_of(node.function) != _DTYPE or not node.args:
        return None
    dtype = _DTYPES.get(node.args[0]) if type(node.args[0]) is str else None
    states = node.states or []
    state = states[0] if len(states) == 1 else None
    # the third to fifth say of what parts a composed type is made
    if dtype is None or type(state) is not tuple or len(state) < 5 or any(state[2:5]):
        return None
    order = _ORDERS.get(state[1]) if type(state[1]) is str else None
    return None if order is None else (dtype, order)


def _is_bytes(node: Node) -> bool:
    """Whether a node is bytes: as they are, or as protocol 2 writes them."""
    if isinstance(node, bytes):
        return True
    if type(node) is not Call or node.states:
        return False
    if pair_of(node.function) in _NO_BYTES:
        return not node.args
    codec = node.args[1:]
    encoded = pair_of(node.function) == _ENCODE and codec in (("latin1",), ("latin-1",))
    return encoded and type(node.args[0]) is str


def _bytes_of(node: Node) -> bytes:
    if isinstance(node, bytes):
        return node
    try:
        return str(node.args[0]).encode("latin-1") if node.args else b""
    except UnicodeEncodeError:
        raise MalformedError(
            "text that stands for bytes has characters that are none", rules.PICKLE
        ) from None


def _by_columns(shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the strides, in elements, of an array whose first axis runs fastest."""
    if sum(length > 1 for length in shape) < 2:
        return None
    strides = []
    step = 1
    for length in shape:
        strides.append(step)
        step *= length
    return tuple(strides)


def shape_of(node: Node) -> tuple[int, ...]:
    """Return the shape of an array; the caller asked :func:`is_array`."""
    found = _read(node)
    return () if found is None else found[2]
