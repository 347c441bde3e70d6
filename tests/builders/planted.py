"""Results with other text in their fields: what a hostile file or stored result may put there."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterator, Tuple

#: Takes the place of a text: called with the place (``files[0].path``) and what stands there.
Change = Callable[[str, str], str]


def changed(value: Any, change: Change, place: str = "") -> Any:
    """Return a result with each text in it changed: fields, items, keys and values of mappings."""
    if isinstance(value, str):
        return change(place, value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        fields = {
            name: changed(getattr(value, name), change, f"{place}.{name}" if place else name)
            for name in value._fields
        }
        return type(value)(**fields)
    if isinstance(value, (tuple, list)):
        # items of one list are alike: the place is that of the list
        return type(value)(changed(item, change, f"{place}[]") for item in value)
    if isinstance(value, dict):
        return dict(_pairs(value, change, place))
    return value


def _pairs(value: Dict[Any, Any], change: Change, place: str) -> Iterator[Any]:
    for key, item in value.items():
        yield changed(key, change, f"{place}{{}}"), changed(item, change, f"{place}{{}}.value")


def places(value: Any) -> Dict[str, str]:
    """Return the place of each text, with one that stands there."""
    found: Dict[str, str] = {}

    def keep(place: str, text: str) -> str:
        found.setdefault(place, text)
        return text

    changed(value, keep)
    return found


def everywhere(value: Any, named: Callable[[int], str], spared: Tuple[str, ...] = ()) -> Any:
    """Return a result with a name in the place of each text.

    Args:
        value: the result.
        named: number -> name. The number is of the place and the text that stood there, so that
            two texts which were equal, or keys that were not, are so afterwards.
        spared: ends of places that are left alone.
    """
    numbers: Dict[Tuple[str, str], int] = {}

    def put(place: str, text: str) -> str:
        if place.endswith(spared):
            return text
        return named(numbers.setdefault((place, text), len(numbers)))

    return changed(value, put)


def at(value: Any, where: str, name: str) -> Any:
    """Return a result with a name in one place, a number behind it where several stand there."""
    numbers: Dict[str, int] = {}

    def put(place: str, text: str) -> str:
        if place != where:
            return text
        return f"N{numbers.setdefault(text, len(numbers))}N{name}"

    return changed(value, put)
