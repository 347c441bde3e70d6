"""Values that differ as the text that a report has, within bounds."""

from __future__ import annotations

import json
from functools import lru_cache
from hashlib import sha256
from typing import Dict, List, Sequence

from ckpttool.formats.objects.beside import key_part
from ckpttool.formats.objects.plain import Reader
from ckpttool.formats.pickles.nodes import Node, is_scalar

#: Characters of all values that differ; beyond them the sums of values stand for them.
MAX_TEXT = 100_000_000
# Characters of a value that costs nothing.
_SHORT = 256
# Characters of a key that is an object.
_LONGEST_PART = 200


class Texts:
    """Writes values as JSON, long ones once; nodes must outlive it."""

    def __init__(self) -> None:
        self._known: Dict[int, str] = {}
        self._room = MAX_TEXT

    def of(self, node: Node) -> str:
        """Return a value as text, or once there is no more room, the sum of its text."""
        if is_short(node):
            return _json(node)
        if id(node) not in self._known:
            text = _json(node)
            self._known[id(node)] = text if self._room >= 0 else _sum(text)
        return self._known[id(node)]

    def fitting(self, texts: Sequence[str | None]) -> List[str | None]:
        """Return texts as they are while there is room for them, then the sums of long ones."""
        self._room -= sum(len(text) for text in texts if text is not None)
        if self._room >= 0:
            return list(texts)
        return [text if text is None or len(text) < _SHORT else _sum(text) for text in texts]


def is_short(node: Node) -> bool:
    """Whether it costs nothing to compare a value, or to write it."""
    if isinstance(node, (str, bytes)):
        return len(node) < _SHORT
    return is_scalar(node)


def part_of(name: Node) -> str:
    """Return a key as a part of a dotted key that no other key has."""
    part = key_part(name)
    if not part.startswith("<") or is_scalar(name):
        return part
    text = _json(name)
    if len(text) > _LONGEST_PART:
        text = f"{text[:_LONGEST_PART]} sha256:{sha256(text.encode()).hexdigest()}"
    return text


@lru_cache(maxsize=1024)
def _sum(text: str) -> str:
    return json.dumps({"$sha256": sha256(text.encode("utf-8", "surrogatepass")).hexdigest()})


def _json(node: Node) -> str:
    return json.dumps(Reader(exact=True).read("", node).value, sort_keys=True)
