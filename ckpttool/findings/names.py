r"""Many tensor names in a short form that can be expanded again without loss.

``blocks.{0-6,8-23}.norm1.{weight,bias}`` stands for every combination of the alternatives in its
braces, and no other name, so that a missing block shows as a gap. A backslash escapes the next
character of a name that has braces or backslashes itself.
"""

from __future__ import annotations

import re
from itertools import product
from math import prod
from typing import Callable, Dict, Iterable, Iterator, List, Optional, Tuple, Union

# The parts of a name between dots; several alternatives where names were merged.
_Part = Union[str, Tuple[str, ...]]
_Pattern = Tuple[_Part, ...]

# Up to 15 digits and without a leading zero: expanding a range gives back the same text.
_NUMBER = re.compile(r"0|[1-9][0-9]{0,14}")
_RANGE = re.compile(r"([0-9]+)-([0-9]+)")
# Characters that have a meaning in the short form; a name with one of them stays alone.
_SPECIAL = re.compile(r"[{},\\]")
_ESCAPED = re.compile(r"[{}\\]")
_TOKEN = re.compile(r"\\(.)|\{([^{}]*)\}|([^\\{}]+)", re.DOTALL)


def compress(names: Iterable[str]) -> List[str]:
    """Return ``names`` in the short form, each group at the place of its first name.

    The same names in the same order give the same result, and :func:`expand` returns exactly the
    names that went in, each once.
    """
    # numbers first, so that a gap shows in their range; the last parts would hide it in theirs
    patterns: List[_Pattern] = [_split(name) for name in dict.fromkeys(names)]
    longest = max(map(len, patterns), default=0)
    for position in reversed(range(longest)):
        patterns = _merge(patterns, position, _is_number)
    for position in range(1, longest):
        patterns = _merge(patterns, position, _is_last_word)
    return [".".join(map(_spell, pattern)) for pattern in patterns]


def expand(groups: Iterable[str]) -> List[str]:
    """Return the names of the short forms: the inverse of :func:`compress`."""
    names: List[str] = []
    for group in groups:
        pieces = [_alternatives(match) for match in _TOKEN.finditer(group)]
        names.extend(map("".join, product(*pieces)))
    return names


def number_in(group: str) -> int:
    """Return how many names a short form stands for, without making them.

    Raises:
        ValueError: it is none that :func:`expand` takes: a range that runs backwards, a number of
            more than 15 digits, or braces that do not close.
    """
    if sum(len(match.group()) for match in _TOKEN.finditer(group)) != len(group):
        raise ValueError("a brace or a backslash stands alone")
    return prod(_number_of(match.group(2)) for match in _TOKEN.finditer(group))


def summarise(names: Iterable[str], most: int = 12) -> str:
    """Return the short form in one line, with a count in place of all groups beyond ``most``."""
    groups = compress(names)
    if len(groups) <= most:
        return ", ".join(groups)
    rest = len(expand(groups[most:]))
    return f"{', '.join(groups[:most])} and {rest:,} more"


def _split(name: str) -> _Pattern:
    # each position costs a pass over all names: one with more parts than in any model stays whole
    if name.count(".") >= 24 or _SPECIAL.search(name):
        return (_Literal(name),)
    return tuple(name.split("."))


# A type of its own, so that its braces are not taken for alternatives when it is written.
class _Literal(str):
    """A name with characters of the short form in it: written escaped, and never merged."""

    __slots__ = ()


def _merge(
    patterns: List[_Pattern], position: int, may_merge: Callable[[_Pattern, int], bool]
) -> List[_Pattern]:
    """Merge the patterns that differ only at ``position``: their union is a product again."""
    merged: Dict[object, List[str]] = {}
    for pattern in patterns:
        if position < len(pattern) and may_merge(pattern, position):
            part = pattern[position]
            # the position is in the key, so that it differs from every whole pattern
            key: object = (position, pattern[:position], pattern[position + 1 :])
            merged.setdefault(key, []).append(part)  # type: ignore[arg-type]  # a str: may_merge
        else:
            merged[pattern] = []
    return [_rebuilt(key, parts) for key, parts in merged.items()]


def _rebuilt(key: object, parts: List[str]) -> _Pattern:
    assert isinstance(key, tuple)  # noqa: S101 (for the type checker)
    if not parts:
        return key
    _, before, after = key
    part: _Part = parts[0] if len(parts) == 1 else tuple(parts)
    return (*before, part, *after)


def _is_number(pattern: _Pattern, position: int) -> bool:
    part = pattern[position]
    return isinstance(part, str) and _NUMBER.fullmatch(part) is not None


def _is_last_word(pattern: _Pattern, position: int) -> bool:
    part = pattern[position]
    return (
        position == len(pattern) - 1
        and isinstance(part, str)
        # in braces, 0-3 would be read as a range and 7 as a number that has its own group
        and not part[:1].isdigit()
    )


def _spell(part: _Part) -> str:
    if isinstance(part, _Literal):
        return _ESCAPED.sub(r"\\\g<0>", part)
    if isinstance(part, str):
        return part
    if not _NUMBER.fullmatch(part[0]):
        return "{" + ",".join(part) + "}"
    return "{" + ",".join(runs(sorted(map(int, part)))) + "}"


def runs(numbers: List[int]) -> Iterator[str]:
    """Yield sorted numbers as ranges: ``0-6``, ``8``."""
    start = previous = numbers[0]
    for number in [*numbers[1:], -1]:  # -1 follows no number, and so ends the last run
        if number != previous + 1:
            yield str(start) if start == previous else f"{start}-{previous}"
            start = number
        previous = number


def _alternatives(match: re.Match[str]) -> List[str]:
    escaped, group, plain = match.groups()
    if group is None:
        return [escaped or plain]
    names: List[str] = []
    for part in group.split(","):
        ends = _RANGE.fullmatch(part)
        if ends is None:
            names.append(part)
        else:
            names.extend(map(str, range(int(ends.group(1)), int(ends.group(2)) + 1)))
    return names


def _number_of(alternatives: Optional[str]) -> int:
    number = 0
    for part in () if alternatives is None else alternatives.split(","):
        ends = _RANGE.fullmatch(part)
        if ends is not None and not all(map(_NUMBER.fullmatch, ends.groups())):
            raise ValueError(f"{part[:40]} is no range of numbers")
        first, last = map(int, ends.groups()) if ends else (0, 0)
        if last < first:
            raise ValueError(f"{part} runs backwards")
        number += last - first + 1
    return number or 1


_DIGITS = re.compile(r"([0-9]+)")


def natural_order(name: str) -> Tuple[object, ...]:
    """Return a key to sort names by, in which ``blocks.9`` comes before ``blocks.10``."""
    parts = _DIGITS.split(name)  # text and digits in turn
    key: List[object] = [parts[0]]
    for place in range(1, len(parts), 2):
        # longer digits are larger numbers: no conversion, which would lose leading zeros
        key += len(parts[place]), parts[place], parts[place + 1]
    return tuple(key)
