"""Pickle streams written opcode by opcode, and torch objects described that way."""

from __future__ import annotations

import struct

PROTO2 = b"\x80\x02"
PROTO4 = b"\x80\x04"
STOP = b"."


def text(value: str) -> bytes:
    """BINUNICODE."""
    raw = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(raw)) + raw


def bytes_of(value: bytes) -> bytes:
    """BINBYTES."""
    return b"B" + struct.pack("<I", len(value)) + value


def integer(value: int) -> bytes:
    """LONG1, wide enough for any value."""
    length = (value.bit_length() // 8) + 1
    return b"\x8a" + bytes([length]) + value.to_bytes(length, "little", signed=True)


def name(module: str, attribute: str) -> bytes:
    """GLOBAL."""
    return b"c" + module.encode() + b"\n" + attribute.encode() + b"\n"


def tuple_of(*items: bytes) -> bytes:
    """MARK ... TUPLE."""
    return b"(" + b"".join(items) + b"t"


def dict_of(*pairs: tuple[bytes, bytes]) -> bytes:
    """EMPTY_DICT MARK ... SETITEMS."""
    return b"}(" + b"".join(key + value for key, value in pairs) + b"u"


def call(function: bytes, *args: bytes) -> bytes:
    """REDUCE."""
    return function + tuple_of(*args) + b"R"


def new(function: bytes, *args: bytes) -> bytes:
    """NEWOBJ."""
    return function + tuple_of(*args) + b"\x81"


def list_of(*items: bytes) -> bytes:
    """EMPTY_LIST MARK ... APPENDS."""
    return b"](" + b"".join(items) + b"e"


def pair(key: str, value: bytes) -> bytes:
    """A list of key and value, as Python 2 wrote what is in an OrderedDict."""
    return list_of(text(key), value)


def put(index: int) -> bytes:
    """BINPUT: remember the top of the stack."""
    return b"q" + bytes([index])


def get(index: int) -> bytes:
    """BINGET."""
    return b"h" + bytes([index])


def storage(
    key: str = "0", count: int = 4, kind: str = "FloatStorage", module: str = "torch"
) -> bytes:
    """The persistent id of a storage in a zip checkpoint."""
    parts = text("storage"), name(module, kind), text(key), text("cpu"), integer(count)
    return tuple_of(*parts) + b"Q"


def legacy_storage(
    key: str = "0", count: int = 4, kind: str = "FloatStorage", view: bytes = b"N"
) -> bytes:
    """The persistent id of a storage in a legacy stream: a view may follow."""
    parts = text("storage"), name("torch", kind), text(key), text("cpu"), integer(count), view
    return tuple_of(*parts) + b"Q"


def ordered_dict() -> bytes:
    """An empty OrderedDict, as hooks are."""
    return call(name("collections", "OrderedDict"))


def tensor_v3(dtype: str, *metadata: bytes, count: int = 4) -> bytes:
    """A call of _rebuild_tensor_v3: one dimension of an untyped storage of 16 bytes."""
    return call(
        name("torch._utils", "_rebuild_tensor_v3"),
        storage(count=16, kind="UntypedStorage", module="torch.storage"),
        b"K\x00",
        tuple_of(integer(count)),
        b"K\x01\x85",
        b"\x89",
        ordered_dict(),
        name("torch", dtype),
        *metadata,
    )


def tensor(
    held: bytes | None = None,
    *,
    offset: bytes = b"K\x00",
    shape: bytes = b"K\x04\x85",
    strides: bytes = b"K\x01\x85",
    gradient: bytes = b"\x89",
) -> bytes:
    """A call of _rebuild_tensor_v2; four float32 elements unless told otherwise."""
    return call(
        name("torch._utils", "_rebuild_tensor_v2"),
        storage() if held is None else held,
        offset,
        shape,
        strides,
        gradient,
        ordered_dict(),
    )


def pickle(body: bytes) -> bytes:
    """A whole pickle of protocol 2."""
    return PROTO2 + body + STOP
