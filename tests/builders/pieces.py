"""Pieces to write, from files and from memory, and the whole way to a written file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from ckpttool.files import positional
from ckpttool.files.sources import FileSource
from ckpttool.formats.writing import copying, torch_zip
from ckpttool.formats.writing.file_layout import PlannedTensor
from ckpttool.tensors.catalogue import Extent, TensorInfo
from ckpttool.tensors.dtypes import DTYPES
from tests.builders.tensors import from_array, in_memory

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Mapping, Sequence

    from numpy.typing import NDArray

    from ckpttool.formats.writing.copying import PieceDigest
    from ckpttool.formats.writing.file_layout import FileLayout


def piece(info: TensorInfo, dtype: str | None = None, alias_of: str | None = None) -> PlannedTensor:
    """A piece to be written as it is, or cast to ``dtype``."""
    target = info.dtype if dtype is None else DTYPES[dtype]
    return PlannedTensor(info.name, target, info.shape, info, target != info.dtype, alias_of)


def of_dtype(dtype: str, shape: Sequence[int] = (2, 3), name: str = "weight") -> PlannedTensor:
    """A piece whose bytes count up from zero."""
    nbytes = int(np.prod(shape)) * DTYPES[dtype].bits // 8
    return piece(in_memory(bytes(range(nbytes)), dtype, shape, name=name))


def mixed() -> list[PlannedTensor]:
    """Pieces of many kinds: widths, an empty one, a scalar, a transposed and a big-endian one."""
    numbers = np.arange(6, dtype=np.float32).reshape(2, 3)
    transposed = from_array(numbers)._replace(name="turned", shape=(3, 2), strides=(1, 3))
    swapped = in_memory(numbers.astype(">f4").tobytes(), "float32", (2, 3), big_endian=True)
    return [
        piece(from_array(np.arange(5, dtype=np.int64), "steps")),
        piece(from_array(np.arange(3, dtype=np.uint8), "odd")),
        piece(from_array(np.full((), 7.5, np.float32), "scalar")),
        piece(from_array(np.zeros((0, 4), np.float32), "empty")),
        of_dtype("bfloat16", (3,), "half"),
        of_dtype("bool", (1,), "flag"),
        piece(transposed),
        piece(swapped._replace(name="swapped")),
    ]


#: What :func:`mixed` holds, as numbers.
MIXED_TURNED: NDArray[Any] = np.arange(6, dtype=np.float32).reshape(2, 3).T


def in_file(path: Path, arrays: Mapping[str, NDArray[Any]], gap: int = 3) -> list[PlannedTensor]:
    """Write arrays to a file, ``gap`` bytes apart, and return pieces of them."""
    source_bytes = b""
    places = {}
    for name, array in arrays.items():
        source_bytes += b"#" * gap
        places[name] = len(source_bytes)
        source_bytes += array.tobytes()
    path.write_bytes(source_bytes)
    source = FileSource(str(path))
    return [
        piece(
            TensorInfo(
                name,
                DTYPES[array.dtype.name],
                array.shape,
                None,
                (Extent(source, places[name], array.nbytes),),
            )
        )
        for name, array in arrays.items()
    ]


def put(path: Path, layout: FileLayout, *, workers: int | None = None) -> dict[str, PieceDigest]:
    """Write a whole file of either format, and close it."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    try:
        os.ftruncate(fd, layout.size)
        digests = copying.copy_layout(layout, fd, workers=workers).digests
        crcs = {name: digest.crc32 for name, digest in digests.items()}
        parts = torch_zip.finish(layout, [], {}, crcs) if layout.members else [(0, layout.head)]
        positional.write_parts(fd, str(path), parts)
    finally:
        os.close(fd)
    return digests
