"""The index file by itself: strict JSON, and names that can only mean files beside it."""

from __future__ import annotations

import json
import os
import re
from contextlib import closing
from typing import NamedTuple, NoReturn

from ckpttool.files.sources import FileSource, read
from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError, MalformedError, UnsupportedError
from ckpttool.findings.text import printable
from ckpttool.formats.safetensors.header import MAX_TENSORS
from ckpttool.tensors.catalogue import Entry

#: Bytes of an index; a million tensors take about 110 million.
MAX_INDEX = 200_000_000
#: The same for an index that is not plain ASCII, whose text takes four times the memory.
MAX_WIDE_INDEX = 40_000_000
#: JSON values and keys of an index, two for each tensor. Each may take a hundred bytes.
MAX_VALUES = 3_000_000
#: Files of one checkpoint, each of which is opened.
MAX_SHARDS = 20_000

_PLAIN_NAME = re.compile(r"[\w.-]+")
_DIGITS = 19
_SHOWN = 20
# Only a plain file name: no separator of any system, no drive or stream, no control characters.
_UNSAFE_FILE = re.compile(r"[\x00-\x1f\x7f-\x9f/\\:]|^\.{0,2}$")


class Index(NamedTuple):
    """What an index says.

    Attributes:
        weight_map: tensor to file name, in the order of the index.
        total_size: what it states as the bytes of all tensors, as it is spelled; ``None`` if it
            states nothing.
        metadata: what the index says of itself, as JSON has it.
        entries: the same for the report.
    """

    weight_map: dict[str, str]
    total_size: str | None
    metadata: dict[str, object]
    entries: tuple[Entry, ...]


def read_index(source: FileSource) -> Index:
    """Return what the index says, before any shard is looked at.

    Raises:
        MalformedError: not strict JSON, a repeated key, a field of the wrong type, a name
            that is not a plain file name, or more of anything than is read.
        UnsupportedError: JSON or another text, but not an index of safetensors files.
    """
    try:
        document = strict_json(source)
    except MalformedError as error:
        if _may_be_index(source):
            raise
        raise UnsupportedError(
            "text that begins as JSON does, but not an index of shards: it has no weight_map",
            rules.UNKNOWN_FORMAT,
            fix="Name a checkpoint file or its index.",
        ) from error
    if not isinstance(document, dict) or "weight_map" not in document:
        raise UnsupportedError(
            "a JSON file, but not an index of shards: it has no weight_map",
            rules.UNKNOWN_FORMAT,
            fix="Name a checkpoint file or its index.",
        )
    weight_map = document["weight_map"]
    metadata = document.get("metadata")
    if metadata is None:
        metadata = {}
    if not isinstance(weight_map, dict) or not isinstance(metadata, dict):
        raise _bad("weight_map or metadata is not an object")
    if not weight_map:
        raise _bad("weight_map is empty")
    _check_files(weight_map, source.name)
    stated = json.dumps(metadata["total_size"])[:80] if "total_size" in metadata else None
    return Index(weight_map, stated, metadata, tuple(_entries(metadata)))


def _may_be_index(source: FileSource) -> bool:
    """Whether a text that is no JSON is meant for an index: lines of a log, say, are not."""
    if source.name.endswith(".index.json"):
        return True
    return b'"weight_map"' in read(source, 0, min(source.size, MAX_INDEX))


def files_listed(index: str) -> tuple[str, ...]:
    """Return the names of files that the index at a path lists, in its order, each once.

    None where it cannot be read as an index; whoever opens it says why. The names are as they
    stand there: not checked, and not joined with the index's folder.
    """
    try:
        with closing(FileSource(index)) as source:
            document = strict_json(source)
    except CkpttoolError:
        return ()
    weight_map = document.get("weight_map") if isinstance(document, dict) else None
    files = weight_map.values() if isinstance(weight_map, dict) else ()
    return tuple(dict.fromkeys(file for file in files if isinstance(file, str)))


