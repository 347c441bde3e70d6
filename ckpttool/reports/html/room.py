"""How much of each part of a page is written, so that it opens at once whatever the file holds."""

from __future__ import annotations

from typing import Callable, Iterable, TypeVar

_Item = TypeVar("_Item")

#: Bytes of a page without pictures.
MOST_BYTES = 500_000

#: Bytes of what grows with a file. What is left of the page is for styles, script and headings.
SHARES = {
    "files": 25_000,
    "findings": 55_000,
    "heat map": 80_000,
    "histograms": 90_000,
    "tree map": 15_000,
    "tensors": 170_000,
    "changes": 10_000,
    "facts": 12_000,
}


class Room:
    """The bytes that are left for one part of the page, over all files of the run."""

    def __init__(self, left: int) -> None:
        self.left = left

    def take(self, nbytes: int) -> bool:
        """Take so many bytes, if there are as many."""
        if nbytes > self.left:
            return False
        self.left -= nbytes
        return True

    def fitting(self, items: Iterable[_Item], cost: Callable[[_Item], int]) -> list[_Item]:
        """Return the first items that fit: from the first that does not, none."""
        kept: list[_Item] = []
        for item in items:
            if not self.take(cost(item)):
                self.left = 0
                break
            kept.append(item)
        return kept


def rooms() -> dict[str, Room]:
    """Return the room of every part of a page."""
    return {part: Room(share) for part, share in SHARES.items()}


def written(text: str) -> int:
    """Return the bytes that a text takes on the page, as references where HTML needs them."""
    escaped = sum(text.count(character) for character in "&<>\"'")
    return len(text.encode("ascii", "xmlcharrefreplace")) + 4 * escaped
