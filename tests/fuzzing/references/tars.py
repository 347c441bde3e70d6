"""torch's reader of its old tar files, with tarfile and an unpickler behind which nothing runs.

torch's own one extracts members, devices and links as well, and is given only archives of which
every member is known to be a plain file.
"""

from __future__ import annotations

import io
import os
import pickle
import struct
import tarfile
import tempfile
import warnings
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Dict, List, NamedTuple

import torch

from tests.fuzzing.references import inert

_MOST = 100_000  # bytes of a member, storages of one file, tensors
_MOST_READS = 10_000


class _Kind(inert.Kind):
    """The class of a storage, as torch asks it for its type."""

    @property
    def _dtype(self) -> torch.dtype:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = getattr(torch, self.name).dtype
        assert isinstance(found, torch.dtype)
        return found


class _Unpickler(inert.Unpickler):
    """As torch makes it, which sets the function for ids afterwards."""

    def __init__(self, file: Any, **_: Any) -> None:
        super().__init__(file)

    def find_class(self, module: str, name: str) -> Any:
        """Return something inert; of storages what tells their type."""
        found = super().find_class(module, name)
        return _Kind(*found) if isinstance(found, inert.Kind) else found


def _load(file: Any, **_: Any) -> Any:
    return _Unpickler(file).load()


#: What torch.load takes for the module pickle.
_INERT = SimpleNamespace(Unpickler=_Unpickler, load=_load, __name__="inert")


@lru_cache(maxsize=None)
def _path(_: int) -> Path:
    """Return the path of a file of one process: torch wants one that the system knows."""
    folder = "/dev/shm" if Path("/dev/shm").is_dir() else None
    return Path(tempfile.mkdtemp(dir=folder)) / "model.tar"


def load(content: bytes) -> Any:
    """Return what torch.load makes of an archive of plain files."""
    path = _path(os.getpid())
    path.write_bytes(content)
    with path.open("rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.load(file, "cpu", _INERT, weights_only=False)


class Storage(NamedTuple):
    """The bytes of a storage and the type of its elements."""

    data: bytes
    dtype: torch.dtype


def tensor_of(view: inert.View) -> torch.Tensor:
    """Return the tensor that is described; raises RuntimeError if it reaches beyond its storage."""
    data, dtype = view.storage
    whole = torch.frombuffer(bytearray(data), dtype=dtype) if data else torch.empty(0, dtype=dtype)
    return torch.as_strided(whole, view.shape, view.strides, view.offset)


class _File(io.BytesIO):
    """Bytes of which only so often can be read: tarfile goes in circles in some archives."""

    reads = 0

    def read(self, size: int | None = -1) -> bytes:
        """Return the next bytes."""
        self.reads += 1
        if self.reads > _MOST_READS:
            raise OSError("too many reads")
        return super().read(size)


class Reader:
    """Reads an archive member by member, in torch's order, and extracts nothing.

    Attributes:
        names: those that the pickles asked for so far.
        found: the object in it, with a tensor for each id.
    """

    def __init__(self) -> None:
        self.names: List[inert.Pair] = []
        self.found: Any = None
        self._known: Dict[Any, inert.View] = {}
        self._storages: Dict[Any, Storage] = {}

    def read(self, content: bytes) -> None:
        """Read as far as it goes; raises whatever the archive or its pickles make it."""
        with tarfile.open(fileobj=_File(content), mode="r:") as archive:
            self._read_storages(_member(archive, "storages"))
            self._read_tensors(_member(archive, "tensors"))
            file = _member(archive, "pickle")
        self.found = self._next(file, lambda saved: self._known[int(saved)])

    def _next(self, file: io.BytesIO, persistent: Any = None) -> Any:
        reader = _Unpickler(file)
        if persistent is not None:
            reader.persistent_load = persistent  # type: ignore[method-assign]
        try:
            return reader.load()
        finally:
            self.names += reader.names

    def _read_storages(self, file: io.BytesIO) -> None:
        for _ in range(min(self._next(file), _MOST)):
            key, _, kind = self._next(file)
            dtype = kind._dtype
            count = int.from_bytes(_exactly(file, 8), "little", signed=True)
            data = _exactly(file, count * dtype.itemsize)
            self._storages[key] = Storage(data, dtype)
        for target, root, offset, count in self._next(file):
            data, dtype = self._storages[root]
            begin, end = (dtype.itemsize * place for place in (offset, offset + count))
            self._storages[target] = Storage(data[begin:end], dtype)

    def _read_tensors(self, file: io.BytesIO) -> None:
        for _ in range(min(self._next(file), _MOST)):
            key, storage, _ = self._next(file)
            (dimensions, _) = struct.unpack("<ii", _exactly(file, 8))
            form = f"<{dimensions}q"
            shape = struct.unpack(form, _exactly(file, 8 * dimensions))
            strides = struct.unpack(form, _exactly(file, 8 * dimensions))
            (offset,) = struct.unpack("<q", _exactly(file, 8))
            self._known[key] = inert.View(self._storages[storage], offset, shape, strides)


def _member(archive: tarfile.TarFile, name: str) -> io.BytesIO:
    file = archive.extractfile(name)
    return io.BytesIO(file.read(_MOST) if file else b"")


def _exactly(file: io.BytesIO, size: int) -> bytes:
    data = file.read(size) if size >= 0 else b""
    if len(data) != size:
        raise pickle.UnpicklingError("too few bytes")
    return data
