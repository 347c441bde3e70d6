"""Writes the pickle of a state dict opcode by opcode, without torch's classes.

Protocol 2, as ``torch.save`` has it, and only opcodes that ``torch.load(weights_only=True)`` has
known since 2.0. Python's ``pickletools`` documents them.
"""

from __future__ import annotations

import struct
from typing import Sequence

from ckpttool.tensors.dtypes import DType

_PROTO, _STOP = b"\x80\x02", b"."
_MARK, _DICT, _SETITEMS = b"(", b"}", b"u"
_TUPLE, _EMPTY_TUPLE = b"t", b")"
_REDUCE, _PERSISTENT = b"R", b"Q"
_FALSE = b"\x89"


class StateDictPickle:
    """Collects a state dict; :meth:`finish` returns the pickle.

    Args:
        wrapper: the dotted key to put it under; ``None`` or ``""`` for the root.
    """

    def __init__(self, wrapper: str | None) -> None:
        self._out = bytearray(_PROTO)
        self._memo: dict[object, int] = {}
        self._depth = 0
        for key in wrapper.split(".") if wrapper else ():
            self._out += _DICT + _MARK
            self._string(key)
            self._depth += 1
        self._global("collections", "OrderedDict")
        self._out += _EMPTY_TUPLE + _REDUCE + _MARK

    def add(self, name: str, dtype: DType, shape: Sequence[int], key: str, elements: int) -> None:
        """Add a row-major tensor that fills storage ``key`` of so many elements."""
        self._string(name)
        # Types that came after typed storages name their dtype in v3 and lie in bytes.
        typed = dtype.storage is not None
        self._global("torch._utils", "_rebuild_tensor_v2" if typed else "_rebuild_tensor_v3")
        self._out += _MARK
        self._storage(dtype, key, elements)
        self._int(0)  # the offset in the storage
        self._ints(shape)
        self._ints(_row_major(shape))
        self._out += _FALSE  # requires_grad
        self._global("collections", "OrderedDict")  # backward hooks: an empty dict
        self._out += _EMPTY_TUPLE + _REDUCE
        if not typed:
            self._global("torch", dtype.name)
        self._out += _TUPLE + _REDUCE

    def finish(self) -> bytes:
        """Return the whole pickle."""
        return bytes(self._out) + _SETITEMS * (1 + self._depth) + _STOP

    def _storage(self, dtype: DType, key: str, elements: int) -> None:
        self._out += _MARK
        self._string("storage")
        if dtype.storage is not None:
            self._global("torch", dtype.storage)
        else:
            self._global("torch.storage", "UntypedStorage")
            elements *= dtype.itemsize  # it counts bytes
        self._string(key)
        self._string("cpu")  # a device that every machine has
        self._int(elements)
        self._out += _TUPLE + _PERSISTENT

    def _ints(self, numbers: Sequence[int]) -> None:
        if not numbers:
            self._out += _EMPTY_TUPLE
            return
        self._out += _MARK
        for number in numbers:
            self._int(number)
        self._out += _TUPLE

    def _int(self, number: int) -> None:
        if number < 1 << 8:
            self._out += b"K" + struct.pack("<B", number)
        elif number < 1 << 31:  # BININT is signed
            self._out += b"J" + struct.pack("<i", number)
        else:
            # LONG1 is signed too, so there must be a bit more than the number has.
            raw = number.to_bytes(number.bit_length() // 8 + 1, "little")
            self._out += b"\x8a" + struct.pack("<B", len(raw)) + raw

    def _string(self, text: str) -> None:
        if not self._recall(text):
            # pickle writes half a surrogate pair so, and names are copied as they are.
            raw = text.encode("utf-8", "surrogatepass")
            self._out += b"X" + struct.pack("<I", len(raw)) + raw
            self._remember(text)

    def _global(self, module: str, name: str) -> None:
        if not self._recall((module, name)):
            self._out += f"c{module}\n{name}\n".encode("ascii")
            self._remember((module, name))

    def _recall(self, what: object) -> bool:
        # Without the memo, each tensor would repeat 100 bytes of the same globals.
        place = self._memo.get(what)
        if place is None:
            return False
        short = place < 1 << 8
        self._out += struct.pack("<cB", b"h", place) if short else struct.pack("<cI", b"j", place)
        return True

    def _remember(self, what: object) -> None:
        place = self._memo[what] = len(self._memo)
        short = place < 1 << 8
        self._out += struct.pack("<cB", b"q", place) if short else struct.pack("<cI", b"r", place)


def _row_major(shape: Sequence[int]) -> list[int]:
    """Return the strides that torch gives a contiguous tensor, empty axes counted as one."""
    strides = []
    step = 1
    for length in reversed(shape):
        strides.append(step)
        step *= max(length, 1)
    return strides[::-1]
