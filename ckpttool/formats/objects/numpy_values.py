"""numpy's arrays and scalars as a pickle describes them, read without numpy.

An array is ``_reconstruct(ndarray, (0,), b"b")`` with the state ``(version, shape, dtype,
is_fortran, elements)``, or ``_frombuffer(elements, dtype, shape, order)``; a scalar is
``scalar(dtype, element)``; a dtype is ``dtype(code, align, copy)`` with the state ``(version, byte
order, ...)``. The source of these rules is numpy's own ``__reduce__`` of the three.
"""

from __future__ import annotations

import re
import struct
from math import prod
from typing import Iterable, Iterator, NamedTuple

from ckpttool.formats.objects.storages import is_natural
from ckpttool.formats.pickles.nodes import ByteArray, Call, Node, pair_of
from ckpttool.tensors.dtypes import NUMPY_DTYPES

_SCALAR, _RECONSTRUCT, _FROM_BUFFER = "scalar", "_reconstruct", "_frombuffer"
# The functions that make arrays and scalars; numpy 2 renamed ``core`` to ``_core``.
_MAKERS = {
    (f"numpy.{core}.{module}", name): name
    for core in ("core", "_core")
    for module, name in (
        ("multiarray", _SCALAR),
        ("multiarray", _RECONSTRUCT),
        ("numeric", _FROM_BUFFER),
    )
}
#: Those that make arrays, as (module, name).
ARRAY_MAKERS = frozenset(pair for pair, name in _MAKERS.items() if name != _SCALAR)

# How protocols below 3 write bytes, and protocols below 5 a bytearray.
_ENCODE, _LATIN1 = ("_codecs", "encode"), ("latin1", "latin-1")
_BYTES = (("builtins", "bytes"), ("__builtin__", "bytes"))
_BYTEARRAY = (("builtins", "bytearray"), ("__builtin__", "bytearray"))

# Kinds of elements without a unit and without fields: the bytes that a code's number counts. ``U``
# counts characters, which numpy keeps as UTF-32.
_WIDTHS = {**dict.fromkeys("biufcSV", 1), "U": 4}
_CODE = re.compile(r"[A-Za-z][0-9]{1,9}")
_MOST_DIMENSIONS = 64  # NPY_MAXDIMS of numpy 2; 32 before


class ElementType(NamedTuple):
    """The type of an array's elements.

    Attributes:
        code: numpy's, without the byte order: ``f4``, ``U5``, ``M8[ns]``.
        itemsize: bytes of an element.
        big_endian: whether their bytes come most significant first.
    """

    code: str
    itemsize: int
    big_endian: bool

    @property
    def name(self) -> str:
        """Numpy's name if it has one, for example ``float32``, else the code."""
        return NUMPY_DTYPES[self.code].name if self.code in NUMPY_DTYPES else self.code


class Array(NamedTuple):
    """An array, or with the shape ``None`` a scalar: elements row by row, little-endian."""

    type: ElementType
    shape: tuple[int, ...] | None
    data: bytes

    def numbers(self) -> Iterator[tuple[float, ...]] | None:
        """Iterate over the elements, complex ones in two parts; ``None`` if they are no numbers.

        Dates and durations are integers, as numpy keeps them.
        """
        form = self._form()
        return None if form is None else struct.iter_unpack(f"<{form}", self.data)

    def packed(self, numbers: Iterable[tuple[float, ...]]) -> bytes:
        """Return numbers as bytes of this array's type."""
        return b"".join(struct.pack(f"<{self._form()}", *parts) for parts in numbers)

    def _form(self) -> str | None:
        code = self.type.code
        if code[0] in "Mm":
            return "q"
        return NUMPY_DTYPES[code].struct if code in NUMPY_DTYPES else None


def bytes_of(node: Node) -> bytes | None:
    """Return the bytes of a node, in whichever way a protocol writes them; ``None`` for others."""
    if type(node) is bytes:
        return node
    if not isinstance(node, Call) or node.states or node.appended or node.mapped:
        return None
    name, args = pair_of(node.function), node.args
    if name == _ENCODE and len(args) == 2 and args[1] in _LATIN1:
        return _latin1(args[0])
    if name in _BYTES and not args:
        return b""
    return None


def is_bytes(node: Node) -> bool:
    """Whether a node is bytes or a ``bytearray``, without decoding it."""
    if type(node) in (bytes, ByteArray):
        return True
    if not isinstance(node, Call) or _changed(node):
        return False
    name, args = pair_of(node.function), node.args
    if name in _BYTEARRAY and len(args) == 1:
        return type(args[0]) is bytes or bytes_of(args[0]) is not None
    if name == _ENCODE and len(args) == 2:
        return type(args[0]) is str and args[1] in _LATIN1
    return name in _BYTES and not args


def _latin1(text: Node) -> bytes | None:
    try:
        return text.encode("latin-1") if type(text) is str else None
    except UnicodeEncodeError:
        return None


class PickledArray(NamedTuple):
    """An array, or with the shape ``None`` a scalar, as a pickle has it.

    Attributes:
        type: of the elements.
        shape: sizes.
        by_columns: whether the elements are in Fortran order.
        data: the node with the elements; their number is not checked against the shape.
    """

    type: ElementType
    shape: tuple[int, ...] | None
    by_columns: bool
    data: Node


