"""Inputs by number: the same seed, parser and number give the same bytes, in any order.

That is what makes a sample of a long run, a run that goes on later and a single input of it the
same inputs.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from tests.fuzzing.budget import LARGEST

if TYPE_CHECKING:
    from tests.fuzzing.parser import Parser

#: The seed of all runs whose counts are published.
SEED = 1
#: How many changes an input has: one more often than two, and so on.
_CHANGES = (1, 1, 1, 1, 2, 2, 3, 5)


def numbered(parser: Parser, number: int, seed: int = SEED) -> bytes:
    """Return input ``number`` of a parser, counted from 0."""
    return changed(parser, Random(f"{seed} {parser.NAME} {number}"))  # noqa: S311


def changed(parser: Parser, random: Random) -> bytes:
    """Return one of the parser's files with some changes, which ``random`` chooses."""
    content = random.choice(parser.seeds())
    for _ in range(random.choice(_CHANGES)):
        content = parser.mutate(content, random)
    return content[:LARGEST]
