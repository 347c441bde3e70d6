"""Texts by the columns that they take on a terminal: a wide character takes two, an accent none."""

from __future__ import annotations

from rich.cells import cell_len

_CUT = "~"


def columns(text: str) -> int:
    """Return how many columns a text takes."""
    return len(text) if text.isascii() else cell_len(text)


def padded(text: str, width: int) -> str:
    """Return a text filled up with spaces to a width; a wider one stays as it is."""
    return text + " " * (width - columns(text))


def start_of(text: str, width: int) -> str:
    """Return a text, or its start and a sign where it is wider."""
    return text if columns(text) <= width else _fitting(text, width - len(_CUT)) + _CUT


def end_of(text: str, width: int) -> str:
    """Return a text, or a sign and its end where it is wider."""
    if columns(text) <= width:
        return text
    return _CUT + _fitting(text[::-1], width - len(_CUT))[::-1]


def _fitting(text: str, width: int) -> str:
    """Return the characters from the first on that fit in a width."""
    taken = 0
    for place, character in enumerate(text):
        taken += columns(character)
        if taken > width:
            return text[:place]
    return text
