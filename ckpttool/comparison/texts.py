"""Differing values as text for a report, within bounds."""

from __future__ import annotations

import json
from functools import lru_cache
from hashlib import sha256
from typing import Dict, List, Sequence

from ckpttool.formats.objects.beside import key_part
from ckpttool.formats.objects.plain import Reader
from ckpttool.formats.pickles.nodes import Node, is_scalar

#: Characters of all differing values; beyond that, checksums stand for long ones. A file may refer
#: to one long value under a million keys.
MAX_TEXT = 100_000_000
# Up to this many characters, comparing and writing a value costs less than remembering it.
_SHORT = 256
# Characters of a key that is an object: more would fill a line of the report.
_LONGEST_PART = 200


class Texts:
    """Writes values as JSON, long ones once. Nodes are known by id and must outlive it."""

    def __init__(self) -> None:
        self._known: Dict[int, str] = {}
        self._room = MAX_TEXT

    def of(self, node: Node) -> str:
        """Return a value as text, or the checksum of its text once there is no more room."""
        if is_short(node):
            return json_of(node)
        if id(node) not in self._known:
            text = json_of(node)
            self._known[id(node)] = text if self._room >= 0 else _sum(text)
        return self._known[id(node)]

    def fitting(self, texts: Sequence[str | None]) -> List[str | None]:
        """Return texts unchanged while there is room, then with checksums for long ones."""
        self._room -= sum(len(text) for text in texts if text is not None)
        if self._room >= 0:
            return list(texts)
        return [text if text is None or len(text) < _SHORT else _sum(text) for text in texts]


def is_short(node: Node) -> bool:
    """Whether a value is cheap to compare and to write."""
    if isinstance(node, (str, bytes)):
        return len(node) < _SHORT
    return is_scalar(node)


def part_of(name: Node) -> str:
    """Return a key as a part of a dotted key that no other key has."""
    part = key_part(name)
    # key_part writes an object as its class in angle brackets, which several keys may share.
    if not part.startswith("<") or is_scalar(name):
        return part
    text = json_of(name)
    if len(text) > _LONGEST_PART:
        text = f"{text[:_LONGEST_PART]} sha256:{sha256(text.encode()).hexdigest()}"
    return text


@lru_cache(maxsize=1024)
def _sum(text: str) -> str:
    return json.dumps({"$sha256": sha256(text.encode("utf-8", "surrogatepass")).hexdigest()})


def json_of(node: Node) -> str:
    """Return a value as JSON that is the same for the same value."""
    return json.dumps(Reader(exact=True).read("", node).value, sort_keys=True)
