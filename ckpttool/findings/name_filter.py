"""``--include`` and ``--exclude``: which names count, and patterns that match none of them."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from itertools import islice
from typing import Collection, Iterable

from ckpttool.findings.errors import UsageError

# Names that a pattern is compared with for a tip.
_COMPARED = 5000
_WILDCARD = re.compile(r"[*?\[]")
_WILDCARDS_AT_END = re.compile(r"\.?[*?]+$")


class NameFilter:
    """Which names count: those that ``include`` matches (all without it), less ``exclude``.

    Patterns are those of a shell; ``*`` runs over dots. It notes which patterns matched, so that
    :meth:`check` can refuse those that did not: a pattern that matches nothing is a slip, and
    would go unnoticed in the result.
    """

    def __init__(self, include: Collection[str] = (), exclude: Collection[str] = ()) -> None:
        self._options = {"--include": tuple(include), "--exclude": tuple(exclude)}
        self._unused = {*include, *exclude}
        self._names: dict[str, None] = {}

    def wants(self, *names: str) -> bool:
        """Whether something that goes by any of these names counts."""
        self._note(names)
        include, exclude = self._options.values()
        return (not include or _any(names, include)) and not _any(names, exclude)

    def check(self, what: str, known: Iterable[str] = (), below: Collection[str] = ()) -> None:
        """Refuse patterns that matched nothing of what :meth:`wants` was asked for.

        Args:
            what: what has names, for the message: ``tensor``.
            known: further names that there are.
            below: keys that hold names which nobody was asked for; a pattern that may match one
                of those is not refused.

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
                        f"no {what} has a name like {pattern} ({option})",
                        fix=_tip(pattern, self._names)
                        or "List the names with: ckpttool inspect --all",
                    )

    def _note(self, names: Iterable[str]) -> None:
        if self._unused:  # all have matched after a few names, as a rule
            names = tuple(names)
            self._names.update(dict.fromkeys(names))
            self._unused = {one for one in self._unused if not _any(names, (one,))}


def _any(names: Iterable[str], patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for name in names for pattern in patterns)


def _may_be_below(pattern: str, keys: Iterable[str]) -> bool:
    """Whether a pattern may match a name below one of the keys, as far as its wildcards tell."""
    literal = _WILDCARD.split(pattern)[0]
    # with a wildcard, what stands before it may end anywhere; without one it is the whole name
    return any(
        literal.startswith(f"{key}.") or (literal != pattern and f"{key}.".startswith(literal))
        for key in keys
    )


def _tip(pattern: str, names: Iterable[str]) -> str | None:
    """Return a question after the nearest name, or what the nearest ones begin with."""
    from difflib import get_close_matches  # late: for errors only

    meant: dict[str, str] = {}
    for name in islice(names, _COMPARED):
        parts = name.split(".")
        for end in range(1, len(parts)):
            start = ".".join(parts[:end])
            meant.setdefault(start, f"{start}.*")
        meant[name] = name
    close = get_close_matches(_WILDCARDS_AT_END.sub("", pattern), meant, 1)
    return f"Did you mean {meant[close[0]]}?" if close else None
