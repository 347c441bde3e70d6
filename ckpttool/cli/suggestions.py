"""What was meant by a word that does not exist."""

from __future__ import annotations

from typing import Iterable, Sequence

from ckpttool.findings.text import some_of

#: Of so many words one can still choose at a glance.
_LISTED = 16


def closest(word: str, known: Iterable[str], cutoff: float = 0.5) -> str | None:
    """Return the known word that is closest, in letters of either size; ``None`` if none is."""
    from difflib import get_close_matches  # late: for misspelled words only

    # the last of two that differ in their case alone; no table has such words
    lower = {one.lower(): one for one in known}
    typed = word.lower()
    if typed in lower:
        return lower[typed]
    # what was broken off: of several, the one that comes first
    begun = [one for one in lower if typed and one.startswith(typed)]
    close = begun[:1] or get_close_matches(typed, lower, 1, cutoff)
    return lower[close[0]] if close else None


def tip_for(word: str, known: Sequence[str]) -> str:
    """Return the question whether the closest word was meant, or all words to choose from."""
    near = closest(word, known)
    return possible(known) if near is None else f"did you mean '{near}'?"


def possible(words: Sequence[str]) -> str:
    """Return a tip that lists words to choose from."""
    return f"possible values: {some_of(words, _LISTED)}"
