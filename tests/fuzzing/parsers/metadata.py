"""A folder of torch.distributed.checkpoint: its ``.metadata``, and two files with the chunks."""

from __future__ import annotations

import atexit
import os
import pickle
import shutil
import tempfile
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, NamedTuple, Sequence, Tuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors

from ckpttool.findings.errors import CkpttoolError
from ckpttool.formats import open_checkpoint
from tests.builders import distributed
from tests.builders import pickles as p
from tests.builders import torch_files as files
from tests.builders.repository import FIXTURES
from tests.fuzzing.mutations import pickled, raw
from tests.fuzzing.parser import SAME, ViolationError
from tests.fuzzing.references import agreement, restoring
from tests.fuzzing.references.recording import Result, record
from tests.fuzzing.tensors import Content

if TYPE_CHECKING:
    from random import Random

NAME = "metadata"

#: The files of a folder, in the order in which an input has them.
_NAMES = (".metadata", distributed.FILE, "__1_0.distcp")
_LENGTH = 4


class Folder(NamedTuple):
    """A folder in one run of bytes: the length of all files but the last stands before each."""

    metadata: bytes
    first: bytes
    second: bytes

    def joined(self) -> bytes:
        """Return the bytes of an input."""
        parts = [len(part).to_bytes(_LENGTH, "little") + part for part in self[:2]]
        return b"".join((*parts, self.second))


def apart(content: bytes) -> Folder:
    """Take an input apart; any bytes are one."""
    parts = []
    for _ in range(2):
        end = _LENGTH + int.from_bytes(content[:_LENGTH], "little")
        parts.append(content[_LENGTH:end])
        content = content[end:]
    return Folder(parts[0], parts[1], content)


@lru_cache(maxsize=None)
def seeds() -> Sequence[bytes]:
    """Return good folders: of archives and of safetensors files, of new and of old releases."""
    found = [_read(FIXTURES / "distributed-torch-2.2.2")]
    with tempfile.TemporaryDirectory() as folder:
        if distributed.LISTS:
            found += [_small(Path(folder), protocol) for protocol in (2, 3, 4, 5)]
            distributed.as_safetensors(Path(folder) / "safetensors")
            found.append(_read(Path(folder) / "safetensors"))
    return tuple(one.joined() for one in found)


def mutate(content: bytes, random: Random) -> bytes:
    """Change the listing by its opcodes, or one of the files."""
    folder, kind = apart(content), random.random()
    if kind < 0.75:
        others = [apart(seed).metadata for seed in seeds()]
        changed = pickled.mutate(folder.metadata, random, others)
        return folder._replace(metadata=changed).joined()
    if kind < 0.85:
        return folder._replace(first=_file(folder.first, random)).joined()
    if kind < 0.95:
        return folder._replace(second=_file(folder.second, random)).joined()
    if kind < 0.97:
        return folder._replace(first=folder.second, second=folder.first).joined()
    return raw.mutate(content, random)


def read(content: bytes) -> object:
    """Catalogue the folder and read its tensors."""
    return agreement.Read(open_checkpoint(_written(apart(content))))


def compare(content: bytes, said: object | CkpttoolError) -> str:
    """Hold the listing to CPython's unpickler, and the tensors to torch's reading of chunks."""
    refused = isinstance(said, CkpttoolError)
    folder = apart(content)
    theirs = agreement.check_pickle(folder.metadata, said.uses, accepted=not refused)  # type: ignore[union-attr]
    if refused:
        return "refused here"
    assert isinstance(said, agreement.Read)
    if agreement.calls_something(said.uses):
        return "calls something"
    try:
        if theirs is None:
            raise restoring.refused("CPython", record(folder.metadata).error)
        return _check(said, _tensors(theirs.root, folder))
    except restoring.KnownError as known:
        return str(known)


# --- files ---------------------------------------------------------------------------------


_NOTHING = Folder(b"", b"", b"")


class _Place:
    """The folder that is written, and what is in it: one for each process, in one for all."""

    process = 0
    path = Path()
    held = _NOTHING


@lru_cache(maxsize=None)
def _around() -> Path:
    """Return the folder of all processes, which the first of them makes and removes."""
    memory = Path("/dev/shm")  # in memory, where the system has it
    path = Path(
        tempfile.mkdtemp(prefix="ckpttool-fuzzing-", dir=memory if memory.is_dir() else None)
    )
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def _written(folder: Folder) -> Path:
    """Write what is not there yet, and return the path of the listing."""
    process = os.getpid()
    if _Place.process != process:
        _Place.process, _Place.held, _Place.path = process, _NOTHING, _around() / str(process)
        _Place.path.mkdir()
        for name in _NAMES:
            (_Place.path / name).write_bytes(b"")
    for name, new, old in zip(_NAMES, folder, _Place.held):
        if new != old:
            (_Place.path / name).write_bytes(new)
    _Place.held = folder
    return _Place.path / _NAMES[0]


def _read(folder: Path) -> Folder:
    return Folder(*((folder / name).read_bytes() for name in _NAMES))


