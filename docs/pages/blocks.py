"""The fenced blocks of a page, and the comments above them that say how a block is run.

A comment is a line of its own directly above the fence, one for each mark::

    <!-- in: NAME -->         from this block on in a new folder, which a builder of the tests fills
    <!-- file: PATH -->       the block is written to this file, for the blocks below
    <!-- columns: NUMBER -->  the terminal is this wide
    <!-- only: TEXT | TEXT --> of the output the lines that contain one of these texts
    <!-- not run: REASON -->  the block is not run
"""

from __future__ import annotations

import re
import textwrap
from typing import Dict, Iterator, NamedTuple, Sequence

#: What may stand in a comment above a block.
MARKS = ("in", "file", "columns", "only", "not run")

_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>[\w-]*)\n(?P<body>.*?)^(?P=indent)```$", re.M | re.S
)
_MARK = re.compile(r"^ *<!-- ([a-z ]+): (.*) -->$")
_MADE = re.compile(r"<!-- BEGIN (.*?) -->.*?<!-- END \1 -->", re.S)


class Block(NamedTuple):
    """A fenced block.

    Attributes:
        language: what stands behind the fence.
        text: the lines between the fences, without the indent of the fences.
        marks: what the comments above say.
        start: where the lines begin in the page, and ``end``, where they end.
        line: the number of the first of them.
        indent: the spaces before the fence, for a block of a list.
    """

    language: str
    text: str
    marks: Dict[str, str]
    start: int
    end: int
    line: int
    indent: str


def blocks(page: str) -> Iterator[Block]:
    """Yield the blocks of a page, but not those that other programs write (BEGIN ... END)."""
    made = [match.span() for match in _MADE.finditer(page)]
    for match in _FENCE.finditer(page):
        if any(start < match.start() < end for start, end in made):
            continue
        start, end = match.span("body")
        yield Block(
            language=match["language"],
            text=textwrap.dedent(match["body"]) if match["indent"] else match["body"],
            marks=_marks(page[: match.start()]),
            start=start,
            end=end,
            line=page.count("\n", 0, start) + 1,
            indent=match["indent"],
        )


def replaced(page: str, texts: Sequence[tuple[Block, str]]) -> str:
    """Return the page with other texts in these of its blocks."""
    for block, text in sorted(texts, key=lambda one: one[0].start, reverse=True):
        page = page[: block.start] + textwrap.indent(text, block.indent) + page[block.end :]
    return page


def _marks(before: str) -> dict[str, str]:
    found = {}
    for line in reversed(before.splitlines()):
        match = _MARK.match(line)
        if not match:
            break
        found[match[1]] = match[2]
    return found
