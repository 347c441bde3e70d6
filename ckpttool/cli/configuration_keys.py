"""The values of the configuration: each key has a reader.

A reader takes the value as TOML gives it and the key's name for messages, and returns what the
program works with, or raises :class:`UsageError`. The caller adds the path of the file.
"""

from __future__ import annotations

import math
from datetime import date, datetime
from typing import Any, Callable, Iterable, Mapping, Tuple

from ckpttool.findings.arguments import groups_of, trusted_of, wrong
from ckpttool.findings.errors import UsageError
from ckpttool.findings.text import meant
from ckpttool.models.families import check_sizes
from ckpttool.verification.policy import codes_of
from ckpttool.verification.waivers import check_code

Reader = Callable[[object, str], Any]


def text(value: object, key: str) -> str:
    """Read a string that is not empty."""
    # an empty path or pattern is a slip; without the key there is a default
    if not isinstance(value, str) or not value:
        raise wrong(key, "a string that is not empty", value)
    return value


def texts(value: object, key: str) -> Tuple[str, ...]:
    """Read a list of strings."""
    if not isinstance(value, list):  # a string would be taken apart into its characters
        raise wrong(key, "a list of strings", value)
    return tuple(text(item, key) for item in value)


def groups(value: object, key: str) -> dict[str, Tuple[str, ...]]:
    """Read a table of groups: the name of each, and a list of patterns."""
    if not isinstance(value, dict):
        raise wrong(key, "a table of groups, each with a list of patterns", value)
    return groups_of({name: texts(item, f"{key}.{name}") for name, item in value.items()}, key)


def trusted(value: object, key: str) -> Tuple[str, ...]:
    """Read a list of names of code, each below a package; they may have wildcards there."""
    return trusted_of(texts(value, key), key)


def choice(options: Iterable[str]) -> Reader:
    """Return a reader of one of some words."""
    words = tuple(options)

    def read(value: object, key: str) -> str:
        if not isinstance(value, str) or value not in words:
            raise wrong(key, " or ".join(words), value, meant(str(value), words))
        return value

    return read


def codes(value: object, key: str) -> Tuple[str, ...]:
    """Read a list of rule codes, or of what some begin with; ``ALL`` is every rule."""
    return codes_of(texts(value, key), key)


def code(value: object, key: str) -> str:
    """Read the whole code of one rule whose findings are about files."""
    check_code(value, key)
    return str(value)


def day(value: object, key: str) -> date:
    """Read a date, as TOML has them or as a string: ``2099-12-31``."""
    # a datetime is a date to Python, but a waiver holds until the end of its day
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        return datetime.strptime(text(value, key), "%Y-%m-%d").date()
    except ValueError as error:
        raise wrong(key, "a date such as 2099-12-31", value) from error


def positive(value: object, key: str) -> float:
    """Read a number above zero."""
    # True is an int to Python; TOML has inf and nan, which would turn the check off
    right = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not right or not 0 < float(value) < math.inf:  # type: ignore[arg-type]  # a number: right
        raise wrong(key, "a number above 0", value)
    return float(value)  # type: ignore[arg-type]  # as above


def size(name: str) -> Reader:
    """Return a reader of a size of the model: ``img_size``."""

    def read(value: object, _: str) -> object:
        found = tuple(value) if isinstance(value, list) else value
        check_sizes({name: found})
        return found

    return read


def table(
    value: object, key: str, readers: Mapping[str, Reader], required: Iterable[str] = ()
) -> dict[str, Any]:
    """Read a table whose keys are known, into names as Python spells them.

    Raises:
        UsageError: not a table, a key that is unknown or absent, or a value that is wrong.
    """
    if not isinstance(value, dict):
        raise wrong(key, "a table", value)
    prefix = f"{key}." if key else ""
    for name in value:
        if name not in readers:  # ignored, a misspelled key would loosen the gate unnoticed
            raise UsageError(
                f"the configuration has no key {prefix}{name}",
                expected=", ".join(readers),
                fix=meant(name, readers) or "Remove it.",
            )
    for name in required:
        if name not in value:
            raise UsageError(f"{key} has no {name}", fix=f"Add {name} = ...")
    return {
        name.replace("-", "_"): readers[name](item, f"{prefix}{name}")
        for name, item in value.items()
    }
