"""Telling names that are the schema's behind what a wrapper or an adapter's library put there."""

from __future__ import annotations

from collections import Counter
from typing import Collection, Iterable, NamedTuple

#: Names of the two matrices of PEFT, and of those that follow it.
LOW_RANK = ("lora_A", "lora_B")

# Parts of a name that a prefix has at most: base_model.model.model.
_MOST_PARTS = 8


class Behind(NamedTuple):
    """Names that are those of a schema but for one text.

    Attributes:
        prefix: what stands before them, with the dot behind it.
        names: how many they are.
        most: how often it stands in one of them at most: FSDP puts it before inner modules, too.
    """

    prefix: str
    names: int
    most: int


def behind_a_prefix(names: Collection[str], expected: Collection[str]) -> Behind | None:
    """Return the prefix behind which most of a schema's names stand; ``None`` if none does.

    Args:
        names: those of the file.
        expected: those of the schema, of which the file has none.
    """
    votes: Counter[str] = Counter()
    for name in names:
        parts = name.split(".", _MOST_PARTS + 1)
        prefix = ""
        for part in parts[: min(len(parts) - 1, _MOST_PARTS)]:
            prefix += f"{part}."
            if name[len(prefix) :] in expected:
                votes[prefix] += 1
                break
    for prefix, _ in votes.most_common(1):
        those = [name for name in names if name.startswith(prefix)]
        found = [name for name in those if name.replace(prefix, "") in expected]
        if len(found) > 1 and 2 * len(found) >= len(expected):
            return Behind(prefix, len(found), max(name.count(prefix) for name in found))
    return None


def has_adapters(names: Iterable[str]) -> bool:
    """Whether some of the names are the matrices of a low-rank adapter."""
    return any(not set(LOW_RANK).isdisjoint(name.split(".")) for name in names)
