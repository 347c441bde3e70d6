"""Which modules a configuration names: by their whole names, expressions, globs, or types.

Every library has its own rules. Lists may hold hundreds of names and a file 40,000 modules, so a
plain name is looked up; the expressions of a list are matched together.
"""

from __future__ import annotations

import re
from typing import Iterable, Tuple

from ckpttool.quantization.expressions import any_of

# A name, in which an expression's dot means a dot.
_DEEPEST = 16
_PLAIN = re.compile(r"[\w.\-]+")


class Patterns:
    """Names of modules."""

    def __init__(
        self,
        exact: Iterable[str] = (),
        *,
        starts: Iterable[str] = (),
        bounded: Iterable[str] = (),
        ends: Iterable[str] = (),
        globs: Iterable[str] = (),
    ) -> None:
        """Take patterns of five kinds.

        Args:
            exact: whole names.
            starts: expressions that match from the start of a name.
            bounded: expressions that match from the start up to the end of a part.
            ends: ends of names.
            globs: with ``*`` and ``?``.
        """
        self._exact = frozenset(exact)
        bounded = tuple(bounded)
        plain = [one for one in bounded if _PLAIN.fullmatch(one)]
        self._bounded = frozenset(one.rstrip(".") for one in plain)
        whole = [f"(?:{''.join(map(_of_glob, one))})$" for one in globs]
        self._starts, unread = any_of([*starts, *whole])
        parts = [one for one in bounded if not _PLAIN.fullmatch(one)]
        self._parts, more = any_of(parts)
        self._unread = (*unread, *more)
        self._ends = frozenset(filter(None, ends))
        self._lengths = sorted({len(one) for one in self._ends})
        self._plain = frozenset(filter(None, (*plain, *self._exact)))

    @property
    def unread(self) -> Tuple[str, ...]:
        """The expressions that cannot be matched here; all of a list that takes too long."""
        gave_up = self._starts.gave_up or self._parts.gave_up
        return (*self._unread, "expressions that take too long") if gave_up else self._unread

    def match(self, module: str) -> bool:
        """Whether a module is named, or lies in one that is."""
        if module in self._exact or any(module[-size:] in self._ends for size in self._lengths):
            return True
        place = module.find(".") if self._bounded else -1
        while place >= 0:
            if module[:place] in self._bounded:
                return True
            place = module.find(".", place + 1)
        if module in self._bounded or self._starts.ends(module):
            return True
        return any(
            end == len(module) or module[end] == "." or module[end - 1 : end] == "."
            for end in self._parts.ends(module)
        )

    def may_match(self, module: str) -> bool:
        """Whether a module is named, or a plain name lies anywhere in its own.

        Some loaders take a name so: what one of them leaves out is not said to be missing.
        """
        if self.match(module):
            return True
        parts = module.split(".")[:_DEEPEST]
        return bool(self._plain) and any(
            ".".join(parts[start:end]) in self._plain
            for start in range(len(parts))
            for end in range(start + 1, len(parts) + 1)
        )


def of_transformers(names: Iterable[str], starts: Iterable[str] = ()) -> Patterns:
    """Return those of ``modules_to_not_convert``: expressions up to a dot, or ends of names."""
    names = tuple(names)
    return Patterns(bounded=names, ends=names, starts=starts)


def of_compressed(names: Iterable[str]) -> Patterns:
    """Return those of an ``ignore`` list: whole names, expressions after ``re:``, globs."""
    names = tuple(names)
    others = [one for one in names if not one.startswith("re:")]
    return Patterns(
        others,
        starts=[one[3:] for one in names if one.startswith("re:")],
        globs=[one for one in others if "*" in one],  # of ModelOpt
    )


def is_type(target: str) -> bool:
    """Whether a target is the type of a module (``Linear``), which no file shows."""
    return target[:1].isupper() and target.isidentifier()


def _of_glob(character: str) -> str:
    return {"*": ".*", "?": "."}.get(character) or re.escape(character)
