"""JSON that every reader takes for the same: no key twice in an object, no NaN, no infinity."""

from __future__ import annotations

import json
from typing import Callable, NoReturn

from ckpttool.findings.text import printable, some_of

_SHOWN = 20


class RepeatedKeyError(ValueError):
    """An object has a key twice, of which readers take the first or the last."""


def parsed(text: str, parse_int: Callable[[str], int] = int) -> object:
    """Return the document of a text.

    Raises:
        RepeatedKeyError: an object has a key twice.
        ValueError: it is no JSON; a ``JSONDecodeError`` says where.
        RecursionError: it is nested too deeply.
    """
    return json.loads(
        text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_int=parse_int
    )


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    unique = dict(pairs)
    if len(unique) != len(pairs):
        seen: set[str] = set()
        twice = [printable(key) for key, _ in pairs if key in seen or seen.add(key)]  # type: ignore[func-returns-value]
        raise RepeatedKeyError(f"keys occur twice in one object: {some_of(twice, _SHOWN)}")
    return unique


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")
