"""Folders of torch.distributed.checkpoint made by hand: good ones, and ones with a named defect.

What its writers cannot be made to write is put together here of its own classes, pickled as they
are; what real processes write comes from ``distributed_writer``.
"""

from __future__ import annotations

import io
import json
import pickle
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Sequence, Tuple

import safetensors.torch
import torch

from tests.builders.repository import ROOT

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
        told.state_dict_metadata[name] = _metadata().BytesStorageMetadata()
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
    meta = _metadata()
    tensors: Dict[str, Any] = {}
    for piece in pieces:
        properties = meta.TensorProperties.create_from_tensor(piece.tensor)
        shape = torch.Size(shapes[piece.name])
        new = meta.TensorStorageMetadata(properties, shape, [])
        chunk = meta.ChunkStorageMetadata(torch.Size(piece.offsets), piece.tensor.shape)
        tensors.setdefault(piece.name, new).chunks.append(chunk)
    paths = {name: PATHS.get(name, (name,)) for name in shapes}
    return meta.Metadata(tensors, planner_data=paths, storage_data={})


def place(
    told: Any,
    files: Dict[str, bytearray],
    file: str,
    index: Tuple[str, Tuple[int, ...] | None],
    data: bytes,
) -> None:
    """Put bytes at the end of a file, and list them."""
    info = _filesystem()._StorageInfo(file, len(files[file]), len(data))
    told.storage_data[index_of(*index)] = info
    files[file] += data


def index_of(name: str, offsets: Tuple[int, ...] | None) -> Any:
    return _metadata().MetadataIndex(name, None if offsets is None else torch.Size(offsets))


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


def _metadata() -> Any:
    from torch.distributed.checkpoint import metadata

    return metadata


def _filesystem() -> Any:
    from torch.distributed.checkpoint import filesystem

    return filesystem


# --- defects: what .metadata says ----------------------------------------------------------


def _changed(change: Change) -> Callable[[Path], Path]:
    return lambda folder: write(folder, change=change)


def _set_info(told: Any, index: Tuple[str, Tuple[int, ...]], **values: object) -> None:
    for name, value in values.items():
        setattr(told.storage_data[index_of(*index)], name, value)


def _info(index: Tuple[str, Tuple[int, ...]], **values: object) -> Callable[[Path], Path]:
    return _changed(lambda told: _set_info(told, index, **values))


def _without_place(told: Any) -> None:
    del told.storage_data[index_of("model.weight", (2, 4))]


def _without_chunk(told: Any) -> None:
    del told.state_dict_metadata["model.weight"].chunks[3]
    _without_place(told)


def _doubled(told: Any) -> None:
    chunks = told.state_dict_metadata["model.weight"].chunks
    chunks.append(chunks[0])


def _sizes(name: str, number: int, sizes: Sequence[int]) -> Callable[[Path], Path]:
    def change(told: Any) -> None:
        chunk = told.state_dict_metadata[name].chunks[number]
        told.state_dict_metadata[name].chunks[number] = _metadata().ChunkStorageMetadata(
            chunk.offsets, torch.Size(sizes)
        )

    return _changed(change)


def _set_shape(told: Any) -> None:
    told.state_dict_metadata["model.bias"].size = torch.Size([2**60])


def _set_dtype(told: Any) -> None:
    told.state_dict_metadata["model.bias"].properties.dtype = torch.int32


def _set_path(path: Tuple[object, ...]) -> Callable[[Path], Path]:
    return _changed(lambda told: told.planner_data.update({"model.bias": path}))


def _same_bytes(told: Any) -> None:
    first, second = (index_of("model.weight", (row, 0)) for row in (0, 2))
    told.storage_data[second] = told.storage_data[first]


def _following(folder: Path) -> Path:
    path = write(folder)
    path.write_bytes(path.read_bytes() + b"N.")
    return path


def _no_file(folder: Path) -> Path:
    path = write(folder)
    (folder / "__1_0.distcp").unlink()
    return path


def _linked_out(folder: Path) -> Path:
    path = write(folder)
    outside = folder.parent / "outside.distcp"
    (folder / "__1_0.distcp").replace(outside)
    (folder / "__1_0.distcp").symlink_to(outside)
    return path


def _cut_short(folder: Path) -> Path:
    path = write(folder)
    file = folder / "__1_0.distcp"
    file.write_bytes(file.read_bytes()[:-1])
    return path


def _hard_linked(folder: Path) -> Path:
    path = write(folder)
    (folder / "__1_0.distcp").unlink()
    (folder / "__1_0.distcp").hardlink_to(folder / FILE)
    return path


class _Twice:
    """Pickled as a dictionary with the first of its keys once more at the end."""

    def __init__(self, pairs: Dict[Any, Any]) -> None:
        self._pairs = [*pairs.items(), next(iter(pairs.items()))]

    def __reduce__(self) -> Tuple[object, ...]:
        return OrderedDict, (), None, None, iter(self._pairs)


def _placed_twice(told: Any) -> None:
    told.storage_data = _Twice(told.storage_data)


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
            info = _filesystem()._StorageInfo(piece.file, 0, len(data))
            told.storage_data[index_of(piece.name, piece.offsets)] = info
    if change is not None:
        change(told)
    return dump(folder, told)


def _files_exchanged(told: Any) -> None:
    for index, info in told.storage_data.items():
        if index.fqn == "rows":
            info.relative_path = "__1_0.distcp" if info.relative_path == FILE else FILE


