"""Pickles of numpy arrays and scalars, part by part, as numpy writes them and otherwise."""

from __future__ import annotations

from tests.builders import pickles as p

_CORE = "numpy.core"
NO, YES, MINUS_ONE = b"\x89", b"\x88", b"J\xff\xff\xff\xff"


def dtype(code: str = "f4", order: str = "<", *more: bytes, item: bytes = MINUS_ONE) -> bytes:
    """The type of elements; ``more`` comes after the sizes: flags, and the unit of dates."""
    state = p.tuple_of(b"K\x03", p.text(order), b"N", b"N", b"N", item, item, *more)
    return p.call(p.name("numpy", "dtype"), p.text(code), NO, YES) + state + b"b"


def time_type(*unit: bytes, code: str = "M8") -> bytes:
    return dtype(code, "<", b"K\x00", p.tuple_of(b"}", p.tuple_of(*unit)))


def array(
    data: bytes,
    shape: bytes = b"K\x02\x85",
    kind: bytes | None = None,
    *,
    columns: bytes = NO,
    version: bytes = b"K\x01",
) -> bytes:
    """A call that makes an array of nothing, and the state it is given."""
    empty = p.call(
        p.name(f"{_CORE}.multiarray", "_reconstruct"),
        p.name("numpy", "ndarray"),
        b"K\x00\x85",
        p.bytes_of(b"b"),
    )
    parts = (version, shape, dtype() if kind is None else kind, columns, data)
    return empty + p.tuple_of(*parts) + b"b"


def from_buffer(data: bytes, shape: bytes, order: str, kind: bytes | None = None) -> bytes:
    """The call that protocol 5 writes."""
    made = p.name(f"{_CORE}.numeric", "_frombuffer")
    return p.call(made, data, dtype() if kind is None else kind, shape, p.text(order))


def scalar(kind: bytes, data: bytes) -> bytes:
    return p.call(p.name(f"{_CORE}.multiarray", "scalar"), kind, data)
