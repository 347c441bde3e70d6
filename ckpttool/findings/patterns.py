r"""Patterns for names of tensors: globs, and every form in which the tool itself prints names.

A name can be pasted from a report: in the short form of :mod:`ckpttool.findings.names`
(``blocks.{0-11}.norm1.{weight,bias}``, several of them separated by commas), with the escapes
that make it printable, or with characters in it that have a meaning in globs.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Callable, List, NamedTuple, Tuple

from ckpttool.findings.text import printable

#: Characters of a name that reports show; see ``reports.details``.
SHOWN = 2000

# An escaped character, alternatives in braces; in globs a set and a wildcard too. Read by one
# expression, since fnmatch has no braces and no escapes.
_SHORT = r"\\(?P<escaped>[{}\\])|\{(?P<alternatives>[^{}]*)\}"
_GLOB = r"\[(?P<negated>!?)(?P<set>\]?[^\]]*)\]|(?P<wildcard>[*?])"
_TOKENS = {
    True: re.compile(rf"{_SHORT}|{_GLOB}|[^\\{{}}\[*?]+|.", re.DOTALL),
    False: re.compile(rf"{_SHORT}|(?P<set>(?!))|(?P<wildcard>(?!))|[^\\{{}}]+|.", re.DOTALL),
}
_NUMBERS = re.compile(r"([0-9]{1,15})(?:-([0-9]{1,15}))?")

_Spans = Tuple[Tuple[int, int], ...]


def matches_glob(pattern: str, name: str) -> bool:
    """Whether a name is the one that is written, or a glob matches it."""
    # As written first, since a name such as "layer[0]" is another glob. Not fnmatch, which ignores
    # case on Windows.
    return pattern == name or fnmatchcase(name, pattern)


def matches(pattern: str, name: str) -> bool:
    """Whether a pattern matches a name, also in the forms in which reports print it."""
    # as it is or as reports print it, since a pattern may be pasted from either
    shown = printable(name, SHOWN)
    if pattern in (name, shown):
        return True
    return any(one.matches(name) or one.matches(shown) for one in _read(pattern))


def matcher(pattern: str) -> Callable[[str], bool]:
    """Return what tells whether the pattern matches a name, as :func:`matches`: for many names."""
    tries = _read(pattern)
    if all(glob.expression == literal.expression for glob, literal in zip(tries[::2], tries[1::2])):
        tries = tries[::2]  # without wildcards each is there twice

    def fits(name: str) -> bool:
        if pattern == name or any(one.matches(name) for one in tries):
            return True
        shown = printable(name, SHOWN)
        return shown != name and (pattern == shown or any(one.matches(shown) for one in tries))

    return fits


class _Pattern(NamedTuple):
    """A regular expression, and the spans of numbers that its groups may have."""

    expression: re.Pattern[str]
    spans: Tuple[_Spans, ...]

    def matches(self, name: str) -> bool:
        found = self.expression.fullmatch(name)
        return found is not None and all(
            text is None or any(first <= int(text) <= last for first, last in spans)
            for text, spans in zip(found.groups(), self.spans)
        )


@lru_cache(maxsize=1024)
def _read(pattern: str) -> Tuple[_Pattern, ...]:
    groups = [group for group in pattern.split(", ") if group]
    # each twice: as a glob, and literally, for a name such as "layer[0]"
    return tuple(_compiled(group, globs) for group in groups for globs in (True, False))


def _compiled(group: str, globs: bool) -> _Pattern:
    """Return the pattern of one group of names; without ``globs``, wildcards match themselves."""
    parts: List[str] = []
    spans: List[_Spans] = []
    for token in _TOKENS[globs].finditer(group):
        if token["escaped"] is not None:
            parts.append(re.escape(token["escaped"]))
        elif token["alternatives"] is not None:
            numbers, words = _alternatives(token["alternatives"])
            choices = [_spelled(word, globs) for word in words]
            if numbers:
                # compared as numbers: written out, {0-99999999} would be a huge expression
                spans.append(numbers)
                choices.insert(0, r"(0|[1-9][0-9]{0,14})")
            parts.append(f"(?:{'|'.join(choices)})")
        elif token["wildcard"] is not None:
            parts.append(".*" if token["wildcard"] == "*" else ".")
        elif token["set"]:
            parts.append(f"[{'^' if token['negated'] else ''}{_set(token['set'])}]")
        else:
            parts.append(re.escape(token.group()))
    return _Pattern(re.compile("".join(parts), re.DOTALL), tuple(spans))


def _alternatives(text: str) -> Tuple[_Spans, List[str]]:
    """Return the numbers in braces as spans, and the words."""
    numbers, words = [], []
    for part in text.split(","):
        found = _NUMBERS.fullmatch(part)
        # 07 is a word: as a number it would match 7
        if found is None or (part.startswith("0") and len(part) > 1 and "-" not in part):
            words.append(part)
        else:
            first = int(found.group(1))
            numbers.append((first, int(found.group(2) or first)))
    return tuple(numbers), words


def _spelled(word: str, globs: bool) -> str:
    if not globs:
        return re.escape(word)
    return "".join(
        ".*" if character == "*" else "." if character == "?" else re.escape(character)
        for character in word
    )


def _set(characters: str) -> str:
    """Return the inside of a set as a regular expression: ranges, all else escaped."""
    ends = re.findall(r"(.)-(.)", characters, re.DOTALL)
    if "--" in characters or any(first > last for first, last in ends):
        return re.escape(characters)  # a range that goes backwards is an error in re
    return re.sub(r"([\\\[\]^&~|])", r"\\\1", characters)
