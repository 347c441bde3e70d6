"""What was meant by a word that does not exist."""

from __future__ import annotations

from typing import Sequence

from ckpttool.findings.text import closest, some_of

#: Of so many words one can still choose at a glance.
_LISTED = 16
# Of few words to choose from, one that is less alike may be meant, too.
_CLOSE = 0.5


def tip_for(word: str, known: Sequence[str]) -> str:
    """Return the question whether the closest word was meant, or all words to choose from."""
    near = closest(word, known, _CLOSE)
    return possible(known) if near is None else f"did you mean '{near}'?"


def possible(words: Sequence[str]) -> str:
    """Return a tip that lists words to choose from."""
    return f"possible values: {some_of(words, _LISTED)}"
