"""What adapters add to tensors, and what came of replaying it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator, NamedTuple, Sequence

from ckpttool.comparison.numbers.stretches import Pair
from ckpttool.tensors.rows import some_rows

if TYPE_CHECKING:
    from ckpttool.tensors.catalogue import TensorInfo


class Addition(NamedTuple):
    """A product that is added to rows of a tensor.

    Attributes:
        adapter: whose it is, by its number.
        first: the first row that it is added to.
        up, down: its factors, rows times rank and rank times columns.
        scale: of the product.
        magnitude: what the rows are scaled to after the sum (DoRA); ``None`` for a plain one.
    """

    adapter: int
    first: int
    up: TensorInfo
    down: TensorInfo
    scale: float
    magnitude: TensorInfo | None = None

    @property
    def rank(self) -> int:
        """How many products each element is the sum of."""
        return self.down.shape[0]

    @property
    def rows(self) -> range:
        """The rows that it is added to."""
        return range(self.first, self.first + self.up.shape[0])


class Merge(NamedTuple):
    """Tensors of both files, and what is added to the left one, in the order of merging."""

    pair: Pair
    additions: tuple[Addition, ...]

    @property
    def columns(self) -> int:
        """Elements of a row."""
        shape = self.pair.left.shape
        return self.pair.left.numel // shape[0] if shape and shape[0] else 0

    def rows(self, first: int, last: int) -> Merge:
        """Return the merge of some rows, from the first to before the last."""
        pair = Pair(*(some_rows(info, info.name, first, last) for info in self.pair))
        return Merge(pair, tuple(_cut(self.additions, first, last)))


def _cut(additions: Sequence[Addition], first: int, last: int) -> Iterator[Addition]:
    for one in additions:
        start, stop = max(first, one.rows.start), min(last, one.rows.stop)
        if start >= stop:
            continue
        rows = start - one.first, stop - one.first
        magnitude = one.magnitude
        if magnitude is not None:
            flat = magnitude._replace(shape=(magnitude.numel,))
            magnitude = some_rows(flat, magnitude.name, *rows)
        up = some_rows(one.up, one.up.name, *rows)
        yield one._replace(first=start - first, up=up, magnitude=magnitude)


class Merged(NamedTuple):
    """What came of replaying a merge.

    Attributes:
        elements: how many were replayed.
        failing: of each arithmetic, the most exact first, how many it does not explain; of all but
            the last at least so many, and none only if there are none.
        first: of each, the first of these in row-major order; ``None`` if there is none.
        changed: whether B has an element that A, rounded to the type of B, does not have.
        nan: elements that are NaN in both, and not in A.
        given_up: whether so many are not explained that the others were not looked at.
        factor: the multiple of what is added that fits all elements together, where this is not 1
            though each of them for itself is explained; ``None`` elsewhere.
    """

    elements: int = 0
    failing: tuple[int, ...] = (0, 0, 0)
    first: tuple[int | None, ...] = (None, None, None)
    changed: bool = False
    nan: int = 0
    given_up: bool = False
    factor: float | None = None

    def joined(self, other: Merged) -> Merged:
        """Return this and another part of the tensor."""
        firsts = zip(self.first, other.first)
        return Merged(
            self.elements + other.elements,
            tuple(map(sum, zip(self.failing, other.failing))),
            tuple(min((one for one in pair if one is not None), default=None) for pair in firsts),
            self.changed or other.changed,
            self.nan + other.nan,
            self.given_up or other.given_up,
        )

    @property
    def arithmetic(self) -> int | None:
        """The number of the most exact arithmetic that explains all; ``None`` without one."""
        if self.factor is not None:
            return None
        return next((place for place, number in enumerate(self.failing) if not number), None)


class Task(NamedTuple):
    """Some rows and columns of a merge, and what is added to all of these rows."""

    number: int
    merge: Merge
    additions: tuple[Addition, ...]
    rows: tuple[int, int]
    columns: tuple[int, int]
