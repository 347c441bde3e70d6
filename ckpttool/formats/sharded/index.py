"""The index of a sharded checkpoint: strict JSON, with plain names of files beside it."""

from __future__ import annotations

import json
import re
from contextlib import closing
from typing import Any, NamedTuple

from ckpttool.files.sources import ByteSource, FileSource, read_bytes
from ckpttool.files.strict_json import MAX_JSON, begins_object, strict_json
from ckpttool.files.suffixes import is_called_index
from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError, MalformedError, UnsupportedError
from ckpttool.findings.text import is_encodable, printable, some_of
from ckpttool.formats.foreign.answers import answer_in_json
from ckpttool.formats.safetensors.header import MAX_TENSORS
from ckpttool.tensors.catalogue import Entry

#: Files of one checkpoint, each of which is opened.
MAX_SHARDS = 20_000

_SHOWN = 20
_HEAD = 64  # bytes that show whether a file begins as JSON
# Only a plain file name: no separator of any system, no drive or stream, no control characters.
_UNSAFE_FILE = re.compile(r"[\x00-\x1f\x7f-\x9f/\\:]|^\.{0,2}$")


class Index(NamedTuple):
    """The content of an index.

    Attributes:
        weight_map: tensor to file name, in the order of the index.
        total_size: the stated bytes of all tensors, as JSON text; ``None`` if not stated.
        metadata: its ``metadata`` object.
        entries: the same for the report.
    """

    weight_map: dict[str, str]
    total_size: str | None
    metadata: dict[str, object]
    entries: tuple[Entry, ...]


def read_index(source: ByteSource) -> Index:
    """Read the index, without its shards.

    Raises:
        MalformedError: not strict JSON, a repeated key, a field of the wrong type, a name
            that is not a plain file name, or more of anything than the limit.
        UnsupportedError: JSON or another text, but not an index of shards.
    """
    try:
        document: Any = strict_json(source, rules.SHARD_INDEX)
    except MalformedError as error:
        # a text that begins with a brace is no broken index, unless name or content says so
        if is_called_index(source.name) or _mentions_weight_map(source):
            raise
        raise _no_index("text that begins as JSON does") from error
    if not _has_weight_map(document):
        raise _answer(document) or _no_index("a JSON file")
    weight_map = document["weight_map"]
    metadata = document.get("metadata")
    if metadata is None:
        metadata = {}
    if not isinstance(weight_map, dict) or not isinstance(metadata, dict):
        raise _bad("weight_map or metadata is not an object")
    if not weight_map:
        raise _bad("weight_map is empty")
    _check_files(weight_map)
    stated = json.dumps(metadata["total_size"])[:80] if "total_size" in metadata else None
    return Index(weight_map, stated, metadata, tuple(_entries(metadata)))


def is_index(source: ByteSource, head: bytes) -> bool:
    """Whether a file that starts with ``head`` is an index, or a broken one."""
    if source.size > MAX_JSON or not begins_object(head) or not _mentions_weight_map(source):
        return False
    try:
        return _has_weight_map(strict_json(source, rules.SHARD_INDEX))
    except CkpttoolError:  # opening it as a checkpoint reports the error
        return True


def files_listed(path: str) -> tuple[str, ...]:
    """Return the names of files that the index at a path lists, in its order, each once.

    Empty if it cannot be read as an index, which opening it reports. The names are not checked,
    and not joined with the index's folder.
    """
    try:
        with closing(FileSource(path)) as source:
            if not begins_object(read_bytes(source, 0, min(source.size, _HEAD))):
                return ()
            document: Any = strict_json(source, rules.SHARD_INDEX)
    except CkpttoolError:
        return ()
    weight_map = document["weight_map"] if _has_weight_map(document) else None
    files = weight_map.values() if isinstance(weight_map, dict) else ()
    return tuple(dict.fromkeys(file for file in files if isinstance(file, str)))


def _has_weight_map(document: Any) -> bool:
    return isinstance(document, dict) and "weight_map" in document


def _mentions_weight_map(source: ByteSource) -> bool:
    # far faster than parsing, and most JSON files of a folder are no indexes
    return b'"weight_map"' in read_bytes(source, 0, min(source.size, MAX_JSON))


def _no_index(what: str) -> UnsupportedError:
    return UnsupportedError(
        f"{what}, but not an index of shards: it has no weight_map",
        rules.UNKNOWN_FORMAT,
        fix="Name a checkpoint file or its index.",
    )


def _answer(document: object) -> UnsupportedError | None:
    """Return the error for a JSON document that an interface answered in place of a file."""
    answer = answer_in_json(document)
    if answer is None:
        return None
    what = f"the file is {answer.what}, not a checkpoint"
    return UnsupportedError(what, rules.UNKNOWN_FORMAT, fix=answer.fix)


def _check_files(weight_map: dict[str, object]) -> None:
    files = set()
    unsafe = []
    for name, file in weight_map.items():
        if not isinstance(file, str):
            raise _bad("a file name is not a string", tensor=name)
        if file not in files and (_UNSAFE_FILE.search(file) or not is_encodable(file)):
            unsafe.append(printable(file))
        files.add(file)
    if unsafe:
        raise _bad(f"not the plain name of a file beside the index: {some_of(unsafe, _SHOWN)}")
    if len(files) > MAX_SHARDS or len(weight_map) > MAX_TENSORS:
        raise MalformedError(
            "the index lists more than the limit",
            rules.LIMIT,
            expected=f"at most {MAX_SHARDS:,} files and {MAX_TENSORS:,} tensors",
            found=f"{len(files):,} files and {len(weight_map):,} tensors",
        )


def _entries(metadata: dict[str, object]) -> list[Entry]:
    plain = (str, int, float)
    return [
        Entry(
            f"metadata.{key}",
            type(value).__name__,
            printable(str(value)) if isinstance(value, plain) else "",
        )
        for key, value in metadata.items()
    ]


def _bad(message: str, tensor: str | None = None) -> MalformedError:
    return MalformedError(message, rules.SHARD_INDEX, tensor=tensor)
