"""Patterns of names whose wildcards keep what they stand for: ``net.*=*``.

``*`` stands for any text, dots included, ``{n}`` for a number without leading zeros; all else for
itself. In a replacement the first ``*`` is what the first ``*`` of the pattern stood for, the
second the second, and so on; ``{n}`` likewise.
"""

from __future__ import annotations

import re
from typing import NamedTuple, Tuple

from ckpttool.findings.errors import UsageError
from ckpttool.models.layouts.renames import NUMBER

#: What the wildcards of a pattern stand for in a name: of each ``*``, and of each ``{n}``.
Captures = Tuple[Tuple[str, ...], Tuple[str, ...]]

# A bounded number, so that a name of a million digits is read once and not from each digit.
_NUMBER = r"(0|[1-9][0-9]{0,17})"


class Template(NamedTuple):
    """A name with wildcards: ``texts`` stand around its ``*``, each cut at its ``{n}``."""

    text: str
    texts: tuple[tuple[str, ...], ...]

    @property
    def wildcards(self) -> tuple[int, int]:
        """How many ``*`` and ``{n}`` it has."""
        return len(self.texts) - 1, sum(len(pieces) - 1 for pieces in self.texts)

    def filled(self, captures: Captures) -> str:
        """Return the name with what the wildcards stand for."""
        stars, numbers = iter(captures[0]), iter(captures[1])
        found = []
        for place, pieces in enumerate(self.texts):
            if place:
                found.append(next(stars))
            for number, piece in enumerate(pieces):
                if number:
                    found.append(next(numbers))
                found.append(piece)
        return "".join(found)


class Pattern(NamedTuple):
    """A template that names are held against."""

    template: Template
    expressions: tuple[re.Pattern[str], ...]

    def match(self, name: str) -> Captures | None:
        """Return what the wildcards stand for; ``None`` for a name that it does not match.

        Each ``*`` takes as little as it can, so the time is that of reading the name.
        """
        first = self.template.texts[0][0]
        if not name.startswith(first):  # most names of a file, for most patterns
            return None
        stars: list[str] = []
        numbers: list[str] = []
        end = 0
        *others, last = self.expressions
        for place, expression in enumerate(others):
            found = expression.search(name, end) if place else expression.match(name)
            if found is None:
                return None
            if place:
                stars.append(name[end : found.start()])
            numbers += found.groups()
            end = found.end()
        found = last.search(name, end) if others else last.match(name)
        if found is None:
            return None
        if others:
            stars.append(name[end : found.start()])
        numbers += found.groups()
        return tuple(stars), tuple(numbers)


def template_of(text: str, what: str) -> Template:
    """Read a name with wildcards.

    Args:
        text: as the user wrote it.
        what: where, for the message: ``rename``.

    Raises:
        UsageError: it is empty.
    """
    if not text:
        raise UsageError(f"a name is empty ({what})", fix="Write PATTERN=REPLACEMENT.")
    return Template(text, tuple(tuple(part.split(NUMBER)) for part in text.split("*")))


def pattern_of(text: str, what: str) -> Pattern:
    """Read a pattern; see :func:`template_of`."""
    template = template_of(text, what)
    spelled = [_NUMBER.join(map(re.escape, pieces)) for pieces in template.texts]
    spelled[-1] += r"\Z"
    return Pattern(template, tuple(re.compile(one, re.DOTALL) for one in spelled))