def _listed_as_integers(told: Any) -> None:
    told.state_dict_metadata["whole"].properties.dtype = torch.int32


def _overwritten(folder: Path) -> Path:
    path = write(folder)
    file = folder / "__1_0.distcp"
    file.write_bytes(bytes(len(file.read_bytes())))
    return path


def _no_tensor(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    told = listing(PIECES, SHAPES)
    files: Dict[str, bytearray] = {piece.file: bytearray() for piece in PIECES}
    for piece in PIECES:
        value = {"a": 1} if piece.name == "model.scale" else piece.tensor
        place(told, files, piece.file, (piece.name, piece.offsets), archive(value))
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return dump(folder, told)


#: The defect, how it is made, the code of the error, and words of its message.
DEFECTS: Dict[str, Tuple[Callable[[Path], Path], str, str]] = {
    "no-place": (_changed(_without_place), "FIL404", "no place"),
    "chunk-missing": (_changed(_without_chunk), "FIL404", "from [2, 4] on"),
    "chunk-doubled": (_changed(_doubled), "FIL404", "twice"),
    "chunks-overlap": (_sizes("model.weight", 0, (2, 5)), "FIL404", "overlap"),
    "chunk-outside": (_sizes("model.bias", 1, (3,)), "FIL404", "outside"),
    "chunk-smaller": (_sizes("model.bias", 1, (1,)), "FIL404", "from [4] on"),
    "shape-larger": (_changed(_set_shape), "FIL404", "from [5] on"),
    "another-type": (_changed(_set_dtype), "FIL404", "not what .metadata says"),
    "bytes-of-two": (_changed(_same_bytes), "FIL404", "share bytes"),
    "offset-outside": (_info(("model.bias", (3,)), offset=2**62), "FIL006", "ends before"),
    "offset-wrong": (_info(("model.bias", (3,)), offset=3), "FIL404", "share bytes"),
    "length-short": (_info(("model.scale", ()), length=999), "FIL404", "no whole archive"),
    "file-cut-short": (_cut_short, "FIL006", "ends before"),
    "file-of-zeros": (_overwritten, "FIL404", "no archive"),
    "file-missing": (_no_file, "FIL404", "not there: __1_0.distcp"),
    "not-a-tensor": (_no_tensor, "FIL404", "holds no tensor"),
    "climbs": (_info(("model.scale", ()), relative_path="../x.distcp"), "FIL403", "below"),
    "absolute": (_info(("model.scale", ()), relative_path="/etc/passwd"), "FIL403", "below"),
    "backslash": (_info(("model.scale", ()), relative_path="..\\x"), "FIL403", "below"),
    "drive": (_info(("model.scale", ()), relative_path="C:x.distcp"), "FIL403", "below"),
    "two-names-of-one-file": (_hard_linked, "FIL404", "is the same file as __0_0.distcp"),
    "two-places": (_changed(_placed_twice), "INT008", "two places for one chunk"),
    "axes-of-another": (_sizes("model.bias", 1, (1, 2)), "FIL403", "another number of axes"),
    "path-begins-with-number": (_set_path((0, "x")), "FIL403", "neither text nor a number"),
    "negative": (_info(("model.scale", ()), offset=-1), "FIL403", "not a file, an offset"),
    "text-for-offset": (_info(("model.scale", ()), offset="0"), "FIL403", "not a file"),
    "paths-meet": (_set_path(("model", "weight")), "FIL403", "same place"),
    "path-through-tensor": (_set_path(("model", "weight", "x")), "FIL403", "through"),
    "path-by-number": (_set_path(("model", 0)), "FIL403", "by a number"),
    "long-list": (_set_path(("other", 10**12)), "FIL005", "longer than the limit"),
    "deep-path": (_set_path(("a",) * 100), "FIL005", "more keys"),
    "safetensors-of-another-chunk": (
        lambda folder: as_safetensors(folder, _files_exchanged),
        "FIL404",
        "another chunk",
    ),
    "safetensors-of-another-type": (
        lambda folder: as_safetensors(folder, _listed_as_integers),
        "FIL404",
        "not what .metadata",
    ),
    "something-follows": (_following, "FIL403", "follows the pickle"),
}

#: The same for what is only not read: exit 2.
NOT_READ: Dict[str, Tuple[Callable[[Path], Path], str, str]] = {
    "compressed": (
        _info(("model.scale", ()), transform_descriptors=["stream.zstd/1"]),
        "FIL003",
        "extension",
    ),
    "link-out": (_linked_out, "FIL001", "links"),
}


# --- safetensors files of parts ------------------------------------------------------------


def parts(folder: Path, *files: Dict[str, Tuple[Tuple[int, ...], torch.Tensor]]) -> Path:
    """Write a safetensors file for each, of tensors by name and where they begin."""
    folder.mkdir(exist_ok=True)
    for number, tensors in enumerate(files, 1):
        (folder / part_name(number)).write_bytes(part(tensors))
    return folder / part_name(1)


def part(tensors: Dict[str, Tuple[Tuple[int, ...], torch.Tensor]]) -> bytes:
    told = {name: {"saved_offsets": list(at)} for name, (at, _) in tensors.items()}
    metadata = {"DCP_SHARDING_INFO": json.dumps(told), "DCP_VERSION": "1.0", "format": "pt"}
    held = {name: tensor.contiguous() for name, (_, tensor) in tensors.items()}
    return safetensors.torch.save(held, metadata)


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