def _check_files(weight_map: dict[str, object], path: str) -> None:
    files = set()
    unsafe = []
    for name, file in weight_map.items():
        if not isinstance(file, str):
            raise _bad("a file name is not a string", tensor=name)
        if file not in files and (_UNSAFE_FILE.search(file) or not _encodable(file)):
            unsafe.append(printable(file))
        files.add(file)
    if unsafe:
        more = f" and {len(unsafe) - _SHOWN:,} more" if len(unsafe) > _SHOWN else ""
        raise _bad(
            f"not the plain name of a file beside the index: {', '.join(unsafe[:_SHOWN])}{more}"
        )
    if len(files) > MAX_SHARDS or len(weight_map) > MAX_TENSORS:
        raise MalformedError(
            "the index lists more than is read of one",
            rules.LIMIT,
            expected=f"at most {MAX_SHARDS:,} files and {MAX_TENSORS:,} tensors",
            found=f"{len(files):,} files and {len(weight_map):,} tensors",
        )
    if all(file.endswith((".bin", ".pt", ".pth")) for file in files):
        raise UnsupportedError(
            "the index lists torch files, and only safetensors shards are read through an index",
            rules.UNSUPPORTED,
            fix=f"Join them, in their folder: {_joining(path)} Then name joined.pth.",
        )


def _joining(path: str) -> str:
    """Return the command that makes one file of torch shards."""
    name = os.path.split(path)[1]
    shown = name if _PLAIN_NAME.fullmatch(name) else "INDEX"
    return (
        f"python -c \"import json, torch; m = json.load(open('{shown}'))['weight_map']; "
        "torch.save({k: v for f in sorted(set(m.values())) for k, v in "
        "torch.load(f, map_location='cpu', weights_only=True).items()}, 'joined.pth')\"."
    )


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True


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


def strict_json(source: FileSource) -> object:
    """Parse the file as JSON that every reader takes for the same, within bounded memory.

    Raises:
        MalformedError: it is not strict JSON, or beyond the limits.
    """
    if source.size > MAX_INDEX:
        raise _too_long(source.size, MAX_INDEX)
    data = read(source, 0, source.size)
    if source.size > MAX_WIDE_INDEX and (b"\\u" in data or not data.isascii()):
        raise _too_long(source.size, MAX_WIDE_INDEX)
    if sum(data.count(mark) for mark in (b",", b":", b"[", b"{")) > MAX_VALUES:
        raise MalformedError("more values than are read of one file", rules.LIMIT)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise _bad("not UTF-8", offset=error.start) from error
    try:
        return json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
            parse_int=_bounded_int,
        )
    except json.JSONDecodeError as error:
        offset = len(text[: error.pos].encode(errors="replace"))
        if not text[error.pos :].strip() or "Unterminated string" in error.msg:
            raise MalformedError(
                "the file ends before its JSON does",
                rules.TRUNCATED,
                offset=source.size,
                found=f"{source.size:,} bytes",
            ) from error
        raise _bad(f"not valid JSON: {error.msg}", offset=offset) from error
    except RecursionError as error:
        raise MalformedError("nested too deeply", rules.LIMIT) from error


def _too_long(size: int, most: int) -> MalformedError:
    return MalformedError(
        "larger than what is read of such a file",
        rules.LIMIT,
        expected=f"at most {most:,} bytes",
        found=f"{size:,}",
    )


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    unique = dict(pairs)
    if len(unique) != len(pairs):
        seen: set[str] = set()
        twice = [key for key, _ in pairs if key in seen or seen.add(key)]  # type: ignore[func-returns-value]
        more = f" and {len(twice) - _SHOWN:,} more" if len(twice) > _SHOWN else ""
        raise MalformedError(
            f"keys stand twice in one object: {', '.join(map(printable, twice[:_SHOWN]))}{more}",
            rules.DUPLICATE_KEY,
        )
    return unique


def _no_constant(word: str) -> NoReturn:
    raise _bad(f"{word} is not JSON")


def _bounded_int(digits: str) -> int:
    if len(digits) > _DIGITS:
        raise _bad("a number of more than 64 bits", found=f"{len(digits)} digits")
    return int(digits)


def _bad(
    message: str,
    *,
    offset: int | None = None,
    tensor: str | None = None,
    found: object = None,
) -> MalformedError:
    return MalformedError(message, rules.SHARD_INDEX, offset=offset, tensor=tensor, found=found)
