"""Folders of torch.distributed.checkpoint made by hand; ``distributed_defects`` has damaged ones.

What its writers cannot be made to write is put together here of its own classes, pickled as they
are; what real processes write comes from ``distributed_writer``.
"""

from __future__ import annotations

import io
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Sequence, Tuple

import safetensors.torch
import torch

from tests.builders.repository import ROOT
from tests.builders.safetensors import file as safetensors_file

#: Whether this torch has what ``distributed_writer`` uses.
TORCH = tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2])
WRITES = TORCH >= (2, 6) and torch.distributed.is_available() and sys.platform != "win32"
#: Whether it has the classes of a listing where they are now.
LISTS = TORCH >= (2, 3) and torch.distributed.is_available()

FILE = "__0_0.distcp"


class Piece(NamedTuple):
    """A chunk: of which tensor, from which index on, its elements, and in which file."""

    name: str
    offsets: Tuple[int, ...]
    tensor: torch.Tensor
    file: str = FILE


#: A tensor cut along both axes, one along the first, one whole.
WEIGHT = torch.arange(24.0).reshape(4, 6)
PIECES = (
    Piece("model.weight", (0, 0), WEIGHT[:2, :4].clone()),
    Piece("model.weight", (0, 4), WEIGHT[:2, 4:].clone(), "__1_0.distcp"),
    Piece("model.weight", (2, 0), WEIGHT[2:, :4].clone()),
    Piece("model.weight", (2, 4), WEIGHT[2:, 4:].clone(), "__1_0.distcp"),
    Piece("model.bias", (0,), torch.arange(3.0)),
    Piece("model.bias", (3,), torch.arange(3.0, 5.0), "__1_0.distcp"),
    Piece("model.scale", (), torch.tensor(2.0)),
)
SHAPES = {"model.weight": (4, 6), "model.bias": (5,), "model.scale": ()}
PATHS = {name: tuple(name.split(".", 1)) for name in SHAPES}

#: Changes a listing before it is written.
Change = Callable[[Any], object]


def archive(value: object) -> bytes:
    """What torch.save writes."""
    stream = io.BytesIO()
    torch.save(value, stream)
    return stream.getvalue()


def write(
    folder: Path,
    pieces: Sequence[Piece] = PIECES,
    objects: Dict[str, object] | None = None,
    change: Change | None = None,
    shapes: Mapping[str, Tuple[int, ...]] = SHAPES,
    raw: Dict[str, bytes] | None = None,
) -> Path:
    """Write a folder and return the path of its ``.metadata``.

    ``objects`` are saved beside the tensors; ``raw`` are objects as bytes.
    """
    folder.mkdir(exist_ok=True)
    told = listing(pieces, shapes)
    files: Dict[str, bytearray] = {piece.file: bytearray() for piece in pieces}
    for piece in pieces:
        place(told, files, piece.file, (piece.name, piece.offsets), archive(piece.tensor))
    held = {name: archive(value) for name, value in (objects or {}).items()}
    for name, data in {**held, **(raw or {})}.items():
        told.state_dict_metadata[name] = metadata().BytesStorageMetadata()
        place(told, files, FILE, (name, None), data)
    if change is not None:
        change(told)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return dump(folder, told)


def dump(folder: Path, told: object, behind: bytes = b"") -> Path:
    path = folder / ".metadata"
    path.write_bytes(pickle.dumps(told, protocol=4) + behind)
    return path


def listing(pieces: Sequence[Piece], shapes: Mapping[str, Tuple[int, ...]]) -> Any:
    """A ``Metadata`` of these chunks, without places yet."""
    meta = metadata()
    tensors: Dict[str, Any] = {}
    for piece in pieces:
        properties = meta.TensorProperties.create_from_tensor(piece.tensor)
        shape = torch.Size(shapes[piece.name])
        new = meta.TensorStorageMetadata(properties, shape, [])
        chunk = meta.ChunkStorageMetadata(torch.Size(piece.offsets), piece.tensor.shape)
        tensors.setdefault(piece.name, new).chunks.append(chunk)
    paths = {name: PATHS.get(name, (name,)) for name in shapes}
    return meta.Metadata(tensors, planner_data=paths, storage_data={})


def bytes_entry() -> Any:
    """What a listing says of an object that is no tensor."""
    return metadata().BytesStorageMetadata()


def place(
    told: Any,
    files: Dict[str, bytearray],
    file: str,
    index: Tuple[str, Tuple[int, ...] | None],
    data: bytes,
) -> None:
    """Put bytes at the end of a file, and list them."""
    info = filesystem()._StorageInfo(file, len(files[file]), len(data))
    told.storage_data[index_of(*index)] = info
    files[file] += data


def index_of(name: Any, offsets: Tuple[int, ...] | None) -> Any:
    return metadata().MetadataIndex(name, None if offsets is None else torch.Size(offsets))


def good(folder: Path) -> Path:
    """Three tensors of a model in two files, an optimizer's, and numbers beside them."""
    pieces = (*PIECES, Piece("optim.state.0.exp_avg", (0,), torch.ones(5)))
    shapes = {**SHAPES, "optim.state.0.exp_avg": (5,)}
    return write(folder, pieces, {"epoch": 3, "args": {"lr": 0.5}}, shapes=shapes)


