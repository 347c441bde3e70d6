r"""Globs, and the short form of names, matched in the time that reading a name takes.

Names are a stranger's and may have 65,536 characters, of which a regular expression with several
``.*`` tries all combinations. Here a pattern is cut at its ``*``. What stands between two of them
is looked for from where the piece before ended, and ends as early as it can: if the rest does not
fit behind that, it fits nowhere.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Iterator, List, NamedTuple, Tuple

from ckpttool.findings.errors import UsageError

#: Characters of a pattern.
MOST_CHARACTERS = 100_000
# Digits of the numbers in a range, as reports print them.
_MOST_DIGITS = 15
# Patterns that one with wildcards in braces stands for.
_MOST_PATTERNS = 1_000

# An escaped character, alternatives in braces; in globs a set and a wildcard too. Read by one
# expression, since fnmatch has no braces and no escapes.
_BRACES = r"\\(?P<escaped>[{}\\])|\{(?P<alternatives>[^{}]*)\}"
_WILDCARDS = r"\[(?P<negated>!?)(?P<set>\]?[^\]]*)\]|(?P<wildcard>[*?])"
_NEVER = r"(?P<escaped>(?!))|(?P<alternatives>(?!))"
_NO_WILDCARDS = r"(?P<negated>(?!))|(?P<set>(?!))|(?P<wildcard>(?!))"
_SHORT_GLOB = re.compile(rf"{_BRACES}|{_WILDCARDS}|[^\\{{}}\[*?]+|.", re.DOTALL)
_SHORT = re.compile(rf"{_BRACES}|{_NO_WILDCARDS}|[^\\{{}}]+|.", re.DOTALL)
_GLOB = re.compile(rf"{_NEVER}|{_WILDCARDS}|[^\[*?]+|.", re.DOTALL)
_NUMBERS = re.compile(r"([0-9]+)(?:-([0-9]+))?")


class _Piece(NamedTuple):
    """What stands between two ``*``.

    Attributes:
        expression: without repetitions.
        longest: characters that it matches at most.
        varies: whether it may match fewer.
    """

    expression: re.Pattern[str]
    longest: int
    varies: bool

    def end_in(self, name: str, start: int, *, at_start: bool) -> int:
        """Return the first place at which a match that begins from ``start`` on may end, or -1."""
        find = self.expression.match if at_start else self.expression.search
        found, end = find(name, start), -1
        while found is not None:
            start, end = found.start(), found.end()
            found = find(name, start, end - 1) if self.varies and end > start else None
        return end

    def ends_with(self, name: str, start: int) -> bool:
        """Whether the name ends with a match that begins from ``start`` on."""
        first = max(start, len(name) - self.longest)
        places = range(first, len(name) + 1) if self.varies else (len(name) - self.longest,)
        return any(
            place >= start and self.expression.fullmatch(name, place) is not None
            for place in places
        )


class Glob(NamedTuple):
    """A pattern: any of several, each in pieces with ``*`` between them."""

    ways: Tuple[Tuple[_Piece, ...], ...]

    def matches(self, name: str) -> bool:
        """Whether it matches the whole name."""
        return any(_matches(pieces, name) for pieces in self.ways)


def _matches(pieces: Tuple[_Piece, ...], name: str) -> bool:
    if len(pieces) == 1:
        return pieces[0].expression.fullmatch(name) is not None
    end = pieces[0].end_in(name, 0, at_start=True)
    for piece in pieces[1:-1]:
        if end < 0:
            return False
        end = piece.end_in(name, end, at_start=False)
    return end >= 0 and pieces[-1].ends_with(name, end)


@lru_cache(maxsize=1024)
def glob_of(text: str) -> Glob:
    """Return a glob: ``*``, ``?`` and sets, and nothing else.

    Raises:
        UsageError: it is too long.
    """
    return _built([_GLOB.finditer(_checked(text))])


def short_of(text: str, globs: bool) -> Glob:
    """Return the pattern of one group of names; without ``globs``, wildcards match themselves.

    Raises:
        UsageError: it is too long, or stands for too many patterns.
    """
    _checked(text)
    tokens = _SHORT_GLOB if globs else _SHORT
    spread = [text]
    if globs:
        spread = _spread(text)
    return _built([tokens.finditer(one) for one in spread], globs=globs)


def _checked(text: str) -> str:
    if len(text) > MOST_CHARACTERS:
        raise _too_much(text, f"it has more than {MOST_CHARACTERS:,} characters")
    return text


def _too_much(text: str, why: str) -> UsageError:
    return UsageError(f"the pattern is too long: {why}", found=text[:80])


def _spread(text: str) -> List[str]:
    """Return patterns without ``*`` in braces that together are this one."""
    found = [""]
    for token in _SHORT_GLOB.finditer(text):
        inside = token["alternatives"]
        parts = [token.group()] if inside is None or "*" not in inside else inside.split(",")
        found = [f"{before}{part}" for before in found for part in parts]
        if len(found) > _MOST_PATTERNS:
            raise _too_much(text, f"it stands for more than {_MOST_PATTERNS:,} patterns")
    return found


def _built(ways: List[Iterator[re.Match[str]]], *, globs: bool = True) -> Glob:
    return Glob(tuple(_pieces(tokens, globs) for tokens in ways))


def _pieces(tokens: Iterator[re.Match[str]], globs: bool) -> Tuple[_Piece, ...]:
    pieces: List[List[Tuple[str, int, int]]] = [[]]
    for token in tokens:
        if token["wildcard"] == "*":
            if pieces[-1] or len(pieces) == 1:  # of several in a row one is enough
                pieces.append([])
        else:
            pieces[-1].append(_part(token, globs))
    return tuple(map(_piece, pieces))


def _piece(parts: List[Tuple[str, int, int]]) -> _Piece:
    shortest, longest = sum(part[1] for part in parts), sum(part[2] for part in parts)
    expression = re.compile("".join(part[0] for part in parts), re.DOTALL)
    return _Piece(expression, longest, shortest < longest)


def _part(token: re.Match[str], globs: bool) -> Tuple[str, int, int]:
    """Return the expression of a token, and the fewest and most characters that it matches."""
    if token["escaped"] is not None:
        return re.escape(token["escaped"]), 1, 1
    if token["alternatives"] is not None:
        return _alternatives(token["alternatives"], globs)
    if token["wildcard"] is not None:
        return ".", 1, 1
    if token["set"]:
        return f"[{'^' if token['negated'] else ''}{_set(token['set'])}]", 1, 1
    text = token.group()
    return re.escape(text), len(text), len(text)


def _alternatives(text: str, globs: bool) -> Tuple[str, int, int]:
    """Return the expression of what stands in braces: words, numbers and ranges of numbers."""
    choices, lengths = [], []
    for part in text.split(","):
        found = _NUMBERS.fullmatch(part)
        # 07 is a word: as a number it would match 7
        if found is None or (part.startswith("0") and len(part) > 1 and "-" not in part):
            choices.append(re.escape(part).replace(r"\?", ".") if globs else re.escape(part))
            lengths += [len(part)]
        else:
            first, last = (found[1].lstrip("0") or "0"), ((found[2] or found[1]).lstrip("0") or "0")
            choices += between(first, last)
            lengths += [len(first), max(len(first), len(last))]
    return f"(?:{'|'.join(choices)})", min(lengths), max(lengths)


def between(first: str, last: str) -> List[str]:
    """Return expressions that together match the whole numbers from one to another, as digits."""
    if first == last:
        return [first]
    if len(last) > _MOST_DIGITS:
        last = "9" * _MOST_DIGITS
    if (len(first), first) > (len(last), last):
        return ["(?!)"]
    found = []
    for size in range(len(first), len(last) + 1):
        low = first if size == len(first) else "1" + "0" * (size - 1)
        high = last if size == len(last) else "9" * size
        found += _of_one_size(low, high)
    return found


def _of_one_size(low: str, high: str) -> List[str]:
    if not low or (set(low) == {"0"} and set(high) == {"9"}):
        return ["[0-9]" * len(low)]
    if low[0] == high[0]:
        return [low[0] + rest for rest in _of_one_size(low[1:], high[1:])]
    rest = len(low) - 1
    found = [low[0] + tail for tail in _of_one_size(low[1:], "9" * rest)]
    if int(high[0]) - int(low[0]) > 1:
        found.append(f"[{int(low[0]) + 1}-{int(high[0]) - 1}]" + "[0-9]" * rest)
    return found + [high[0] + tail for tail in _of_one_size("0" * rest, high[1:])]


def _set(characters: str) -> str:
    """Return the inside of a set as a regular expression: ranges, all else escaped."""
    ends = re.findall(r"(.)-(.)", characters, re.DOTALL)
    if "--" in characters or any(first > last for first, last in ends):
        return re.escape(characters)  # a range that goes backwards is an error in re
    return re.sub(r"([\\\[\]^&~|])", r"\\\1", characters)
