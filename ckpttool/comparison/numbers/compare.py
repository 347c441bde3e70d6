"""The one pass over both files: pairs of tensors, cut into pieces, on several threads.

Both sides are read into memory that stays in the caches and compared there as bytes; what is equal
is only noted, and numpy is loaded for what is not. Pieces are independent and merged in order, so
the numbers do not depend on the number of workers.
"""

from __future__ import annotations

from functools import partial
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Iterator,
    List,
    NamedTuple,
    Sequence,
    TypeVar,
    Union,
)

from ckpttool.comparison.numbers.stretches import (
    BLOCK_BYTES,
    Block,
    Group,
    equal_pieces,
    is_native,
    sorted_out,
    tasks_of,
    width,
)
from ckpttool.comparison.numbers.tally import Tally
from ckpttool.findings.errors import CkpttoolError
from ckpttool.tensors.gather import CHUNK, fill, read_small
from ckpttool.tensors.memory import keep_freed
from ckpttool.tensors.workers import Work, Worker, processors

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from ckpttool.comparison.numbers.blocks import Blocks
    from ckpttool.comparison.numbers.measuring import OfPair
    from ckpttool.comparison.numbers.stretches import Pair, Stretch
    from ckpttool.comparison.numbers.tolerance import Tolerance
    from ckpttool.tensors.catalogue import TensorInfo

# Workers by default: more would wait for memory bandwidth, and each has 14 MB of its own.
_MAX_WORKERS = 6
# Mean bytes of one side of a tensor below which one thread is faster than two.
_SMALL = 64 << 10
# The largest intermediate result of a block, in bytes.
_TEMPORARY = 2 << 20

_Task = Union[Group, List["Stretch"]]
_Found = TypeVar("_Found")


class SideError(Exception):
    """An error with one of the two files, ``side`` 0 or 1."""

    def __init__(self, side: int, error: CkpttoolError) -> None:
        super().__init__(side, error)
        self.side = side
        self.error = error


class Memory:
    """What a thread reads into, and what it computes with once something differs."""

    def __init__(self, tolerance: Tolerance | None) -> None:
        self._tolerance = tolerance
        self._rooms: dict[tuple[int, bool], bytearray] = {}
        self._blocks: Blocks | None = None

    def room(self, size: int, native: bool) -> bytearray:
        """Return room for ``size`` bytes of the left side, and after them for the right side.

        Float32 (``native``) have one of their own, in which they are also computed on.
        """
        # A bytearray, since Python compares it with the system's own function.
        key = size, native and size == BLOCK_BYTES
        if key not in self._rooms:
            self._rooms[key] = bytearray(2 * size)
        return self._rooms[key]

    @property
    def blocks(self) -> Blocks:
        """What compares blocks as numbers."""
        if self._blocks is None:
            from ckpttool.comparison.numbers.blocks import Blocks  # late: equal files need no numpy

            self._blocks = Blocks(self._tolerance, self.room(BLOCK_BYTES, native=True))
        return self._blocks


class Pass(NamedTuple):
    """How to compare.

    Attributes:
        tolerance: pairs of elements outside of it are counted; ``None`` to count none.
        workers: threads; ``None`` for one per processor, at most 6, and one for small tensors.
        progress: called with how many more bytes were read, from any of the threads.
        executor: runs them; see :class:`ckpttool.tensors.workers.Work`.
        sample: elements of a tensor that make its sample, where both sides are measured.
    """

    tolerance: Tolerance | None = None
    workers: int | None = None
    progress: Callable[[int], None] | None = None
    executor: Executor | None = None
    sample: int = 0

    def run(self, pairs: Sequence[Pair], measured: int = 0) -> list[Tally]:
        """Compare pairs, each :attr:`Pair.comparable`, and return the tally of each.

        Args:
            pairs: what to compare.
            measured: how many of them, from the first on, are measured as well.

        Raises:
            SideError: one of the files could not be read.
        """
        # Tied tensors make pairs of the same bytes, which are read once.
        distinct: dict[Any, Pair] = {}
        keys = [(pair.left.view, pair.right.view) for pair in pairs]
        for key, pair in zip(keys, pairs):
            distinct.setdefault(key, pair)
        tallies = self._run(list(distinct.values()), len(set(keys[:measured])))
        if len(distinct) == len(pairs):
            return tallies
        of_key = dict(zip(distinct, tallies))
        return [of_key[key] for key in keys]

    def _run(self, pairs: Sequence[Pair], measured: int = 0) -> list[Tally]:
        tallies: dict[int, Tally] = {}
        keep_freed(_TEMPORARY)
        groups, pieces = sorted_out(pairs)
        tasks: list[_Task] = [*groups, *tasks_of(pieces)]
        workers = self.workers
        if workers is None and sum(_nbytes(task) for task in tasks) < _SMALL * len(pairs):
            # numpy is done with small tensors before a thread gets the interpreter's lock back
            workers = 1
        compare = partial(_compare, _Asked(measured, self.sample))
        for found in self._all(compare, tasks, workers):
            for index, tally in found:
                if index in tallies:
                    tallies[index].merge(tally)
                else:
                    tallies[index] = tally
        # Norms are over all elements. The equal parts of a changed tensor are read again for it:
        # computing on equal bytes in the first pass would slow down every unchanged tensor.
        for norms in self._all(_measure, tasks_of(equal_pieces(pairs, tallies)), workers):
            for index, count, norm in norms:
                tallies[index].compared += count
                tallies[index].add_norms(norm, norm, 0.0, norm * norm)
        # those that are missing have no elements
        return [tallies.get(index) or Tally() for index in range(len(pairs))]

    def _all(
        self,
        call: Callable[[Any, Worker[Memory]], _Found],
        tasks: Sequence[Any],
        workers: int | None,
    ) -> list[_Found]:
        return Work(
            call,
            tasks,
            lambda: Memory(self.tolerance),
            workers=workers or min(processors(), _MAX_WORKERS),
            executor=self.executor,
            progress=self.progress,
        ).results()


