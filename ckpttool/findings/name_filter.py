"""``--include`` and ``--exclude``: choosing names, and refusing patterns that match none."""

from __future__ import annotations

import re
from itertools import islice
from typing import Collection, Iterable

from ckpttool.findings.errors import UsageError
from ckpttool.findings.patterns import matches_glob

# Names that a pattern is compared with for a tip, which takes up to a second for so many.
_COMPARED = 5000
_WILDCARD = re.compile(r"[*?\[]")
_WILDCARDS_AT_END = re.compile(r"\.?[*?]+$")


class NameFilter:
    """The names that ``include`` matches (all without it), without those of ``exclude``.

    Patterns are those of a shell, with ``*`` matching dots too. Those that matched are recorded,
    so that :meth:`check` can refuse the others: a pattern that matches nothing is a mistake that
    the result would not show.
    """

    def __init__(self, include: Collection[str] = (), exclude: Collection[str] = ()) -> None:
        self._options = {"include": tuple(include), "exclude": tuple(exclude)}
        self._unused = {*include, *exclude}
        self._names: dict[str, None] = {}

    @property
    def takes_all(self) -> bool:
        """Whether there is no pattern at all."""
        return not any(self._options.values())

    def wants(self, *names: str) -> bool:
        """Whether something with any of these names is chosen."""
        self._note(names)
        include, exclude = self._options.values()
        return (not include or _any(names, include)) and not _any(names, exclude)

    def check(self, what: str, known: Iterable[str] = (), below: Collection[str] = ()) -> None:
        """Refuse patterns that matched none of the names :meth:`wants` was called with.

        Args:
            what: the noun for the message: ``tensor``.
            known: further names that exist.
            below: keys of containers whose names are not known; a pattern that may match one of
                those names is not refused.

        Raises:
            UsageError: a pattern matched nothing.
        """
        if not self._unused:
            return
        self._note(known)
        for option, patterns in self._options.items():
            for pattern in patterns:
                if pattern in self._unused and not _may_be_below(pattern, below):
                    raise UsageError(
                        f"no {what} name matches {pattern} ({option})",
                        fix=tip(pattern, self._names),
                    )

    def _note(self, names: Iterable[str]) -> None:
        if self._unused:  # all have matched after a few names, as a rule
            names = tuple(names)
            self._names.update(dict.fromkeys(names))
            self._unused = {one for one in self._unused if not _any(names, (one,))}


def _any(names: Iterable[str], patterns: Iterable[str]) -> bool:
    return any(matches_glob(pattern, name) for name in names for pattern in patterns)


def _may_be_below(pattern: str, keys: Iterable[str]) -> bool:
    """Whether a pattern may match a name below one of the keys, as far as its wildcards tell."""
    literal = _WILDCARD.split(pattern)[0]
    # before a wildcard the key may be cut anywhere; a pattern without one is a whole name
    return any(
        literal.startswith(f"{key}.") or (literal != pattern and f"{key}.".startswith(literal))
        for key in keys
    )


def tip(pattern: str, names: Iterable[str]) -> str:
    """Return the question whether the closest name was meant, or the closest beginning of names.

    Of none that is close, the way to list them.
    """
    from difflib import get_close_matches  # late: for errors only

    meant: dict[str, str] = {}
    for name in islice(names, _COMPARED):
        parts = name.split(".")
        # beginnings too: for "block.*" the tip is "blocks.*", not one of its hundred names
        for end in range(1, len(parts)):
            start = ".".join(parts[:end])
            meant.setdefault(start, f"{start}.*")
        meant[name] = name
    close = get_close_matches(_WILDCARDS_AT_END.sub("", pattern), meant, 1)
    return (
        f"Did you mean {meant[close[0]]}?"
        if close
        else "List the names with: ckpttool inspect --all"
    )
