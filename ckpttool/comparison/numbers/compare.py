"""The one pass over both files: pairs of tensors, cut into pieces, on several threads.

Both sides are read into memory that stays in the caches and compared there; equal bytes are only
noted. Pieces are independent and merged in order, so the numbers do not depend on the number of
workers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Iterator, List, NamedTuple, Sequence, TypeVar

import numpy as np

from ckpttool.comparison.numbers.blocks import BLOCK, Blocks, norm_of
from ckpttool.comparison.numbers.stretches import Block, all_pieces, equal_pieces, tasks_of, width
from ckpttool.comparison.numbers.tally import Tally
from ckpttool.findings.errors import CkpttoolError
from ckpttool.tensors.gather import CHUNK, fill
from ckpttool.tensors.memory import keep_freed
from ckpttool.tensors.workers import Work, Worker, processors

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from ckpttool.comparison.numbers.general import Tolerance
    from ckpttool.comparison.numbers.stretches import Pair, Stretch
    from ckpttool.tensors.catalogue import TensorInfo

# Workers by default: more would wait for memory bandwidth, and each has 14 MB of its own.
_MAX_WORKERS = 6
# Mean bytes of one side of a tensor below which one thread is faster than two.
_SMALL = 64 << 10
# The largest intermediate result of a block, in bytes.
_TEMPORARY = 2 << 20

_Found = TypeVar("_Found")


class SideError(Exception):
    """An error with one of the two files, ``side`` 0 or 1."""

    def __init__(self, side: int, error: CkpttoolError) -> None:
        super().__init__(side, error)
        self.side = side
        self.error = error


class Pass(NamedTuple):
    """How to compare.

    Attributes:
        tolerance: pairs of elements outside of it are counted; ``None`` to count none.
        workers: threads; ``None`` for one a processor, at most 6, and one for small tensors.
        progress: called with how many more bytes were read, from any of the threads.
        executor: runs them; see :class:`ckpttool.tensors.workers.Work`.
    """

    tolerance: Tolerance | None = None
    workers: int | None = None
    progress: Callable[[int], None] | None = None
    executor: Executor | None = None

    def run(self, pairs: Sequence[Pair]) -> list[Tally]:
        """Compare pairs, each :attr:`Pair.comparable`, and return the tally of each.

        Raises:
            SideError: one of the files could not be read.
        """
        # Tied tensors make pairs of the same bytes, which are read once.
        distinct: dict[Any, Pair] = {}
        keys = [(pair.left.view, pair.right.view) for pair in pairs]
        for key, pair in zip(keys, pairs):
            distinct.setdefault(key, pair)
        tallies = dict(zip(distinct, self._run(list(distinct.values()))))
        return [tallies[key] for key in keys]

    def _run(self, pairs: Sequence[Pair]) -> list[Tally]:
        tallies = [Tally() for _ in pairs]
        keep_freed(_TEMPORARY)
        for found in self._all(_compare, tasks_of(all_pieces(pairs))):
            for index, tally in found:
                if tallies[index].elements:
                    tallies[index].merge(tally)
                else:
                    tallies[index] = tally
        # Norms are over all elements. The equal parts of a changed tensor are read again for it:
        # computing on equal bytes in the first pass would slow down every unchanged tensor.
        for measured in self._all(_measure, tasks_of(equal_pieces(pairs, tallies))):
            for index, count, norm in measured:
                tallies[index].compared += count
                tallies[index].add_norms(norm, norm, 0.0, norm * norm)
        return tallies

    def _all(
        self,
        call: Callable[[List[Stretch], Worker[Blocks]], _Found],
        tasks: Sequence[List[Stretch]],
    ) -> list[_Found]:
        workers = self.workers
        if workers is None:
            workers = 1 if _are_small(tasks) else min(processors(), _MAX_WORKERS)
        return Work(
            call,
            tasks,
            lambda: Blocks(self.tolerance),
            workers=workers,
            executor=self.executor,
            progress=self.progress,
        ).results()


def _are_small(tasks: Sequence[Sequence[Stretch]]) -> bool:
    """Whether the tensors are so small that threads would only wait for each other."""
    # numpy is done with such a tensor before the thread gets the interpreter's lock back.
    pieces = [piece for task in tasks for piece in task]
    nbytes = sum(piece.length * width(piece.pair.left.dtype) for piece in pieces)
    return nbytes < _SMALL * len(pieces)


def _compare(pieces: Sequence[Stretch], worker: Worker[Blocks]) -> list[tuple[int, Tally]]:
    """Compare pieces, and return (index of the pair, tally) for each."""
    results = []
    with np.errstate(all="ignore"):  # NaN and infinity are counted, so numpy need not warn
        for piece in pieces:
            tally = Tally()
            for block in _read(piece, worker):
                worker.memory.add(tally, block)
            results.append((piece.number, tally))
    return results


def _measure(pieces: Sequence[Stretch], worker: Worker[Blocks]) -> list[tuple[int, int, float]]:
    """Return (index of the pair, finite elements, norm) of pieces that are equal."""
    results = []
    with np.errstate(all="ignore"):
        for piece in pieces:
            equal = (block.raw[0] for block in _read(piece, worker))
            results.append((piece.number, *norm_of(piece.pair.left.dtype, equal)))
    return results


def _read(piece: Stretch, worker: Worker[Blocks]) -> Iterator[Block]:
    """Yield the blocks of a piece, in order; each overwrites the one before."""
    sides = piece.pair
    widths = width(sides.left.dtype), width(sides.right.dtype)
    # Gathering a small part of a strided tensor may read most of it, so it is done in few parts.
    chunk = BLOCK if all(info.strides is None for info in sides) else CHUNK
    step = chunk // max(widths)
    block = min(step, BLOCK // max(widths))
    for start in range(piece.first, piece.first + piece.length, step):
        worker.check()
        count = min(step, piece.first + piece.length - start)
        left, right = (
            worker.memory.buffer(side, chunk, sides.dtypes)[: count * each]
            for side, each in enumerate(widths)
        )
        _fill(0, sides.left, start * widths[0], left)
        _fill(1, sides.right, start * widths[1], right)
        yield from Block(sides.dtypes, (left, right), start).parts(block)
        worker.advance(count * sum(widths))


def _fill(side: int, info: TensorInfo, start: int, buffer: memoryview) -> None:
    try:
        fill(info, start, buffer)
    except CkpttoolError as error:
        error.tensor = error.tensor or info.name
        raise SideError(side, error) from error
