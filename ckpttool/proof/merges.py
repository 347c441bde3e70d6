"""Merges of low-rank adapters replayed: ``A + scale * up @ down``, held to the elements of B.

Rows are read block by block. A block is computed in float32 first; where B has the same elements,
that is the proof. The others are computed again, alone, in float64, and held to the bounds of
:mod:`ckpttool.proof.merge_bounds`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Callable, Iterator, NamedTuple, Sequence

from ckpttool.proof.additions import Merged, Task
from ckpttool.proof.merge_blocks import Block, Memory, matrix
from ckpttool.tensors.memory import keep_freed
from ckpttool.tensors.workers import Work, processors

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from numpy.typing import NDArray

    from ckpttool.proof.additions import Merge
    from ckpttool.tensors.workers import Worker


# As in a comparison: more threads would wait for memory bandwidth.
_MAX_WORKERS = 6
# Elements of a block, and blocks of a task.
_BLOCK = 1 << 18
_BLOCKS = 16
# Elements of the second factor that are held at once: beyond them the columns are cut.
_FACTOR = 1 << 21
# Blocks of a tensor in which its change is measured.
_MEASURED = 4
# Elements of a block that are looked at to see whether they differ from each other.
_SAMPLE = 4096
# Standard deviations that a measured factor may be off, and elements below which it is not known.
_DEVIATIONS, _FEW = 8, 64


def why_not_replayed(merge: Merge) -> str | None:
    """Return why a merge cannot be replayed; ``None`` if it can."""
    for dtype in merge.pair.dtypes:
        if not dtype.castable:
            return f"a merge is not replayed of {dtype.name}"
    if any(one.magnitude for one in merge.additions):
        if len(merge.additions) > 1:
            return "DoRA is not replayed together with another adapter"
        if merge.additions[0].rank * merge.columns > _FACTOR * 8:
            return "DoRA is not replayed of so large a factor"
    return None


def replay_merges(
    merges: Sequence[Merge],
    *,
    workers: int | None = None,
    executor: Executor | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Merged]:
    """Merge the left side of each pair, and compare with the right one.

    Args:
        merges: those that :func:`why_not_replayed` allows, of two tensors of one shape.
        workers: threads; ``None`` for one per processor, at most 6.
        executor: where they come from; see :class:`ckpttool.tensors.workers.Work`.
        progress: called with how many more bytes were read, from any of the threads.

    Raises:
        SideError: one of the files could not be read; from side 2 on they are the adapters.
    """
    found = [Merged()] * len(merges)
    keep_freed(8 * _BLOCK)
    tasks = [task for number, merge in enumerate(merges) for task in _tasks(number, merge)]
    results = Work(
        _replay,
        tasks,
        Memory,
        workers=workers or min(processors(), _MAX_WORKERS),
        executor=executor,
        progress=progress,
    ).results()
    for task, merged in zip(tasks, results):
        found[task.number] = found[task.number].joined(merged)
    return [one._replace(factor=_other_factor(merge, one)) for merge, one in zip(merges, found)]


def _tasks(number: int, merge: Merge) -> Iterator[Task]:
    rows, columns = (merge.pair.left.shape or (0,))[0], merge.columns
    if not rows or not columns:
        return
    rank = max((one.rank for one in merge.additions), default=1)
    whole = any(one.magnitude for one in merge.additions)
    width = columns if whole else min(columns, max(1, _FACTOR // rank), _BLOCK)
    height = max(1, _BLOCK // width) * _BLOCKS
    # rows to which the same is added
    ends = {0, rows, *(end for one in merge.additions for end in (one.rows.start, one.rows.stop))}
    cuts = sorted(ends)
    for start, end in zip(cuts, cuts[1:]):
        additions = tuple(one for one in merge.additions if start in one.rows)
        for left in range(0, columns, width):
            for first in range(start, end, height):
                last = min(first + height, end)
                yield Task(
                    number, merge, additions, (first, last), (left, min(left + width, columns))
                )


def _replay(task: Task, worker: Worker[Memory]) -> Merged:
    import numpy as np

    pair = task.merge.pair
    infos = (*pair, *(factor for one in task.additions for factor in (one.up, one.down)))
    working = np.dtype("f8" if any(info.dtype.bits == 64 for info in infos) else "f4")
    downs = worker.memory.load(task, working)
    width = task.columns[1] - task.columns[0]
    step = max(1, _BLOCK // width)
    total = Merged()
    for first in range(task.rows[0], task.rows[1], step):
        worker.check()
        last = min(first + step, task.rows[1])
        left, right = (
            matrix(side, info, (first, last), task.columns, partial_room(worker.memory, side))
            for side, info in enumerate(pair)
        )
        block = Block(task, downs, first, left.astype(working, copy=False), right)
        total = total.joined(block.judged(total))
        worker.advance((last - first) * width * sum(info.dtype.itemsize for info in pair))
        if total.given_up and total.changed:
            break
    return total


def partial_room(memory: Memory, side: int) -> Callable[[int], memoryview]:
    """Return what gives room for one of the sides."""
    return lambda nbytes: memory.room("AB"[side], nbytes)


class Measured(NamedTuple):
    """How what was changed in a tensor goes with what is added to it, in some of its rows.

    Attributes:
        factor: the multiple of the addition that is nearest to the change.
        share: the part of the change, by its squares, that this multiple is.
    """

    factor: float
    share: float


def measured(merge: Merge) -> Measured | None:
    """Return how the change goes with the addition; ``None`` if one of them is zero or no number.

    Raises:
        SideError: a file could not be read.
    """
    import numpy as np

    cross = added = changed = 0.0
    with np.errstate(all="ignore"):
        for left, right, sums in _some_blocks(merge):
            difference = right - left
            cross += float((sums * difference).sum())
            added += float(np.square(sums).sum())
            changed += float(np.square(difference).sum())
    if not (0 < added < np.inf and 0 < changed < np.inf):
        return None
    return Measured(cross / added, cross * cross / added / changed)


def _some_blocks(merge: Merge) -> Iterator[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]]:
    """Yield blocks of A, of B and of what is added, in float64."""
    import numpy as np

    memory = Memory()
    tasks = list(_tasks(0, merge))
    for task in tasks[:: max(1, len(tasks) // _MEASURED)]:
        width = task.columns[1] - task.columns[0]
        first, last = task.rows[0], min(task.rows[1], task.rows[0] + max(1, _BLOCK // width))
        left, right = (
            matrix(side, info, (first, last), task.columns).astype("f8")
            for side, info in enumerate(merge.pair)
        )
        downs = memory.load(task, np.dtype("f8"))
        yield left, right, Block(task, downs, first, np.zeros_like(left), right).merged()


def _other_factor(merge: Merge, found: Merged) -> float | None:
    """Return the multiple of what is added that B has, where 16 bits seem to explain it.

    A scale that is off by 1 % leaves each element within the rounding of 16 bits. But roundings go
    up as often as down: how far B lies from the merge does not go with what is added.
    """
    if not found.arithmetic or any(one.magnitude is not None for one in merge.additions):
        return None  # single arithmetic leaves no room for another multiple
    import numpy as np

    from ckpttool.proof.merge_bounds import ARITHMETICS, rounding

    half, into = rounding(ARITHMETICS[found.arithmetic]), rounding(merge.pair.right.dtype)
    single, rounded = _Away(), _Away()
    with np.errstate(all="ignore"):
        for left, right, sums in _some_blocks(merge):
            single.add(right - into((left + sums).astype(np.float32)), sums)
            # where the sum was rounded to 16 bits, much of what is added may be lost
            sum_ = half(half(left.astype(np.float32)) + sums.astype(np.float32))
            rounded.add(right - sum_, sums)
        # a program may have rounded the scale itself
        scales = np.array([one.scale for one in merge.additions if one.scale], np.float32)
        meant = [1.0]
        for one in ARITHMETICS[1:]:
            meant += (rounding(one)(scales).astype("f8") / scales).tolist()
    encoding = ARITHMETICS[found.arithmetic].encoding
    assert encoding is not None  # noqa: S101 (a float)
    # A factor that was rounded is off in a whole row or column. And a scale like 1 / 3 leaves few
    # places between two numbers, so that roundings do not cancel out.
    lines = min(min(one.up.shape[0], one.down.shape[1]) * one.rank for one in merge.additions)
    room = 2.0 ** -(encoding.mantissa + 1) * (_DEVIATIONS / math.sqrt(lines) + 1 / 4)
    if single.is_near(meant, room) or rounded.is_near(meant, room):
        return None
    return single.factor


class _Away:
    """How what B lies away from a merge goes with what is added."""

    def __init__(self) -> None:
        self._cross = self._added = 0.0
        self._squares = [0.0, 0.0, 0.0]  # of both, by the power of what is away
        self._elements = self._sampled = self._different = 0

    def add(self, away: NDArray[Any], sums: NDArray[Any]) -> None:
        """Add some elements; those that are no finite numbers are left out."""
        import numpy as np

        finite = np.isfinite(away) & np.isfinite(sums)
        away, sums = away[finite], sums[finite]
        squares, both = sums * sums, sums * away
        self._cross += float(both.sum())
        self._added += float(squares.sum())
        for power, (one, other) in enumerate(((squares, squares), (squares, both), (both, both))):
            self._squares[power] += float(one @ other)
        self._elements += len(sums)
        sample = sums[:: max(1, len(sums) // _SAMPLE)]
        self._sampled += len(sample)
        self._different += len(np.unique(sample))

    @property
    def factor(self) -> float:
        """The multiple that fits best."""
        return 1 + self._cross / self._added

    @property
    def _deviation(self) -> float:
        # White's estimate, for noise that is larger where weights are
        off = self.factor - 1
        noise = self._squares[2] - 2 * off * self._squares[1] + off * off * self._squares[0]
        return math.sqrt(max(0.0, noise)) / self._added

    def is_near(self, factors: Sequence[float], room: float) -> bool:
        """Whether it may be one of some factors, which can be so much off, or is not known."""
        # of numbers that are all alike, the roundings are, too
        few = self._elements < _FEW or 2 * self._different < self._sampled
        if few or not 0 < self._added < float("inf"):
            return True
        room += _DEVIATIONS * self._deviation
        return any(abs(self.factor - one) <= room for one in factors)
