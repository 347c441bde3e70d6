"""What turns names into other names, in one line for all pairs that one rule explains.

``layers.* -> encoder.layers.*`` stands for every pair whose names differ in that alone. ``*`` is
any text, as in the patterns that ``--map`` takes.
"""

from __future__ import annotations

from typing import Iterable, NamedTuple, Tuple

# Names with more parts than in any model are not taken apart.
_MOST_PARTS = 24


class Renaming(NamedTuple):
    """How a name on the left is spelled on the right; ``*`` is the text that they share."""

    left: str
    right: str

    def __str__(self) -> str:
        return f"{self.left} -> {self.right}"


def rules_of(pairs: Iterable[Tuple[str, str]]) -> dict[Renaming, list[tuple[str, str]]]:
    """Return the rules that explain pairs of names that differ, and the pairs of each.

    A rule that would stand for one pair alone is that pair, in full.
    """
    found: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for pair in pairs:
        found.setdefault(_rule_of(*pair), []).append(pair)
    named: dict[Renaming, list[tuple[str, str]]] = {}
    for rule, alike in found.items():
        own = Renaming(*(alike[0] if len(alike) == 1 else rule))
        named.setdefault(own, []).extend(alike)
    return named


def _rule_of(left: str, right: str) -> tuple[str, str]:
    one, other = left.split(".", _MOST_PARTS), right.split(".", _MOST_PARTS)
    most = min(len(one), len(other))
    if max(len(one), len(other)) > _MOST_PARTS:
        return left, right
    end = 0
    while end < most and one[-1 - end] == other[-1 - end]:
        end += 1
    start = 0
    while start < most - end and one[start] == other[start]:
        start += 1
    before, after = ["*"] * bool(start), ["*"] * bool(end)
    middle, instead = one[start : len(one) - end], other[start : len(other) - end]
    if start and end and not (middle and instead):
        # what was put between is told by the name behind it, since "*.*" says nothing
        after = one[len(one) - end :]
    return ".".join([*before, *middle, *after]), ".".join([*before, *instead, *after])