def _nbytes(task: _Task) -> int:
    """Return the bytes of the left side."""
    if isinstance(task, Group):
        return sum(task.lengths) * width(task.dtypes[0])
    return sum(piece.length * width(piece.pair.left.dtype) for piece in task)


class _Asked(NamedTuple):
    """What is measured: pairs up to this number, with samples of so many elements."""

    pairs: int
    sample: int

    def of(self, piece: Stretch) -> OfPair | None:
        """Return what measures a part of a pair; ``None`` if it is not to be measured."""
        if piece.number >= self.pairs or not piece.pair.left.dtype.has_numbers:
            return None
        from ckpttool.comparison.numbers.measuring import OfPair  # late: numpy

        return OfPair(piece.pair, self.sample)


def _compare(asked: _Asked, task: _Task, worker: Worker[Memory]) -> list[tuple[int, Tally]]:
    """Compare what is in a task, and return (index of the pair, tally) for each."""
    if isinstance(task, Group):
        return _compare_small(asked, task, worker)
    results = []
    for piece in task:
        tally = Tally()
        tally.measures = measures = asked.of(piece)
        for block, equal in _read(piece, worker):
            if measures is not None:  # before the comparison, which may change the memory
                measures.add(block, equal=equal)
            if equal:
                tally.add_equal(block.first, block.length)
            else:
                worker.memory.blocks.add(tally, block)
        results.append((piece.number, tally))
    return results


def _compare_small(asked: _Asked, group: Group, worker: Worker[Memory]) -> list[tuple[int, Tally]]:
    worker.check()
    widths = [width(dtype) for dtype in group.dtypes]
    left, right = (
        _read_small(side, [pair[side] for pair in group.pairs], [n * each for n in group.lengths])
        for side, each in enumerate(widths)
    )
    # Between two types values count, not bytes.
    same = group.dtypes[0] == group.dtypes[1]
    chosen = [n for n, pair in enumerate(zip(left, right)) if not same or pair[0] != pair[1]]
    tallies: dict[int, Tally] = {}
    if chosen:
        raw = [memoryview(b"".join([side[place] for place in chosen])) for side in (left, right)]
        block = Block(group.dtypes, (raw[0], raw[1]), 0)
        found = worker.memory.blocks.tallies_of(block, [group.lengths[place] for place in chosen])
        tallies = dict(zip(chosen, found))
    results = [
        (number, tallies.get(place) or _equal(length))
        for place, (number, length) in enumerate(zip(group.numbers, group.lengths))
    ]
    if group.numbers[0] < asked.pairs and group.dtypes[0].has_numbers:
        from ckpttool.comparison.numbers.measuring import of_small  # late: numpy

        for (_, tally), both in zip(results, of_small(group, left, right, asked.sample)):
            tally.whole = both
    worker.advance(sum(group.lengths) * sum(widths))
    return results


def _equal(length: int) -> Tally:
    tally = Tally()
    tally.add_equal(0, length)
    return tally


def _measure(pieces: Sequence[Stretch], worker: Worker[Memory]) -> list[tuple[int, int, float]]:
    """Return (index of the pair, finite elements, norm) of pieces that are equal."""
    from ckpttool.comparison.numbers.blocks import norm_of  # late: as above

    results = []
    for piece in pieces:
        equal = (block.raw[0] for block, _ in _read(piece, worker))
        results.append((piece.number, *norm_of(piece.pair.left.dtype, equal)))
    return results


def _read(piece: Stretch, worker: Worker[Memory]) -> Iterator[tuple[Block, bool]]:
    """Yield the blocks of a piece, in order, and whether their bytes are equal on both sides.

    Each overwrites the one before.
    """
    sides = piece.pair
    widths = width(sides.left.dtype), width(sides.right.dtype)
    # Gathering a small part of a strided tensor may read most of it, so it is done in few parts.
    chunk = BLOCK_BYTES if all(info.strides is None for info in sides) else CHUNK
    step = chunk // max(widths)
    most = min(step, BLOCK_BYTES // max(widths))
    room = worker.memory.room(chunk, is_native(sides.dtypes))
    memory = memoryview(room)
    same = sides.dtypes[0] == sides.dtypes[1]
    for start in range(piece.first, piece.first + piece.length, step):
        worker.check()
        count = min(step, piece.first + piece.length - start)
        left, right = memory[: count * widths[0]], memory[chunk : chunk + count * widths[1]]
        _fill(0, sides.left, start * widths[0], left)
        _fill(1, sides.right, start * widths[1], right)
        at = 0
        for block in Block(sides.dtypes, (left, right), start).parts(most):
            yield block, same and room.startswith(block.raw[1], at)
            at += len(block.raw[0])
        worker.advance(count * sum(widths))


def _fill(side: int, info: TensorInfo, start: int, buffer: memoryview) -> None:
    try:
        fill(info, start, buffer)
    except CkpttoolError as error:
        error.tensor = error.tensor or info.name
        raise SideError(side, error) from error


def _read_small(side: int, tensors: Sequence[TensorInfo], sizes: Sequence[int]) -> list[bytes]:
    try:
        return read_small(tensors, sizes)
    except CkpttoolError as error:
        raise SideError(side, error) from error
