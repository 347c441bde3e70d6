"""Pairs of tensors, cut into pieces and grouped into tasks of about one size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator, NamedTuple, Sequence

if TYPE_CHECKING:
    from ckpttool.comparison.numbers.tally import Tally
    from ckpttool.tensors.catalogue import TensorInfo
    from ckpttool.tensors.dtypes import DType

# Bytes of one side that make up a task: enough to hide the cost of a task, few enough to share a
# big tensor among threads.
_TASK = 16 << 20
# The most pieces in a task, because each also costs time that does not depend on its size.
_MOST_PIECES = 1024


class Pair(NamedTuple):
    """Two tensors of one shape."""

    left: TensorInfo
    right: TensorInfo

    @property
    def dtypes(self) -> tuple[DType, DType]:
        """The element types."""
        return self.left.dtype, self.right.dtype

    @property
    def comparable(self) -> bool:
        """Whether their elements can be compared, as bytes of one type or as numbers."""
        return self.left.dtype == self.right.dtype or all(
            dtype.has_numbers for dtype in self.dtypes
        )


class Stretch(NamedTuple):
    """``length`` elements of a pair from ``first`` on; ``number`` is the pair's."""

    number: int
    pair: Pair
    first: int
    length: int


class Block(NamedTuple):
    """Elements of both sides that are compared at once.

    Attributes:
        dtypes: their types.
        raw: the little-endian bytes of each side.
        first: index of the first one in the tensor.
    """

    dtypes: tuple[DType, DType]
    raw: tuple[memoryview, memoryview]
    first: int

    @property
    def length(self) -> int:
        """How many there are; of a type below a byte, how many bytes."""
        return len(self.raw[0]) // width(self.dtypes[0])

    def parts(self, most: int) -> Iterator[Block]:
        """Cut into blocks of at most so many elements."""
        if self.length <= most:  # of small tensors, each step beside the computing counts
            yield self
            return
        left, right = map(width, self.dtypes)
        for start in range(0, self.length, most):
            end = start + most
            raw = self.raw[0][start * left : end * left], self.raw[1][start * right : end * right]
            yield Block(self.dtypes, raw, self.first + start)


def all_pieces(pairs: Sequence[Pair]) -> Iterator[Stretch]:
    """Cut whole pairs."""
    for number, pair in enumerate(pairs):
        yield from _cut(number, pair, 0, units(pair.left))


def equal_pieces(pairs: Sequence[Pair], tallies: Sequence[Tally]) -> Iterator[Stretch]:
    """Cut what was equal in pairs that are not equal as a whole."""
    for number, (pair, tally) in enumerate(zip(pairs, tallies)):
        # An identical pair reports no norms, so its bytes are not read again.
        if tally.changed and pair.left.dtype.has_numbers:
            for first, count in tally.equal:
                yield from _cut(number, pair, first, count)


def _cut(number: int, pair: Pair, first: int, count: int) -> Iterator[Stretch]:
    step = _TASK // max(map(width, pair.dtypes))
    for start in range(first, first + count, step):
        yield Stretch(number, pair, start, min(step, first + count - start))


def tasks_of(pieces: Iterator[Stretch]) -> list[list[Stretch]]:
    """Group small pieces, so that all tasks take about as long."""
    tasks: list[list[Stretch]] = []
    room = 0
    for piece in pieces:
        nbytes = piece.length * width(piece.pair.left.dtype)
        if not tasks or nbytes > room or len(tasks[-1]) == _MOST_PIECES:
            tasks.append([])
            room = _TASK
        tasks[-1].append(piece)
        room -= nbytes
    return tasks


def units(info: TensorInfo) -> int:
    """Return how many units are compared: elements, or bytes of elements narrower than one."""
    return info.nbytes // width(info.dtype)


def width(dtype: DType) -> int:
    """Return the bytes of a unit that is compared."""
    # Elements below a byte are packed; a byte is the least that can be cut off.
    return 1 if dtype.bits % 8 else dtype.itemsize
