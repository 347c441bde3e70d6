"""Changes to a text of lines, whose words stand between single spaces."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Callable, List, Tuple

from tests.fuzzing.mutations import raw, tokens

if TYPE_CHECKING:
    from random import Random

#: What stands for a number in some readers.
_NUMBERS = (
    *(b"nan", b"inf", b"-inf", b"1e999", b"-0", b"+1", b"1_0", b"0x10", b"1e-400", b"007", b"none"),
    *(b"\xd9\xa1", b"1.", b".5", b"1e5", b"infinity", b"9" * 19, b"9" * 5_000, b"1 ", b"", b"2"),
)
_BETWEEN = (b" ", b"  ", b"\t", b"\r", b"\x0b", b"\x0c", b"\x1c", b"\x85", b"\xc2\xa0", b"\0", b"#")
_ENDS = (
    b"\n",
    b"\r\n",
    b"\r",
    b"\n\n",
    b"\n \n",
    b"\n#\n",
    b"\x0c",
    b"\x1e",
    b"\n\xef\xbb\xbf",
    b"",
)
_WORD = re.compile(rb'"(?:[^"\\]|\\.)*"|[^ "\r\n]+')
_PATHS = (b".", b"..", b"../x", b"/x", b"a/..", b'""', b"x/y", b"./model.safetensors", b"~")
_SHAPES = (b"[]", b"[0]", b"[2,3]", b"[02]", b"[2,]", b"[-1]", b"[2, 3]", b"2", b"[1e2]", b"[[2]]")
#: Longer texts are changed as bytes, or grow.
_LONG = 65_536
_GROWS, _GROWS_WHOLLY = 1 / 2_000, 1 / 40_000

_Lines = List[bytes]


def mutate(text: bytes, random: Random) -> bytes:
    """Return the text with one change."""
    kind = random.random()
    if kind < _GROWS:
        return grow(text, random, 9_900_000 if kind < _GROWS_WHOLLY else 200_000)
    if kind < 0.1 or len(text) > _LONG:
        return raw.mutate(text, random)
    found = text.splitlines(keepends=True) or [b"\n"]
    random.choice(_CHANGES)(found, random)
    return b"".join(found)


def grow(text: bytes, random: Random, most: int) -> bytes:
    """Repeat a line, a word or a character until there is much of it."""
    found = text.splitlines(keepends=True) or [b"\n"]
    at = random.randrange(len(found))
    line = found[at]
    number = most // max(len(line), 1)
    change = random.randrange(4)
    if change == 0:
        found[at] = line * number
    elif change == 1:  # lines that are told apart
        found[at] = b"".join(_named(line, place) for place in range(most // (len(line) + 8)))
    elif change == 2:
        word = random.choice(_WORD.findall(line) or [b"x"])
        found[at] = line.replace(word, (word + b" ") * (most // (len(word) + 1)), 1)
    else:
        word = random.choice(_WORD.findall(line) or [b"x"])
        filler = random.choice((b"9", b"x", b"\\", b'"', b"[", b",", b"\\u0061"))
        found[at] = line.replace(word, word + filler * (most // len(filler)), 1)
    return b"".join(found)


def _named(line: bytes, place: int) -> bytes:
    first, space, rest = line.partition(b" ")
    return first + space + (b"%x." % place if space else b"") + rest


def _word_of(found: _Lines, random: Random) -> Tuple[int, int, int]:
    """Return a line, and where a word of it begins and ends."""
    at = random.randrange(len(found))
    words = list(_WORD.finditer(found[at]))
    if not words:
        return at, 0, 0
    start, end = random.choice(words).span()
    return at, start, end


def _put(found: _Lines, random: Random, change: Callable[[bytes], bytes]) -> None:
    at, start, end = _word_of(found, random)
    line = found[at]
    found[at] = line[:start] + change(line[start:end]) + line[end:]


def _digit(found: _Lines, random: Random) -> None:
    """Change one character of a word to another of its kind."""

    def change(word: bytes) -> bytes:
        if not word:
            return word
        at = random.randrange(len(word))
        other = random.choice((b"0", b"1", b"9", b"a", b"f", b"F", b"z", b".", word[at : at + 1]))
        return word[:at] + other + word[at + 1 :]

    _put(found, random, change)


def _other_word(found: _Lines, random: Random) -> None:
    """Put the word of another line, at the same place, in the place of a word."""
    at, start, end = _word_of(found, random)
    other = random.choice(found)
    words = _WORD.findall(other)
    place = len(_WORD.findall(found[at][:start]))
    word = words[place] if place < len(words) else random.choice(words or [b"x"])
    found[at] = found[at][:start] + word + found[at][end:]


def _number(found: _Lines, random: Random) -> None:
    new = random.choice((*_NUMBERS, *_SHAPES, *_PATHS, b"%d" % raw.edge(random)))
    _put(found, random, lambda _: new)


def _spelled(found: _Lines, random: Random) -> None:
    """Spell a word as a JSON string, at times with an escape; or in the other case."""

    def change(word: bytes) -> bytes:
        if word[:1] == b'"':
            return random.choice((tokens.escaped(word, random), word[1:-1], word[:-1], word + b'"'))
        quoted = b'"' + word + b'"'
        return random.choice((quoted, tokens.escaped(quoted, random), word.upper(), word + word))

    _put(found, random, change)


def _between(found: _Lines, random: Random) -> None:
    at, start, end = _word_of(found, random)
    where = random.choice((start, end))
    found[at] = found[at][:where] + random.choice(_BETWEEN) + found[at][where:]


def _drop_word(found: _Lines, random: Random) -> None:
    at, start, end = _word_of(found, random)
    found[at] = found[at][: max(start - 1, 0)] + found[at][end:]


def _end(found: _Lines, random: Random) -> None:
    at = random.randrange(len(found))
    found[at] = found[at].rstrip(b"\r\n") + random.choice(_ENDS)


def _drop(found: _Lines, random: Random) -> None:
    del found[random.randrange(len(found))]


def _twice(found: _Lines, random: Random) -> None:
    found.insert(random.randrange(len(found) + 1), random.choice(found))


def _move(found: _Lines, random: Random) -> None:
    line = found.pop(random.randrange(len(found)))
    found.insert(random.randrange(len(found) + 1), line)


def _swap(found: _Lines, random: Random) -> None:
    """Exchange the second words of two lines: of which the rest is said."""
    one, other = random.randrange(len(found)), random.randrange(len(found))
    first, second = found[one].split(b" ", 2), found[other].split(b" ", 2)
    if len(first) == len(second) == 3:
        first[1], second[1] = second[1], first[1]
        found[one], found[other] = b" ".join(first), b" ".join(second)


def _cut(found: _Lines, random: Random) -> None:
    start, end = sorted(random.randrange(len(found) + 1) for _ in range(2))
    if random.random() < 0.5:
        del found[start:end]
    else:
        found[start:start] = found[start:end]


_CHANGES: Tuple[Callable[[_Lines, Random], None], ...] = (
    *(_digit, _digit, _digit, _other_word, _other_word, _number, _number, _spelled, _spelled),
    *(_between, _drop_word, _end, _drop, _twice, _move, _swap, _swap, _cut),
)