def _file(content: bytes, random: Random) -> bytes:
    """Change a file, or the pickle of one of the archives in it without another length."""
    begin = content.find(b"\x80\x02ctorch", random.randrange(max(len(content), 1)))
    end = content.find(b".PK", begin) + 1
    if begin < 0 or end <= begin or random.random() < 0.5:
        return raw.mutate(content, random)
    changed = pickled.mutate(content[begin:end], random)
    if random.random() < 0.8:
        changed = changed[: end - begin].ljust(end - begin, b".")
    return content[:begin] + changed + content[end:]


# --- what the reference reads --------------------------------------------------------------


def _attributes(value: Any) -> Dict[str, Any]:
    """Return the attributes of an object that is a stub."""
    state = value.states[-1] if isinstance(value, Result) and value.states else None
    return state if isinstance(state, dict) else {}


def _sizes(value: Any) -> Tuple[int, ...]:
    """Return the numbers of a ``torch.Size``."""
    return tuple(value.args[0]) if isinstance(value, Result) and value.args else ()


def _tensors(root: Any, folder: Folder) -> Dict[str, Content]:
    """Return each tensor by its dotted path, put together from what torch reads of its chunks."""
    told = _attributes(root)
    places: Dict[Tuple[str, Any], Dict[str, Any]] = {}
    for index, info in told["storage_data"].items():
        named = _attributes(index)
        offset = named.get("offset")
        key = named["fqn"], None if offset is None else _sizes(offset)
        places[key] = _attributes(info)
    paths = told.get("planner_data")
    if not isinstance(paths, dict):  # some planners keep other things there
        paths = {}
    found = {}
    for name, entry in told["state_dict_metadata"].items():
        held = _attributes(entry)
        if "chunks" not in held:
            continue
        path = ".".join(map(str, paths.get(name, (name,))))
        content = _tensor(name, held, places, folder)
        if path in found:
            raise restoring.KnownError("two paths are the same with dots")
        if content is not None:
            found[path] = content
    return found


def _tensor(
    name: str, entry: Dict[str, Any], places: Dict[Tuple[str, Any], Dict[str, Any]], folder: Folder
) -> Content | None:
    """Return a tensor; ``None`` if a chunk is none of those that are read."""
    shape = _sizes(entry["size"])
    whole = None
    for chunk in entry["chunks"]:
        told = _attributes(chunk)
        offsets, sizes = _sizes(told["offsets"]), _sizes(told["sizes"])
        if 0 in sizes:
            continue
        part = _chunk(name, places[name, offsets], folder)
        if part is None:
            return None
        if whole is None:
            whole = torch.empty(shape, dtype=part.dtype)
        box = tuple(slice(begin, begin + size) for begin, size in zip(offsets, sizes))
        whole[box].copy_(part)
    return None if whole is None else restoring.content_of(whole)


def _chunk(name: str, place: Dict[str, Any], folder: Folder) -> torch.Tensor | None:
    offset, length = place["offset"], place["length"]
    file = folder[_NAMES.index(place["relative_path"])]
    data = file[offset : offset + length]
    if data[:2] != b"PK":
        # one file for all of its tensors: writers state no length of each
        with suppress(SafetensorError):
            return load_safetensors(file[offset:]).get(name)
        return None
    root, reason = restoring.by_torch(data)
    return None if reason else root


def _check(said: agreement.Read, theirs: Dict[str, Content]) -> str:
    if said.tensors is None:
        return "too large to be read"
    wrapper = said.checkpoint.wrapper or ""
    compared = 0
    for name, ours in said.tensors.items():
        dotted = f"{wrapper}.{name}" if wrapper else name
        if dotted not in theirs:
            if ours[2]:
                raise ViolationError(f"tensor {dotted!a} is not there: {list(theirs)[:20]!a}")
            continue
        compared += 1
        if ours != theirs[dotted]:
            raise ViolationError(f"tensor {name!a}: {ours!a:.200} here, {theirs[dotted]!a:.200}")
    return SAME if compared else "no tensor of chunks"


# --- seeds ---------------------------------------------------------------------------------


_PIECES = (
    distributed.Piece("model.weight", (0, 0), distributed.WEIGHT[:2].clone()),
    distributed.Piece("model.weight", (2, 0), distributed.WEIGHT[2:].clone(), _NAMES[2]),
    distributed.Piece("model.scale", (), torch.tensor(2.0)),
)


def _small(folder: Path, protocol: int) -> Folder:
    """Return a folder of small archives: a tensor in two chunks, one whole, and a number."""
    shapes = {piece.name: distributed.SHAPES[piece.name] for piece in _PIECES}
    told = distributed.listing(_PIECES, shapes)
    held: Dict[str, bytearray] = {name: bytearray() for name in _NAMES[1:]}
    for piece in _PIECES:
        archive = _archive(piece.tensor)
        distributed.place(told, held, piece.file, (piece.name, piece.offsets), archive)
    name = "epoch"
    told.state_dict_metadata[name] = distributed.bytes_entry()
    distributed.place(told, held, distributed.FILE, (name, None), files.torch_zip(b"K\x03"))
    return Folder(pickle.dumps(told, protocol=protocol), *map(bytes, held.values()))


def _archive(tensor: torch.Tensor) -> bytes:
    count = tensor.numel()
    body = p.tensor(
        p.storage(count=count),
        shape=p.tuple_of(*map(p.integer, tensor.shape)),
        strides=p.tuple_of(*map(p.integer, tensor.stride())),
    )
    return files.torch_zip(body, storages={"0": tensor.numpy().tobytes()})
