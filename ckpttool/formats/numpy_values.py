"""numpy's arrays and scalars as a pickle describes them, read without numpy.

An array is ``_reconstruct(ndarray, (0,), b"b")`` with the state ``(version, shape, dtype,
is_fortran, elements)``, or ``_frombuffer(elements, dtype, shape, order)``; a scalar is
``scalar(dtype, element)``; a dtype is ``dtype(code, align, copy)`` with the state ``(version, byte
order, ...)``. The source of these rules is numpy's own ``__reduce__`` of the three.
"""

from __future__ import annotations

import struct
from math import prod
from typing import Iterable, Iterator, NamedTuple

from ckpttool.formats.nodes import Call, New, Node, pair_of

# One module, before numpy 2 and since.
_CORES = ("numpy.core.", "numpy._core.")

#: numpy's code of an element type -> its name and the code of ``struct``.
_NUMBERS = {
    "b1": ("bool", "?"),
    "i1": ("int8", "b"),
    "i2": ("int16", "h"),
    "i4": ("int32", "i"),
    "i8": ("int64", "q"),
    "u1": ("uint8", "B"),
    "u2": ("uint16", "H"),
    "u4": ("uint32", "I"),
    "u8": ("uint64", "Q"),
    "f2": ("float16", "e"),
    "f4": ("float32", "f"),
    "f8": ("float64", "d"),
    "c8": ("complex64", "ff"),
    "c16": ("complex128", "dd"),
}
# Kinds of elements without a unit and without fields: bytes for each of what their code counts.
_WIDTHS = {**dict.fromkeys("biufcSV", 1), "U": 4}
_MOST_DIMENSIONS = 64


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
        """Numpy's name where it has one: ``float32``."""
        return _NUMBERS[self.code][0] if self.code in _NUMBERS else self.code


class Array(NamedTuple):
    """An array, or with the shape ``None`` a scalar: elements row by row, little-endian."""

    type: ElementType
    shape: tuple[int, ...] | None
    data: bytes

    def numbers(self) -> Iterator[tuple[float, ...]] | None:
        """Iterate over the elements, complex ones in two parts; ``None`` if they are no numbers.

        Dates and durations are the integers that they are kept as.
        """
        form = self._form()
        return None if form is None else struct.iter_unpack(f"<{form}", self.data)

    def packed(self, numbers: Iterable[tuple[float, ...]]) -> bytes:
        """Return the bytes of numbers as this array has them."""
        return b"".join(struct.pack(f"<{self._form()}", *parts) for parts in numbers)

    def _form(self) -> str | None:
        code = self.type.code
        return "q" if code[0] in "Mm" else _NUMBERS[code][1] if code in _NUMBERS else None


def bytes_of(node: Node) -> bytes | None:
    """Return bytes in any of the ways in which protocols spell them."""
    if type(node) is bytes:
        return node
    if not isinstance(node, Call) or node.states or node.appended or node.mapped:
        return None
    name, args = pair_of(node.function), node.args
    if name == ("_codecs", "encode") and len(args) == 2 and args[1] in ("latin1", "latin-1"):
        return _latin1(args[0])
    if name in (("builtins", "bytes"), ("__builtin__", "bytes")) and not args:
        return b""
    return None


def _latin1(text: Node) -> bytes | None:
    try:
        return text.encode("latin-1") if type(text) is str else None
    except UnicodeEncodeError:
        return None


def array_of(node: Node) -> Array | None:
    """Return the array or scalar that a call makes, if it is numpy's own with plain elements.

    Arrays of objects and those whose elements have fields are ``None``, like anything else.
    """
    name = _name(node)
    if name == "multiarray.scalar" and len(node.args) == 2 and not _changed(node):
        return _array(node.args[0], None, node.args[1], fortran=False)
    if name == "multiarray._reconstruct" and len(node.args) == 3:
        states = node.states or []
        if len(states) != 1 or node.mapped or node.appended:
            return None
        if pair_of(node.args[0]) != ("numpy", "ndarray"):
            return None  # a subclass means something else by the same
        state = states[0]
        if type(state) is tuple and len(state) == 5 and state[0] == 1:
            return _array(state[2], state[1], state[4], fortran=state[3])
    if name == "numeric._frombuffer" and len(node.args) == 4 and not _changed(node):
        elements, dtype, shape, order = node.args
        if order in ("C", "F"):
            return _array(dtype, shape, elements, fortran=order == "F")
    return None


