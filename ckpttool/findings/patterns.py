r"""Names of tensors as people write them: globs, and whatever the tool itself prints.

What stands in a report can be pasted: the short form of :mod:`ckpttool.findings.names`
(``blocks.{0-11}.norm1.{weight,bias}``, several of them with commas between), a name with the
escapes that make it printable, and a name that has characters of a glob in it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import List, NamedTuple, Tuple

from ckpttool.findings.text import printable

#: Characters of a name that reports show; see ``reports.details``.
SHOWN = 2000

# A character that stands for itself, alternatives in braces; in globs a set and a wildcard too.
_SHORT = r"\\(?P<escaped>[{}\\])|\{(?P<alternatives>[^{}]*)\}"
_GLOB = r"\[(?P<negated>!?)(?P<set>\]?[^\]]*)\]|(?P<wildcard>[*?])"
_TOKENS = {
    True: re.compile(rf"{_SHORT}|{_GLOB}|[^\\{{}}\[*?]+|.", re.DOTALL),
    False: re.compile(rf"{_SHORT}|(?P<set>(?!))|(?P<wildcard>(?!))|[^\\{{}}]+|.", re.DOTALL),
}
_NUMBERS = re.compile(r"([0-9]+)(?:-([0-9]+))?")

_Spans = Tuple[Tuple[int, int], ...]


def matches(pattern: str, name: str) -> bool:
    """Whether a name is one of those that a pattern stands for."""
    shown = printable(name, SHOWN)
    if pattern in (name, shown):
        return True
    return any(one.matches(name) or one.matches(shown) for one in _read(pattern))


class _Pattern(NamedTuple):
    """A regular expression, and what its numbered groups may be: numbers in these spans."""

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
    return tuple(_compiled(group, globs) for group in groups for globs in (True, False))


def _compiled(group: str, globs: bool) -> _Pattern:
    """Return one group of names, with its wildcards as such or standing for themselves."""
    parts: List[str] = []
    spans: List[_Spans] = []
    for token in _TOKENS[globs].finditer(group):
        if token["escaped"] is not None:
            parts.append(re.escape(token["escaped"]))
        elif token["alternatives"] is not None:
            numbers, words = _alternatives(token["alternatives"])
            choices = [_spelled(word, globs) for word in words]
            if numbers:
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
    """Return the numbers that stand in braces as spans, and the words."""
    numbers, words = [], []
    for part in text.split(","):
        found = _NUMBERS.fullmatch(part)
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
    """Return the inside of a set: ranges as they are, everything else standing for itself."""
    ends = re.findall(r"(.)-(.)", characters, re.DOTALL)
    if "--" in characters or any(first > last for first, last in ends):
        return re.escape(characters)  # no range, or one that goes backwards
    return re.sub(r"([\\\[\]^&~|])", r"\\\1", characters)
