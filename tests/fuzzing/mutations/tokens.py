"""Changes to how JSON is spelled: tokens, whatever they stand for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Callable, List, Tuple

if TYPE_CHECKING:
    from random import Random

#: Spellings of numbers, of which few are whole and some are none of JSON.
NUMBERS: Tuple[bytes, ...] = (
    *(b"-0", b"00", b"01", b"1.0", b"1e0", b"1E2", b"0e0", b"+1", b"1_0", b".5", b"5.", b"0x10"),
    *(b"1e400", b"-1e400", b"1e-400", b"NaN", b"Infinity", b"-Infinity", b"nan", b"inf", b"--1"),
    *(b"9223372036854775807", b"9223372036854775808", b"18446744073709551616", b"-1", b"1e", b"-"),
    *(b"9" * 20, b"9" * 400, b"1" + b"0" * 5_000, b"0." + b"1" * 400, b"true", b"null"),
)
#: What a text may hold without being changed by some readers, or at all.
_INSIDE: Tuple[bytes, ...] = (
    *(b"\\u0000", b"\\ud800", b"\\udc00", b"\\ud83d\\ude00", b"\\ude00\\ud83d", b"\\u202e", b"\\/"),
    *(b'\\"', b"\\\\", b"\\n", b"\\b", b"\\x41", b"\\u12", b"\\uD8", b"\\", b"\0", b"\n", b"\x7f"),
    *(
        b"\xff",
        b"\xc0\x80",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xe2\x80\xae",
        b"\xf0\x9f\x98\x80",
    ),
)
_BLANKS: Tuple[bytes, ...] = (
    b" ",
    b"\t",
    b"\r\n",
    b"\n",
    b"   ",
    b"\x0b",
    b"\x0c",
    b"\xc2\xa0",
    b"\0",
)
_AROUND: Tuple[bytes, ...] = (
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"//x\n",
    b"/**/",
    b"{}",
    b"[]",
    b",",
    b"\0",
)
_MARKS: Tuple[bytes, ...] = (b"{", b"}", b"[", b"]", b",", b":", b'"', b"{}", b"[]", b",,", b"'")
# Longer texts are changed near one place: to take all of them apart would take too long.
_WINDOW = 16_384

_TOKEN = re.compile(
    rb'"(?:[^"\\]|\\.)*"|[-+.0-9][-+.0-9a-zA-Z_]*|[A-Za-z]+|[ \t\r\n]+|.', re.DOTALL
)
_Tokens = List[bytes]


def mutate(text: bytes, random: Random) -> bytes:
    """Return the text with one change to its tokens."""
    start = random.randrange(len(text) - _WINDOW) if len(text) > _WINDOW else 0
    before, part, after = text[:start], text[start : start + _WINDOW], text[start + _WINDOW :]
    tokens = _TOKEN.findall(part)
    random.choice(_CHANGES)(tokens, random)
    return before + b"".join(tokens) + after


def escaped(quoted: bytes, random: Random) -> bytes:
    """Return a string of JSON in which one character is spelled by its number."""
    plain = [at for at in range(1, len(quoted) - 1) if quoted[at] < 0x80 and quoted[at] != 0x5C]
    plain = [at for at in plain if quoted[at - 1] != 0x5C]
    if not plain:
        return quoted
    at = random.choice(plain)
    code = random.choice((b"\\u%04x", b"\\u%04X")) % quoted[at]
    return quoted[:at] + code + quoted[at + 1 :]


def _places(tokens: _Tokens, random: Random, first: bytes) -> int | None:
    """Return the place of one of the tokens that begin with one of these bytes."""
    found = [place for place, token in enumerate(tokens) if token[:1] in first]
    return random.choice(found) if found else None


def _escape(tokens: _Tokens, random: Random) -> None:
    at = _places(tokens, random, b'"')
    if at is not None:
        tokens[at] = escaped(tokens[at], random)


def _fill(tokens: _Tokens, random: Random) -> None:
    """Put something odd into a string."""
    at = _places(tokens, random, b'"')
    if at is not None:
        text = tokens[at]
        where = random.randrange(1, max(len(text), 2))
        tokens[at] = text[:where] + random.choice(_INSIDE) + text[where:]


def _respell(tokens: _Tokens, random: Random) -> None:
    at = _places(tokens, random, b"-0123456789")
    if at is not None:
        old = tokens[at]
        tokens[at] = random.choice((*NUMBERS, old + b".0", old + b"e0", b"0" + old, b"-" + old))


def _repeat_pair(tokens: _Tokens, random: Random) -> None:
    """Write a key and its value a second time, the key as it is or with an escape."""
    keys = [at for at, token in enumerate(tokens) if token == b":" and tokens[at - 1][:1] == b'"']
    if not keys:
        return
    at = random.choice(keys)
    end = _end_of_value(tokens, at + 1)
    key = random.choice((tokens[at - 1], escaped(tokens[at - 1], random)))
    again = [key, b":", *tokens[at + 1 : end], b","]
    where = random.choice((at - 1, random.choice(keys) - 1))
    tokens[where:where] = again


def _end_of_value(tokens: _Tokens, start: int) -> int:
    depth = 0
    for at in range(start, len(tokens)):
        token = tokens[at]
        if token in b"{[" and len(token) == 1:
            depth += 1
        elif token in b"}]" and len(token) == 1:
            depth -= 1
        if depth < 0 or (not depth and token == b","):
            return at
    return len(tokens)


def _change_mark(tokens: _Tokens, random: Random) -> None:
    at = _places(tokens, random, b"{}[],:")
    if at is not None:
        new = random.choice((b"", *_MARKS))
        tokens[at] = random.choice((new, tokens[at] + new, new + tokens[at]))


def _exchange(tokens: _Tokens, random: Random) -> None:
    if tokens:
        one, other = random.randrange(len(tokens)), random.randrange(len(tokens))
        tokens[one], tokens[other] = tokens[other], tokens[one]


def _drop(tokens: _Tokens, random: Random) -> None:
    if tokens:
        del tokens[random.randrange(len(tokens))]


def _space(tokens: _Tokens, random: Random) -> None:
    tokens.insert(random.randrange(len(tokens) + 1), random.choice(_BLANKS))


def _surround(tokens: _Tokens, random: Random) -> None:
    tokens.insert(random.choice((0, len(tokens))), random.choice(_AROUND))


def _deepen(tokens: _Tokens, random: Random) -> None:
    """Nest a value as deeply as no writer does; at times without an end."""
    at = _places(tokens, random, b'"-0123456789[{')
    if at is not None:
        deep = random.choice((1, 3, 90, 110, 130, 1_100, 20_000))
        begin, end = random.choice(((b"[", b"]"), (b'{"w":', b"}"), (b"[", b""), (b'{"w":', b"")))
        tokens.insert(_end_of_value(tokens, at), end * deep)
        tokens.insert(at, begin * deep)


def _shuffle(tokens: _Tokens, random: Random) -> None:
    """Cut the tokens, or move some of them."""
    one, other = sorted(random.randrange(len(tokens) + 1) for _ in range(2))
    part = tokens[one:other]
    if random.random() < 0.3:
        tokens[one:] = []
    else:
        tokens[one:other] = []
        at = random.randrange(len(tokens) + 1)
        tokens[at:at] = part


_CHANGES: Tuple[Callable[[_Tokens, Random], None], ...] = (
    *(_escape, _escape, _fill, _fill, _respell, _respell, _repeat_pair, _change_mark, _change_mark),
    *(_exchange, _drop, _space, _space, _surround, _deepen, _shuffle),
)