def _changed(node: Call) -> bool:
    return bool(node.states or node.mapped or node.appended)


def _name(node: Node) -> str | None:
    name = pair_of(node.function) if isinstance(node, Call) and type(node) is not New else None
    if name is None:
        return None
    for core in _CORES:
        if name[0].startswith(core):
            return f"{name[0][len(core) :]}.{name[1]}"
    return None


def _array(dtype: Node, shape: Node, elements: Node, *, fortran: Node) -> Array | None:
    kind = element_type(dtype)
    data = _elements(elements)
    if kind is None or data is None or type(fortran) not in (bool, int):
        return None
    sizes = () if shape is None else shape
    if type(sizes) is not tuple or not all(type(size) is int and size >= 0 for size in sizes):
        return None
    if len(sizes) > _MOST_DIMENSIONS or prod(sizes) * kind.itemsize != len(data):
        return None
    if kind.big_endian:
        data = _swapped(data, kind)
    if fortran:
        data = _row_major(data, kind.itemsize, sizes)
    return Array(kind._replace(big_endian=False), None if shape is None else sizes, data)


def _elements(node: Node) -> bytes | None:
    if type(node) is str:
        # a string of Python 2 that happens to be UTF-8 was taken for text
        return node.encode("utf-8", "surrogatepass")
    data = bytes_of(node)
    return bytearray_of(node) if data is None else data


def bytearray_of(node: Node) -> bytes | None:
    """Return what a ``bytearray`` holds, ``None`` for anything else."""
    if not isinstance(node, Call) or _changed(node) or len(node.args) != 1:
        return None
    name = pair_of(node.function)
    is_one = name in (("builtins", "bytearray"), ("__builtin__", "bytearray"))
    return bytes_of(node.args[0]) if is_one else None


def element_type(node: Node) -> ElementType | None:
    """Return what a call of ``numpy.dtype`` describes; ``None`` for objects and for fields."""
    if not isinstance(node, Call) or pair_of(node.function) != ("numpy", "dtype"):
        return None
    states = node.states or []
    code = node.args[0] if node.args else None
    if len(states) != 1 or type(states[0]) is not tuple or type(code) is not str:
        return None
    state = states[0]
    plain = 8 <= len(state) <= 9 and state[1] in ("<", ">", "|", "=") and state[2:5] == (None,) * 3
    if not plain or node.mapped or node.appended or not code[1:].isdigit() or len(code) > 10:
        return None
    if code[0] in "Mm" and len(state) == 9:
        return _time_type(code, state)
    if code[0] not in _WIDTHS or len(state) == 9 or int(code[1:]) == 0:
        return None
    itemsize = int(code[1:]) * _WIDTHS[code[0]]
    return ElementType(code, itemsize, state[1] == ">" and itemsize > 1)


def _time_type(code: str, state: tuple[Node, ...]) -> ElementType | None:
    unit = state[8][1] if type(state[8]) is tuple and len(state[8]) == 2 else None
    if type(unit) is not tuple or len(unit) < 2 or type(unit[1]) is not int:
        return None
    name = bytes_of(unit[0])
    text = unit[0] if type(unit[0]) is str else None if name is None else name.decode("latin-1")
    if text is None or unit[2:4] not in ((1, 1), (1,), ()):
        return None
    return ElementType(f"{code}[{unit[1] if unit[1] != 1 else ''}{text}]", 8, state[1] == ">")


def _swapped(data: bytes, kind: ElementType) -> bytes:
    """Return the elements with their bytes the other way round; strings of bytes have no order."""
    if kind.code[0] in "SVb":
        return data
    width = {"U": 4, "c": kind.itemsize // 2}.get(kind.code[0], kind.itemsize)
    turned = bytearray(len(data))
    for place in range(width):
        turned[place::width] = data[width - 1 - place :: width]
    return bytes(turned)


def _row_major(data: bytes, itemsize: int, shape: tuple[int, ...]) -> bytes:
    """Return elements that lie column by column row by row."""
    sizes = [size for size in shape if size != 1]
    if len(sizes) < 2 or not data:
        return data
    # an element is moved as so many planes of bytes, each by one slice a row
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
