"""A safetensors file, against the library of the format: length, header, tensors."""

from __future__ import annotations

import json
import struct
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Dict, Sequence

from safetensors import SafetensorError, deserialize

from ckpttool.files.sources import MemorySource
from ckpttool.findings.errors import CkpttoolError
from ckpttool.formats import open_source
from ckpttool.tensors.dtypes import SAFETENSORS_DTYPES
from tests.builders import safetensors as files
from tests.fuzzing.mutations import raw, trees
from tests.fuzzing.parser import ViolationError
from tests.fuzzing.tensors import Content, contents, held_to

if TYPE_CHECKING:
    from random import Random

NAME = "header"


@lru_cache(maxsize=None)
def seeds() -> Sequence[bytes]:
    """Return good files."""
    return (files.file(), files.sharing({"a": 3, "b": 0, "c": 5}, {"format": "pt"}))


def mutate(content: bytes, random: Random) -> bytes:
    """Change the header as JSON, or the file as bytes."""
    if random.random() < 0.3:
        return raw.mutate(content, random)
    length = int.from_bytes(content[:8], "little")
    header, data = content[8 : 8 + length], content[8 + length :]
    try:
        tree = json.loads(header)
    except (ValueError, RecursionError):
        header = raw.mutate(header, random)
    else:
        header = trees.text_of(trees.mutate(tree, random), random)
    return struct.pack("<Q", len(header)) + header + data


def read(content: bytes) -> object:
    """Catalogue the file and read its tensors."""
    return contents(open_source(MemorySource(content, "model.safetensors"), None))


def compare(content: bytes, said: object | CkpttoolError) -> str:
    """Hold the tensors to those of the library."""
    if isinstance(said, CkpttoolError):
        return "refused here"
    try:
        theirs = {name: _content(tensor) for name, tensor in deserialize(content)}  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        raise ViolationError(f"the library refuses it: {error}") from None
    assert isinstance(said, dict)
    return held_to(said, theirs)


def _content(tensor: Dict[str, Any]) -> Content:
    return SAFETENSORS_DTYPES[tensor["dtype"]].name, tuple(tensor["shape"]), bytes(tensor["data"])
