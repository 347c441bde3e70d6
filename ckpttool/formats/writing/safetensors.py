"""Laying out a safetensors file: the header, and where each tensor's bytes go.

The same pieces give the same bytes. The header lists the tensors in the order of the source. Their
bytes are sorted by the width of the elements, widest first, so that each tensor is aligned. A
reader that goes by offsets (``load_file`` from 0.6 on) therefore sees the order of the source only
among elements of one width.
"""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Collection, Mapping, Sequence

from ckpttool.findings.errors import MalformedError
from ckpttool.formats.safetensors.header import (
    MAX_DIMENSIONS,
    MAX_METADATA,
    MAX_NAME,
    MAX_STRINGS,
    MAX_TENSORS,
    METADATA,
)
from ckpttool.formats.safetensors.whole import MAX_HEADER, MAX_WIDE_HEADER
from ckpttool.formats.writing.file_layout import (
    ALIGNMENT,
    FileLayout,
    PlannedTensor,
    Slot,
    cannot_hold,
)
from ckpttool.tensors.dtypes import by_elements

if TYPE_CHECKING:
    from ckpttool.tensors.catalogue import TensorInfo
    from ckpttool.tensors.dtypes import DType

SUFFIX = ".safetensors"
HOLDS_VIEWS, HOLDS_METADATA, HOLDS_WRAPPER, IN_SHARDS = False, True, False, True
RESERVED: Mapping[str, str] = {METADATA: "it is that of the metadata"}

_LENGTH = struct.Struct("<Q")


def holds(dtype: DType, shape: tuple[int, ...]) -> bool:
    """Whether the format has a name for the type."""
    return by_elements(dtype, shape)[0].safetensors is not None


def takes(tensors: Collection[TensorInfo]) -> bool:
    """Whether the format, and every reader of it, has a place for all of these."""
    try:
        for info in tensors:
            _check(PlannedTensor(info.name, info.dtype, info.shape, info))
    except MalformedError:
        return False
    return len(tensors) <= MAX_TENSORS


def plan(
    pieces: Sequence[PlannedTensor], metadata: Mapping[str, str], _wrapper: str | None = None
) -> FileLayout:
    """Return where everything goes; none of the pieces is an alias."""
    if len(pieces) > MAX_TENSORS:
        raise _cannot_hold("more tensors than a reader takes", found=f"{len(pieces):,}")
    _check_metadata(metadata)
    # The sort is stable, so tensors of one width keep the order of the source.
    ordered = sorted(pieces, key=lambda piece: -piece.dtype.bits)
    places = {}
    end = 0
    for piece in ordered:
        _check(piece)
        begin, end = end, end + piece.nbytes
        places[piece.name] = begin, end
    head = _head(pieces, places, metadata)
    slots = []
    for piece in ordered:
        begin, behind = places[piece.name]
        slots.append(Slot(len(head) + begin, behind - begin, piece))
    return FileLayout(head, tuple(slots), len(head) + end)


def finish(
    layout: FileLayout,
    pieces: Sequence[PlannedTensor],
    metadata: Mapping[str, str] | None,
    _crcs: Mapping[str, int],
) -> list[tuple[int, bytes]]:
    """Return the header, now that all metadata are known."""
    if metadata is None:
        return [(0, layout.head)]
    # The metadata are as long as before, so no offset has moved.
    return [(0, plan(pieces, metadata).head)]


def read_with_library(
    path: str,
) -> tuple[str, dict[str, tuple[str | None, tuple[int, ...]]], str | None]:
    """Open the file with the safetensors library, which reads its header only."""
    # Late: only a conversion that writes the format needs the library.
    from safetensors import SafetensorError, __version__, safe_open

    reader = f"safetensors {__version__}"
    found: dict[str, tuple[str | None, tuple[int, ...]]] = {}
    try:
        # With "pt" the library would import torch.
        with safe_open(path, framework="np") as file:
            for name in file.keys():  # noqa: SIM118 (older libraries cannot be iterated)
                part = file.get_slice(name)
                dtype = part.get_dtype() if hasattr(part, "get_dtype") else None
                found[name] = dtype, tuple(part.get_shape())
    except (SafetensorError, OSError, ValueError) as error:
        return reader, {}, str(error)
    return reader, found, None


def _check(piece: PlannedTensor) -> None:
    # The limits of this program's own reader, which must be able to prove the file.
    if piece.name == METADATA:
        raise _cannot_hold("this name is that of the metadata", piece)
    if len(_encoded(piece.name, piece)) > MAX_NAME:
        raise _cannot_hold("the name is too long", piece)
    if not holds(piece.dtype, tuple(piece.shape)):
        raise _cannot_hold(f"safetensors has no elements of {piece.dtype.name}", piece)
    if len(piece.shape) > MAX_DIMENSIONS:
        raise _cannot_hold("it has too many dimensions", piece, found=str(len(piece.shape)))
    if piece.dtype.bits % 8 and piece.info.numel * piece.dtype.bits % 8:
        raise _cannot_hold("its elements do not fill whole bytes", piece)


def _check_metadata(metadata: Mapping[str, str]) -> None:
    size = sum(len(_encoded(text)) + 2 for item in metadata.items() for text in item)
    # Half of what the reader takes, since JSON escapes quotes and backslashes with a second byte.
    if size > MAX_METADATA // 2 or len(metadata) > MAX_STRINGS:
        raise _cannot_hold("there is more metadata than a reader takes", found=f"{size:,} bytes")


def _encoded(text: str, piece: PlannedTensor | None = None) -> bytes:
    """Return ``text`` as UTF-8, which cannot hold half a surrogate pair, as a pickle may have."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise _cannot_hold("the text is not valid Unicode", piece, found=repr(text)) from error


def _head(
    pieces: Sequence[PlannedTensor],
    places: Mapping[str, tuple[int, int]],
    metadata: Mapping[str, str],
) -> bytes:
    """Return length and header, padded so that the tensors begin aligned."""
    header: dict[str, object] = {METADATA: dict(metadata)} if metadata else {}
    for piece in pieces:
        dtype, shape = by_elements(piece.dtype, tuple(piece.shape))
        header[piece.name] = {
            "dtype": dtype.safetensors,
            "shape": shape,
            "data_offsets": places[piece.name],
        }
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-(len(text) + _LENGTH.size) % ALIGNMENT)
    # The reader takes less where characters may be wide, and an escape makes a wide one too.
    plain = text.isascii() and b"\\u" not in text
    most = MAX_HEADER if plain else MAX_WIDE_HEADER
    if len(text) > most:
        raise _cannot_hold(
            "the header would be larger than a reader takes", found=f"{len(text):,} bytes"
        )
    return _LENGTH.pack(len(text)) + text


_WAY_OUT = "Leave it out with --exclude, or convert to another format."


def _cannot_hold(
    message: str, piece: PlannedTensor | None = None, *, found: str | None = None
) -> MalformedError:
    tensor, fix = (piece.name, _WAY_OUT) if piece else (None, None)
    return cannot_hold(message, tensor, found=found, fix=fix)
