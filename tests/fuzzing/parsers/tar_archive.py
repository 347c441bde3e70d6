"""The tar of torch's first releases, against tarfile and torch.load with an inert unpickler."""

from __future__ import annotations

import io
import tarfile
import zlib
from functools import lru_cache
from typing import TYPE_CHECKING, Dict, NamedTuple, Sequence, Tuple

import torch

from ckpttool.files.sources import MemorySource
from ckpttool.findings.errors import CkpttoolError
from ckpttool.formats import open_source
from ckpttool.formats.archives.tar import read_members
from tests.builders import torch_files as files
from tests.fuzzing.mutations import tars as changes
from tests.fuzzing.parser import ViolationError
from tests.fuzzing.parsers.tar_contents import contents as told
from tests.fuzzing.references import inert
from tests.fuzzing.references.restoring import content_of
from tests.fuzzing.references.tars import Reader, load, tensor_of
from tests.fuzzing.tensors import Content, contents, held_to

if TYPE_CHECKING:
    from random import Random

NAME = "tar"

_PATH = "model.pth"


class Read(NamedTuple):
    """What ckpttool says of a file: tensors, where they lie, names used for more than data."""

    tensors: Dict[str, Content] | None
    wrapper: str
    whole: bool
    names: Tuple[str, ...]


@lru_cache(maxsize=None)
def seeds() -> Sequence[bytes]:
    """Return archives with and without extended headers, with views and of GNU's kind."""
    plain = b"".join(
        files.tar_member(name, data)
        for name, data in (
            ("storages", files.tar_storages()),
            ("tensors", files.tar_tensors()),
            ("pickle", files.tar_pickle()),
        )
    )
    return (plain + bytes(1024), files.torch_tar())


def mutate(content: bytes, random: Random) -> bytes:
    """Change a header, a member or what the members say."""
    return changes.mutate(content, random, told)


def read(content: bytes) -> Read:
    """Catalogue the archive and read its tensors."""
    checkpoint = open_source(MemorySource(content, _PATH), None)
    names = tuple(use.name for use in checkpoint.uses)
    whole = not (checkpoint.outside or checkpoint.unread or checkpoint.in_parts)
    return Read(contents(checkpoint), checkpoint.wrapper or "", whole, names)


def compare(content: bytes, said: object | CkpttoolError) -> str:
    """Hold members to those of tarfile, tensors to those of torch.load."""
    if isinstance(said, CkpttoolError):
        return _refused(content, said)
    assert isinstance(said, Read)
    _as_tarfile(content)
    if said.names:
        return "more than data is called"
    if said.tensors is None:
        return "too large"
    try:
        if zlib.crc32(content) % 16:
            reader = Reader()
            reader.read(content)
            loaded = reader.found
        else:
            loaded = load(content)
    except Exception as error:  # noqa: BLE001 (whatever it is)
        raise ViolationError(f"torch.load refuses it: {error!r}") from None
    theirs = {name: _content(one) for name, one in inert.tensors_in(loaded).items()}
    before = f"{said.wrapper}." if said.wrapper else ""
    ours = {f"{before}{name}": one for name, one in said.tensors.items()}
    if not said.whole:
        theirs = {name: one for name, one in theirs.items() if name in ours}
    return held_to(ours, theirs)


def _as_tarfile(content: bytes) -> None:
    """Hold names, kinds and bytes of all members to those of tarfile."""
    ours = {
        name: content[offset : offset + size]
        for name, (offset, size) in read_members(MemorySource(content, _PATH)).items()
    }
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
            theirs = {}
            for member in archive.getmembers():
                found = archive.extractfile(member) if member.isreg() else None
                theirs[member.name] = None if found is None else found.read()
    except (tarfile.TarError, OSError) as error:
        raise ViolationError(f"tarfile refuses it: {error!r}") from None
    if ours != theirs:
        raise ViolationError(f"tarfile has other members: {list(theirs)} for {list(ours)}")


def _content(one: torch.Tensor | inert.View) -> Content:
    found = content_of(tensor_of(one) if isinstance(one, inert.View) else one)
    assert found is not None
    return found


def _refused(content: bytes, said: CkpttoolError) -> str:
    """Demand that code which torch would run is named although the archive is refused."""
    reader = Reader()
    try:
        reader.read(content)
    except tarfile.TarError:
        if not reader.names:
            return "refused here and by tarfile"
    except Exception:  # noqa: BLE001, S110 (as far as it comes)
        pass
    if ("os", "system") in reader.names and not any("system" in use.name for use in said.uses):
        raise ViolationError(f"torch would call os.system, which is not said: {said!r}")
    return "refused here"
