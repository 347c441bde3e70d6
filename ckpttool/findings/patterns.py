r"""Patterns for names of tensors: globs, and every form in which the tool itself prints names.

A name can be pasted from a report: in the short form of :mod:`ckpttool.findings.names`
(``blocks.{0-11}.norm1.{weight,bias}``, several of them separated by commas), with the escapes
that make it printable, or with characters in it that have a meaning in globs.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Callable, Tuple

from ckpttool.findings.globs import Glob, glob_of, short_of
from ckpttool.findings.text import printable

#: Characters of a name that reports show; see ``reports.details``.
SHOWN = 2000


def matches_glob(pattern: str, name: str) -> bool:
    """Whether a name is the one that is written, or a glob matches it."""
    # as written first, since a name such as "layer[0]" is another glob
    return pattern == name or glob_of(pattern).matches(name)


def matches(pattern: str, name: str) -> bool:
    """Whether a pattern matches a name, also in the forms in which reports print it."""
    # as it is or as reports print it, since a pattern may be pasted from either
    shown = printable(name, SHOWN)
    if pattern in (name, shown):
        return True
    return any(one.matches(name) or one.matches(shown) for one in _read(pattern))


def matcher(pattern: str) -> Callable[[str], bool]:
    """Return what tells whether the pattern matches a name, as :func:`matches`: for many names."""
    tries = _read(pattern)
    if tries[::2] == tries[1::2]:
        tries = tries[::2]  # without wildcards each is there twice

    def fits(name: str) -> bool:
        if pattern == name or any(one.matches(name) for one in tries):
            return True
        shown = printable(name, SHOWN)
        return shown != name and (pattern == shown or any(one.matches(shown) for one in tries))

    return fits


@lru_cache(maxsize=1024)
def _read(pattern: str) -> Tuple[Glob, ...]:
    groups = [group for group in pattern.split(", ") if group]
    # each twice: as a glob, and literally, for a name such as "layer[0]"
    return tuple(short_of(group, globs) for group in groups for globs in (True, False))
