"""Checkpoints of torch's own containers as bytes, good ones and ones with a named defect."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

from tests.builders import pickles as p

FOUR_FLOATS = struct.pack("<4f", 1, 2, 3, 4)
MAGIC = 0x1950A86A20F9469CFC6C


def torch_zip(
    body: bytes | None = None,
    *,
    storages: dict[str, bytes] | None = None,
    members: dict[str, bytes | None] | None = None,
    top: str = "archive",
) -> bytes:
    """A zip as torch.save lays it out.

    ``body`` is the pickle's body, ``storages`` the records by key, and ``members`` further
    members by their name below ``top`` (``None`` leaves a usual one out).
    """
    usual: dict[str, bytes | None] = {
        "data.pkl": p.pickle(p.dict_of((p.text("w"), p.tensor())) if body is None else body),
        "byteorder": b"little",
        **{
            f"data/{key}": data
            for key, data in ({"0": FOUR_FLOATS} if storages is None else storages).items()
        },
        "version": b"3\n",
    }
    usual.update(members or {})
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, data in usual.items():
            if data is not None:
                archive.writestr(zipfile.ZipInfo(f"{top}/{name}"), data)
    return stream.getvalue()


def never_filled() -> bytes:
    """A zip as torch.serialization.skip_data leaves it: zeros under a checksum of 0."""
    nothing = bytes(len(FOUR_FLOATS))
    return torch_zip(storages={"0": nothing}).replace(
        struct.pack("<I", zlib.crc32(nothing)), bytes(4)
    )


def legacy_and_tar() -> bytes:
    """A good legacy stream whose first 512 bytes are a tar header of before POSIX too."""
    room = 480
    start = len(p.pickle(p.integer(MAGIC)) + p.pickle(p.integer(1001)) + p.PROTO2 + b"}(X") + 4
    filler = bytearray(b"0" * room)
    for begin, end in ((0, 8), (8, 16), (16, 24), (24, 36), (36, 48)):
        filler[100 - start + begin : 100 - start + end] = b"0" * (end - begin - 1) + b"\0"
    filler[148 - start : 156 - start] = b" " * 8

    def stream() -> bytes:
        return torch_legacy(system=p.dict_of((p.text(filler.decode()), b"N")))

    filler[148 - start : 156 - start] = b"%06o\0 " % sum(stream()[:512])
    return stream()


def torch_legacy(
    body: bytes | None = None,
    *,
    magic: bytes | None = None,
    system: bytes | None = None,
    keys: bytes | None = None,
    storages: bytes | None = None,
) -> bytes:
    """A stream as torch.save wrote it before 1.6, with one float32 storage of four elements."""
    content = p.dict_of((p.text("w"), p.tensor(p.legacy_storage()))) if body is None else body
    facts = p.dict_of((p.text("little_endian"), b"\x88"))
    parts = [
        p.pickle(p.integer(MAGIC)) if magic is None else magic,
        p.pickle(p.integer(1001)),
        p.pickle(facts if system is None else system),
        p.pickle(content),
        p.pickle(b"](" + p.text("0") + b"e") if keys is None else keys,
        legacy_record() if storages is None else storages,
    ]
    return b"".join(parts)


def legacy_record(count: int = 4, data: bytes = FOUR_FLOATS) -> bytes:
    """A storage as it follows the pickles: its element count and its bytes."""
    return struct.pack("<q", count) + data


def tar_member(name: str, data: bytes, *, kind: bytes = b"0", extended: bytes = b"") -> bytes:
    """A ustar header, the bytes and their padding; ``extended`` goes before in a pax header."""
    before = tar_member("PaxHeader", extended, kind=b"x") if extended else b""
    header = bytearray(512)
    header[: len(name)] = name.encode()
    header[100:108] = b"0000644\0"
    header[124:136] = b"%011o\0" % len(data)
    header[136:148] = b"00000000000\0"
    header[148:156] = b" " * 8
    header[156:157] = kind
    header[257:265] = b"ustar\x0000"
    header[148:156] = b"%06o\0 " % sum(header)
    return before + bytes(header) + data + bytes(-len(data) % 512)


def tar_storages(
    views: bytes = b"]",
    *,
    count: int = 4,
    key: int = 7,
    place: bytes | None = None,
    kind: str = "FloatStorage",
) -> bytes:
    """The member ``storages`` with one float32 storage of four elements under ``key``."""
    location = p.text("cpu") if place is None else place
    described = p.tuple_of(p.integer(key), location, p.name("torch", kind))
    return b"".join(
        [
            p.pickle(p.integer(1)),
            p.pickle(described),
            struct.pack("<q", count),
            FOUR_FLOATS,
            p.pickle(views),
        ]
    )


def tar_tensors(
    *,
    key: int = 9,
    storage: int = 7,
    shape: tuple[int, ...] = (2, 2),
    after_dimensions: int = 0,
    times: int = 1,
) -> bytes:
    """The member ``tensors`` with one row-major tensor at the start of ``storage``.

    ``after_dimensions`` stands in the four bytes that early writers did not fill; ``times`` has
    the tensor in it more than once.
    """
    described = p.tuple_of(p.integer(key), p.integer(storage), p.name("torch", "FloatTensor"))
    strides = (2, 1) if len(shape) == 2 else (1,) * len(shape)
    numbers = struct.pack(f"<{2 * len(shape) + 1}q", *shape, *strides, 0)
    ndim = struct.pack("<ii", len(shape), after_dimensions)
    return p.pickle(p.integer(times)) + (p.pickle(described) + ndim + numbers) * times


def tar_pickle() -> bytes:
    """The member ``pickle``: a state dict with the tensor of :func:`tar_tensors`."""
    return p.pickle(p.dict_of((p.text("w"), p.text("9") + b"Q")))


def torch_tar(
    *,
    storages: bytes | None = None,
    tensors: bytes | None = None,
    body: bytes | None = None,
    extra: bytes = b"",
    end: bytes = bytes(1024),
) -> bytes:
    """A tar as torch's first releases wrote it, modification times in pax headers included."""
    content = tar_pickle() if body is None else p.pickle(body)
    mtime = b"23 mtime=1490000000.25\n"
    return (
        tar_member("sys_info", p.pickle(b"}"), extended=mtime)
        + tar_member("pickle", content, extended=mtime)
        + tar_member("tensors", tar_tensors() if tensors is None else tensors, extended=mtime)
        + tar_member("storages", tar_storages() if storages is None else storages, extended=mtime)
        + extra
        + end
    )
