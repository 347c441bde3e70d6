"""Reading a JSON object field by field with its type; errors name the field."""

from __future__ import annotations

import json
from typing import Any, Callable, Dict, NoReturn, Tuple, Type, TypeVar, Union

from ckpttool.findings.errors import UsageError
from ckpttool.findings.unambiguous_json import parsed

_Kept = TypeVar("_Kept")
_Kinds = Union[Type[Any], Tuple[Type[Any], ...]]

# Numbers that JSON cannot express; reports write them as strings.
_NUMBERS = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
# No number in a result is as large; what is beyond float64 could not be drawn.
_LARGEST = 1 << 128
_WORDS = {str: "text", int: "a whole number", bool: "true or false", dict: "an object"}


class Fields:
    """An object in a document.

    Args:
        content: what should be an object.
        where: its place (``files[0].coverage``), empty for the document.
        path: the file, for errors.

    Raises:
        UsageError: from every method, when a field is missing or of another kind.
    """

    def __init__(self, content: object, where: str, path: str) -> None:
        self._where = where
        self._path = path
        if not isinstance(content, dict):
            self._wrong(where or "the document", "an object", content)
        self._content: Dict[str, Any] = content

    def names(self) -> list[str]:
        """Return the names of all fields."""
        return list(self._content)

    def text(self, name: str) -> str:
        """Return a text."""
        return str(self._get(name, str, "text"))

    def whole(self, name: str) -> int:
        """Return a whole number."""
        return int(self._get(name, int, "a whole number"))

    def truth(self, name: str) -> bool:
        """Return true or false."""
        return bool(self._get(name, bool, "true or false"))

    def number(self, name: str) -> float:
        """Return a number; NaN and infinity are strings in the document."""
        return self._number(self._at(name), self._get(name, (int, float, str), "a number"))

    def numbers(self, name: str) -> tuple[float, ...]:
        """Return a list of such numbers."""
        items = self._get(name, list, "a list of numbers")
        return tuple(self._number(f"{self._at(name)}[{at}]", item) for at, item in enumerate(items))

    def choice(self, name: str, choices: Dict[str, _Kept]) -> _Kept:
        """Return the value of one of several words."""
        word = self.text(name)
        if word not in choices:
            self.wrong(name, " or ".join(choices))
        return choices[word]

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts."""
        return tuple(self._items(name, str, "a list of texts"))

    def wholes(self, name: str) -> tuple[int, ...]:
        """Return a list of whole numbers."""
        return tuple(self._items(name, int, "a list of whole numbers"))

    def inner(self, name: str) -> Fields:
        """Return an object."""
        return Fields(self._get(name, dict, "an object"), self._at(name), self._path)

    def inners(self, name: str) -> list[Fields]:
        """Return a list of objects."""
        items = self._items(name, dict, "a list of objects")
        return [
            Fields(item, f"{self._at(name)}[{at}]", self._path) for at, item in enumerate(items)
        ]

    def maybe(self, name: str, read: Callable[[str], _Kept]) -> _Kept | None:
        """Return ``read(name)``, or ``None`` where the field is ``null``."""
        # the field must be there even so: an absent one is another version's, or a cut file's
        return None if self._get(name, object, "anything") is None else read(name)

    def wrong(self, name: str, expected: str) -> NoReturn:
        """Raise the error for a field with a wrong value."""
        self._wrong(self._at(name), expected, self._content[name])

    # ---------------------------------------------------------------------------------------

    def _get(self, name: str, kinds: _Kinds, expected: str) -> Any:
        if name not in self._content:
            self._wrong(self._at(name), expected, "nothing")
        value = self._content[name]
        # bool is a subclass of int: true is no number here
        if not isinstance(value, kinds) or (
            isinstance(value, bool) and kinds not in (bool, object)
        ):
            self._wrong(self._at(name), expected, value)
        self._check_size(self._at(name), value)
        return value

    def _number(self, place: str, value: object) -> float:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            self._check_size(place, value)
            return value
        if not isinstance(value, str) or value not in _NUMBERS:
            self._wrong(place, "a number", value)
        return _NUMBERS[value]

    def _items(self, name: str, kind: Type[Any], expected: str) -> list[Any]:
        items: list[Any] = self._get(name, list, expected)
        for at, item in enumerate(items):
            if not isinstance(item, kind) or isinstance(item, bool):
                self._wrong(f"{self._at(name)}[{at}]", _WORDS[kind], item)
            self._check_size(f"{self._at(name)}[{at}]", item)
        return items

    def _check_size(self, place: str, value: object) -> None:
        if isinstance(value, int) and abs(value) >= _LARGEST:
            self._wrong(place, "a number below 2^128", value)

    def _at(self, name: str) -> str:
        return f"{self._where}.{name}" if self._where else name

    def _wrong(self, place: str, expected: str, found: object) -> NoReturn:
        raise UsageError(
            f"not a result of ckpttool verify: {place}",
            path=self._path,
            expected=expected,
            found=_shown(found),
        )


def parse(text: str, path: str) -> Fields:
    """Return a document's object.

    Raises:
        UsageError: it is no JSON, has a name twice, or is no object.
    """
    try:
        # The json module takes the last of equal names, and NaN as a word; no report has either,
        # so the file was made by hand or damaged.
        content = parsed(text)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise UsageError(
            f"not a JSON document: {reason}",
            path=path,
            fix="Name a file that ckpttool verify --report json=FILE has written.",
        ) from error
    return Fields(content, "", path)


def _shown(found: object) -> str:
    if isinstance(found, (dict, list)):
        return "an object" if isinstance(found, dict) else "a list"
    return json.dumps(found) if found is None or isinstance(found, bool) else str(found)