def written(node: Node) -> PickledArray | None:
    """Return the parts of an array or scalar of numpy's own class with plain elements.

    ``None`` for anything else, arrays of objects and of records included.
    """
    function = pair_of(node.function) if type(node) is Call else None
    name = None if function is None else _MAKERS.get(function)
    if name == _SCALAR and len(node.args) == 2 and not _changed(node):
        return _written(node.args[0], None, node.args[1], by_columns=False)
    if name == _RECONSTRUCT and len(node.args) == 3:
        states = node.states or []
        if len(states) != 1 or node.mapped or node.appended:
            return None
        if pair_of(node.args[0]) != ("numpy", "ndarray"):
            return None  # a subclass may read its state in another way
        state = states[0]
        # version 1; numpy itself refuses others
        if type(state) is tuple and len(state) == 5 and state[0] == 1:
            return _written(state[2], state[1], state[4], by_columns=state[3])
    if name == _FROM_BUFFER and len(node.args) == 4 and not _changed(node):
        elements, dtype, shape, order = node.args
        if order in ("C", "F"):
            return _written(dtype, shape, elements, by_columns=order == "F")
    return None


def _written(dtype: Node, shape: Node, elements: Node, *, by_columns: Node) -> PickledArray | None:
    kind = element_type(dtype)
    if kind is None or type(by_columns) not in (bool, int):
        return None
    sizes = () if shape is None else shape
    if type(sizes) is not tuple or len(sizes) > _MOST_DIMENSIONS:
        return None
    if not all(map(is_natural, sizes)):
        return None
    return PickledArray(kind, None if shape is None else sizes, bool(by_columns), elements)


def array_of(node: Node) -> Array | None:
    """Return an array or scalar with its elements; ``None`` as for :func:`written`."""
    found = written(node)
    data = None if found is None else elements_of(found.data)
    if found is None or data is None:
        return None
    kind, sizes = found.type, found.shape or ()
    if prod(sizes) * kind.itemsize != len(data):
        return None
    if kind.big_endian:
        data = _swapped(data, kind)
    if found.by_columns:
        data = _row_major(data, kind.itemsize, sizes)
    return Array(kind._replace(big_endian=False), found.shape, data)


def _changed(node: Call) -> bool:
    return bool(node.states or node.mapped or node.appended)


def elements_of(node: Node) -> bytes | None:
    """Return the bytes of an array's elements."""
    if type(node) is str:
        # a string of Python 2 that happened to be valid UTF-8, and so was decoded as text
        return node.encode("utf-8", "surrogatepass")
    data = bytes_of(node)
    return bytearray_of(node) if data is None else data


def bytearray_of(node: Node) -> bytes | None:
    """Return the content of a ``bytearray``, ``None`` for anything else."""
    if type(node) is ByteArray:
        return bytes(node)
    if not isinstance(node, Call) or _changed(node) or len(node.args) != 1:
        return None
    return bytes_of(node.args[0]) if pair_of(node.function) in _BYTEARRAY else None


def element_type(node: Node) -> ElementType | None:
    """Return the type that a ``numpy.dtype`` call describes; ``None`` for objects and records."""
    if not isinstance(node, Call) or pair_of(node.function) != ("numpy", "dtype"):
        return None
    states = node.states or []
    code = node.args[0] if node.args else None
    if len(states) != 1 or type(states[0]) is not tuple or type(code) is not str:
        return None
    state = states[0]
    # (version, byte order, subarray, names, fields, size, alignment, flags, metadata); the last two
    # came later, and metadata is written for dates only
    plain = 6 <= len(state) <= 9 and state[1] in ("<", ">", "|", "=") and state[2:5] == (None,) * 3
    if not plain or node.mapped or node.appended or not _CODE.fullmatch(code):
        return None
    if code[0] in "Mm" and len(state) == 9:
        return _time_type(code, state)
    if code[0] not in _WIDTHS or len(state) == 9 or int(code[1:]) == 0:
        return None
    itemsize = int(code[1:]) * _WIDTHS[code[0]]
    return ElementType(code, itemsize, state[1] == ">" and itemsize > 1)


def _time_type(code: str, state: tuple[Node, ...]) -> ElementType | None:
    # metadata: ({}, (unit, multiple, divisor, events)); numpy always writes 1 for the last two
    unit = state[8][1] if type(state[8]) is tuple and len(state[8]) == 2 else None
    if type(unit) is not tuple or len(unit) < 2 or type(unit[1]) is not int:
        return None
    name = bytes_of(unit[0])
    text = unit[0] if type(unit[0]) is str else None if name is None else name.decode("latin-1")
    if text is None or unit[2:4] not in ((1, 1), (1,), ()):
        return None
    return ElementType(f"{code}[{unit[1] if unit[1] != 1 else ''}{text}]", 8, state[1] == ">")


def _swapped(data: bytes, kind: ElementType) -> bytes:
    """Return the elements with their bytes in the other order."""
    if kind.code[0] in "SVb":
        return data  # runs of single bytes
    # complex numbers are two floats, text is characters of four bytes
    width = {"U": 4, "c": kind.itemsize // 2}.get(kind.code[0], kind.itemsize)
    turned = bytearray(len(data))
    for place in range(width):
        turned[place::width] = data[width - 1 - place :: width]
    return bytes(turned)


def _row_major(data: bytes, itemsize: int, shape: tuple[int, ...]) -> bytes:
    """Return the elements of an array in Fortran order row by row."""
    sizes = [size for size in shape if size != 1]
    if len(sizes) < 2 or not data:
        return data
    # Without numpy: for each row, one slice with a step moves the first byte of all its elements,
    # one the second byte, and so on.
    rows, columns = sizes[0], len(data) // itemsize // sizes[0]
    turned = bytearray(len(data))
    step = columns * itemsize
    for row in range(rows):
        for byte in range(itemsize):
            first = row * step + byte
            turned[first : first + step : itemsize] = data[row * itemsize + byte :: rows * itemsize]
    if len(sizes) == 2:
        return bytes(turned)
    parts = (turned[row * step : (row + 1) * step] for row in range(rows))
    return b"".join(_row_major(bytes(part), itemsize, tuple(sizes[1:])) for part in parts)
