"""Pairs of tensors, cut into pieces and grouped into tasks of about one size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterable, Iterator, Mapping, NamedTuple, Sequence

if TYPE_CHECKING:
    from ckpttool.comparison.numbers.tally import Tally
    from ckpttool.tensors.catalogue import TensorInfo
    from ckpttool.tensors.dtypes import DType

# Bytes of one side that make up a task: enough to hide the cost of a task, few enough to share a
# big tensor among threads.
_TASK = 16 << 20
#: Bytes of one side that are read and compared at once. Of 512 KiB, as much time goes into calls as
#: into computing; 2 MiB are no faster and leave the caches.
BLOCK_BYTES = 1 << 20
#: Units of a tensor below which it is small: calls of its own would cost more than computing on it.
SMALL = 1 << 14
#: Units that are compared at once of small tensors: the dozen copies in float64 fit in the caches.
GROUP = 1 << 16


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


class Group(NamedTuple):
    """Small tensors that are compared at once.

    Attributes:
        dtypes: the types of each pair.
        numbers: of the pairs.
        pairs: the tensors.
        lengths: units of each pair.
    """

    dtypes: tuple[DType, DType]
    numbers: list[int]
    pairs: list[Pair]
    lengths: list[int]


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


def sorted_out(pairs: Sequence[Pair]) -> tuple[list[Group], list[Stretch]]:
    """Return small tensors in groups of one pair of types, and the pieces of the others."""
    groups: list[Group] = []
    pieces: list[Stretch] = []
    open_groups: dict[tuple[str, str], tuple[Group, int]] = {}
    for number, pair in enumerate(pairs):
        length = units(pair.left)
        if length >= SMALL:
            pieces.extend(_cut(number, pair, 0, length))
            continue
        if not length:
            continue
        key = pair.left.dtype.name, pair.right.dtype.name
        group, room = open_groups.get(key, (None, 0))
        if group is None or room < length:
            group, room = Group(pair.dtypes, [], [], []), GROUP
            groups.append(group)
        group.numbers.append(number)
        group.pairs.append(pair)
        group.lengths.append(length)
        open_groups[key] = group, room - length
    return groups, pieces


def equal_pieces(pairs: Sequence[Pair], tallies: Mapping[int, Tally]) -> Iterator[Stretch]:
    """Cut what was equal in pairs, by their numbers, that are not equal as a whole."""
    for number, tally in sorted(tallies.items()):
        # An identical pair reports no norms, so its bytes are not read again.
        if tally.equal and tally.changed and pairs[number].left.dtype.has_numbers:
            for first, count in tally.equal:
                yield from _cut(number, pairs[number], first, count)


def _cut(number: int, pair: Pair, first: int, count: int) -> Iterator[Stretch]:
    step = _TASK // max(map(width, pair.dtypes))
    for start in range(first, first + count, step):
        yield Stretch(number, pair, start, min(step, first + count - start))


def tasks_of(pieces: Iterable[Stretch]) -> list[list[Stretch]]:
    """Group small pieces, so that all tasks take about as long."""
    tasks: list[list[Stretch]] = []
    room = 0
    for piece in pieces:
        nbytes = piece.length * width(piece.pair.left.dtype)
        if not tasks or nbytes > room:
            tasks.append([])
            room = _TASK
        tasks[-1].append(piece)
        room -= nbytes
    return tasks


def is_native(dtypes: tuple[DType, DType]) -> bool:
    """Whether both sides are float32, which are compared where they lie."""
    return dtypes[0].numpy == dtypes[1].numpy == "f4"


def units(info: TensorInfo) -> int:
    """Return how many units are compared: elements, or bytes of elements narrower than one."""
    return info.nbytes // width(info.dtype)


def width(dtype: DType) -> int:
    """Return the bytes of a unit that is compared."""
    # Elements below a byte are packed; a byte is the least that can be cut off.
    return 1 if dtype.bits % 8 else dtype.itemsize