def with_another_file(folder: Path) -> Path:
    """The good folder, and a part that is not listed."""
    path = good(folder)
    (folder / "__9_0.distcp").write_bytes(b"of an earlier run")
    return path


def metadata() -> Any:
    from torch.distributed.checkpoint import metadata as module

    return module


def filesystem() -> Any:
    from torch.distributed.checkpoint import filesystem as module

    return module


# --- other kinds of parts ------------------------------------------------------------------


def in_plain_tuples(told: Any) -> None:
    """Say shapes and places as tuples of Python, in place of ``torch.Size``."""
    for entry in told.state_dict_metadata.values():
        entry.size = tuple(entry.size)
        for chunk in entry.chunks:
            chunk.offsets, chunk.sizes = tuple(chunk.offsets), tuple(chunk.sizes)


def place_of_nothing(told: Any) -> None:
    """List a place for a chunk of a tensor that has no entry."""
    told.storage_data[index_of("gone", (0,))] = next(iter(told.storage_data.values()))


def empty_chunk(told: Any) -> None:
    """List a chunk without elements, which a process without a share of the tensor has."""
    chunk = metadata().ChunkStorageMetadata(torch.Size([5]), torch.Size([0]))
    told.state_dict_metadata["model.bias"].chunks.append(chunk)


def sparse(told: Any) -> None:
    """List the bias as a tensor that is not strided."""
    told.state_dict_metadata["model.bias"].properties.layout = torch.sparse_coo


def as_safetensors(folder: Path, change: Change | None = None) -> Path:
    """A folder whose one part is a safetensors file, as ``SerializationFormat`` makes them."""
    folder.mkdir(exist_ok=True)
    pieces = (Piece("rows", (0, 0), WEIGHT[:2]), Piece("whole", (0,), torch.arange(3.0)))
    rest = Piece("rows", (2, 0), WEIGHT[2:], "__1_0.distcp")
    told = listing((*pieces, rest), {"rows": (4, 6), "whole": (3,)})
    for held in (pieces, (rest,)):
        data = part({piece.name: (piece.offsets, piece.tensor) for piece in held})
        (folder / held[0].file).write_bytes(data)
        for piece in held:
            info = filesystem()._StorageInfo(piece.file, 0, len(data))
            told.storage_data[index_of(piece.name, piece.offsets)] = info
    if change is not None:
        change(told)
    return dump(folder, told)


# --- safetensors files of parts ------------------------------------------------------------


def parts(folder: Path, *files: Mapping[str, Tuple[Tuple[int, ...], torch.Tensor]]) -> Path:
    """Write a safetensors file for each, of tensors by name and where they begin."""
    folder.mkdir(exist_ok=True)
    for number, tensors in enumerate(files, 1):
        (folder / part_name(number)).write_bytes(part(tensors))
    return folder / part_name(1)


def part(tensors: Mapping[str, Tuple[Tuple[int, ...], torch.Tensor]]) -> bytes:
    told = {name: {"saved_offsets": list(at)} for name, (at, _) in tensors.items()}
    about = {"DCP_SHARDING_INFO": json.dumps(told), "DCP_VERSION": "1.0", "format": "pt"}
    held = {name: tensor.contiguous() for name, (_, tensor) in tensors.items()}
    return safetensors.torch.save(held, about)


def oddly_spelled(data: bytes) -> bytes:
    """A safetensors file with a line end behind its header, which the format's text has not."""
    start = 8 + int.from_bytes(data[:8], "little")
    return (start - 7).to_bytes(8, "little") + data[8:start] + b"\n" + data[start:]


def parts_in_four_bits(folder: Path) -> Path:
    """A tensor of elements below a byte, cut into two files."""
    folder.mkdir(exist_ok=True)
    for number, offset in ((1, 0), (2, 2)):
        told = json.dumps({"w": {"saved_offsets": [offset, 0]}})
        header = {
            "__metadata__": {"DCP_SHARDING_INFO": told},
            "w": {"dtype": "F4", "shape": [2, 2], "data_offsets": [0, 2]},
        }
        data = safetensors_file(json.dumps(header).encode(), bytes(2))
        (folder / part_name(number)).write_bytes(data)
    return folder / part_name(1)


def part_name(number: int) -> str:
    return f"shard-{number:05d}-model-00001-of-00001.safetensors"


def good_parts(folder: Path) -> Path:
    """A matrix cut along its second axis, and a vector along its only one."""
    return parts(
        folder,
        {"weight": ((0, 0), WEIGHT[:, :4]), "bias": ((0,), torch.arange(3.0))},
        {"weight": ((0, 4), WEIGHT[:, 4:]), "bias": ((3,), torch.arange(3.0, 5.0))},
    )


# --- what real processes write -------------------------------------------------------------

_WRITTEN: List[Path] = []


def written(folder: Path) -> Path:
    """Return a folder with all that ``distributed_writer`` writes, which runs once."""
    if not _WRITTEN:
        script = "tests.builders.distributed_writer"
        subprocess.run(
            [sys.executable, "-W", "ignore", "-m", script, str(folder)],
            cwd=ROOT,
            check=True,
            capture_output=True,
            timeout=300,
        )
        _WRITTEN.append(folder)
    return _WRITTEN[0]
