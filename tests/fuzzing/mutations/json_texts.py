"""Changes to a JSON text: to what it says, to its tokens, to its bytes; and much of one thing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Callable, Tuple

from tests.fuzzing.budget import LARGEST
from tests.fuzzing.mutations import raw, tokens, trees

if TYPE_CHECKING:
    from random import Random

#: Longer texts are not taken apart: that costs more than reading them.
_LONG = 65_536
#: How often a text is made long, and how often as long as inputs may be.
_GROWS, _GROWS_WHOLLY = 1 / 2_000, 1 / 40_000


def mutate(text: bytes, random: Random) -> bytes:
    """Return the text with one change."""
    kind = random.random()
    if kind < _GROWS:
        most = LARGEST if kind < _GROWS_WHOLLY else 200_000
        return grow(text, random, most)
    if kind < 0.12 or len(text) > 2 * LARGEST:
        return raw.mutate(text, random)
    if kind < 0.5 or len(text) > _LONG:
        return tokens.mutate(text, random)
    return in_tree(text, random)


def in_tree(
    text: bytes, random: Random, change: Callable[[object, Random], object] = trees.mutate
) -> bytes:
    """Change what the text says; a text that says nothing has its tokens changed."""
    try:
        return trees.text_of(change(json.loads(text), random), random)
    except (ValueError, OverflowError, RecursionError):
        return tokens.mutate(text, random)


def grow(text: bytes, random: Random, most: int) -> bytes:
    """Put much of one thing in the place of a value, up to ``most`` bytes in all."""
    room = max(most - len(text), 16)
    value = random.choice(_MUCH)(room)
    colons = [at for at in range(min(len(text), _LONG)) if text[at] in b":[,"]
    if not colons or random.random() < 0.1:
        return value
    at = random.choice(colons) + 1
    return text[:at] + value + (text[at:] if random.random() < 0.5 else b"," + text[at:])


def _keys(room: int) -> bytes:
    pairs = b",".join(b'"%x":0' % number for number in range(room // 10))
    return b"{%s}" % pairs


def _nested(room: int) -> bytes:
    pairs = b",".join(b'"%x":{"a":[%d]}' % (number, number) for number in range(room // 24))
    return b"{%s}" % pairs


def _texts(room: int) -> bytes:
    return b"[%s]" % b",".join(b'"w%x"' % number for number in range(room // 10))


_MUCH: Tuple[Callable[[int], bytes], ...] = (
    *(_keys, _nested, _texts),
    lambda room: b"[" * room,
    lambda room: b'{"":' * (room // 4),
    lambda room: b"[" * (room // 2) + b"]" * (room // 2),
    lambda room: b'"%s"' % (b"w" * room),
    lambda room: b'"%s"' % (b"\\u202e" * (room // 6)),
    lambda room: b'"%s"' % (b"\\" * room),
    lambda room: b"9" * room,
    lambda room: b"-1" + b"0" * room,
    lambda room: b"0." + b"9" * room,
    lambda room: b"1e" + b"9" * room,
    lambda room: b" " * room,
    lambda room: b"[%s]" % (b"0," * (room // 2)),
    lambda room: b"[%s0]" % (b"{}," * (room // 3)),
    lambda room: b"{%s}" % (b'"a":0,' * (room // 6)),
)
