"""The one pass over both files: pairs of tensors, in pieces, shared out.

Both sides are read into memory that stays in the caches and compared there. Bytes that are
equal are only noted. What one piece gives does not depend on the others, and pieces are merged
in order: one worker and many give the same numbers. Workers are processes where there is enough to
compare, this one can be copied and nobody wants to know how far it is; threads otherwise.
"""

from __future__ import annotations

from threading import Event, local
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Iterator,
    List,
    NamedTuple,
    Sequence,
    Tuple,
)

import numpy as np

from ckpttool.comparison.numbers.blocks import BLOCK, Blocks, norm_of
from ckpttool.comparison.numbers.stretches import Block, all_pieces, equal_pieces, tasks_of, width
from ckpttool.comparison.numbers.tally import Tally
from ckpttool.findings.errors import CkpttoolError
from ckpttool.tensors.gather import CHUNK, fill
from ckpttool.tensors.memory import keep_freed
from ckpttool.tensors.processes import can_fork, in_processes
from ckpttool.tensors.workers import processors, results_of

if TYPE_CHECKING:
    from ckpttool.comparison.numbers.general import Tolerance
    from ckpttool.comparison.numbers.stretches import Pair, Stretch
    from ckpttool.tensors.catalogue import TensorInfo

# Workers where nobody says how many: more wait for the memory bus, and each has 14 MB of its own.
_MAX_WORKERS = 6
# Tasks, of 16 MiB a side, from which on it pays to do them in processes of their own.
_WORTH_FORKING = 8
# What an intermediate result of a block has at most, in bytes.
_TEMPORARY = 2 << 20


class SideError(Exception):
    """Something is wrong with one of the two files: ``side`` 0 or 1, and what."""

    def __init__(self, side: int, error: CkpttoolError) -> None:
        super().__init__(side, error)
        self.side = side
        self.error = error


class Pass(NamedTuple):
    """How to compare.

    Attributes:
        tolerance: what to count the pairs of elements outside of; ``None`` to count none.
        workers: processes or threads; ``None`` for one a processor, at most 6.
        progress: told how many bytes more were read, from any of the threads.
    """

    tolerance: Tolerance | None = None
    workers: int | None = None
    progress: Callable[[int], None] | None = None

    def run(self, pairs: Sequence[Pair]) -> list[Tally]:
        """Compare pairs, each :attr:`Pair.comparable`, and return what each adds up to.

        Pairs of the same bytes are read once.

        Raises:
            SideError: one of the files could not be read.
        """
        distinct: dict[Any, Pair] = {}
        keys = [(pair.left.view, pair.right.view) for pair in pairs]
        for key, pair in zip(keys, pairs):
            distinct.setdefault(key, pair)
        tallies = dict(zip(distinct, self._run(list(distinct.values()))))
        return [tallies[key] for key in keys]

    def _run(self, pairs: Sequence[Pair]) -> list[Tally]:
        tallies = [Tally() for _ in pairs]
        keep_freed(_TEMPORARY)
        reader = _Reader(self)
        for found in self._all(reader, reader.compare, tasks_of(all_pieces(pairs))):
            for index, tally in found:
                tallies[index].merge(tally)
        # norms are over all elements, so those of a changed tensor's equal parts count
        equal = tasks_of(equal_pieces(pairs, tallies))
        for measured in self._all(reader, reader.measure, equal):
            for index, count, norm in measured:
                tallies[index].compared += count
                tallies[index].add_norms(norm, norm, 0.0, norm * norm)
        return tallies

    def _all(
        self, reader: _Reader, call: Callable[[Any], Any], tasks: Sequence[Sequence[Stretch]]
    ) -> list[Any]:
        """Return the results in order; an error, or an interruption, ends all work."""
        count = min(self.workers or min(processors(), _MAX_WORKERS), len(tasks))
        if count < 2:
            return [call(task) for task in tasks]
        # what is told to a copy of the process is lost with it
        if len(tasks) >= _WORTH_FORKING and self.progress is None and can_fork():
            return in_processes(call, tasks, count)
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(count, thread_name_prefix="ckpttool-diff") as pool:
            futures = [pool.submit(call, task) for task in tasks]
            try:
                return results_of(futures)
            except BaseException:
                reader.stopped.set()
                raise
            finally:
                for future in futures:
                    future.cancel()


class _Stopped(Exception):  # noqa: N818 (not an error: the way out of a cancelled task)
    """The pass was cancelled while the task ran."""


_Measured = List[Tuple[int, int, float]]


class _Reader:
    """The tasks themselves. One a pass, shared by its threads."""

    def __init__(self, options: Pass) -> None:
        self.stopped = Event()
        self._options = options
        self._own = local()

    def compare(self, pieces: Sequence[Stretch]) -> list[tuple[int, Tally]]:
        """Compare some pieces; (index of the pair, tally) each."""
        blocks = self._blocks()
        results = []
        with np.errstate(all="ignore"):  # NaN and infinity are results, not worth a warning
            for piece in pieces:
                tally = Tally()
                for block in self._read(piece):
                    blocks.add(tally, block)
                results.append((piece.number, tally))
        return results

    def measure(self, pieces: Sequence[Stretch]) -> _Measured:
        """Return (index of the pair, finite elements, norm) of pieces that are equal."""
        results = []
        with np.errstate(all="ignore"):
            for piece in pieces:
                equal = (block.raw[0] for block in self._read(piece))
                results.append((piece.number, *norm_of(piece.pair.left.dtype, equal)))
        return results

    def _read(self, piece: Stretch) -> Iterator[Block]:
        """Yield the blocks of a piece, in order; the memory of each is that of the next."""
        blocks = self._blocks()
        sides = piece.pair
        widths = width(sides.left.dtype), width(sides.right.dtype)
        # a strided tensor is gathered in larger pieces, or it would be read over and over
        chunk = BLOCK if all(info.strides is None for info in sides) else CHUNK
        step = chunk // max(widths)
        block = min(step, BLOCK // max(widths))
        for start in range(piece.first, piece.first + piece.length, step):
            if self.stopped.is_set():
                raise _Stopped
            count = min(step, piece.first + piece.length - start)
            left, right = (
                blocks.buffer(side, chunk, sides.dtypes)[: count * each]
                for side, each in enumerate(widths)
            )
            _fill(0, sides.left, start * widths[0], left)
            _fill(1, sides.right, start * widths[1], right)
            yield from Block(sides.dtypes, (left, right), start).parts(block)
            if self._options.progress is not None:
                self._options.progress(count * sum(widths))

    def _blocks(self) -> Blocks:
        """Return this thread's own."""
        blocks: Blocks | None = getattr(self._own, "blocks", None)
        if blocks is None:
            blocks = self._own.blocks = Blocks(self._options.tolerance)
        return blocks


def _fill(side: int, info: TensorInfo, start: int, buffer: memoryview) -> None:
    try:
        fill(info, start, buffer)
    except CkpttoolError as error:
        error.tensor = error.tensor or info.name
        raise SideError(side, error) from error
