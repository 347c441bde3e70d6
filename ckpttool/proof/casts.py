"""Casts replayed: the elements of A, cast as ``convert`` casts them, are held to the bits of B."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Sequence

from ckpttool.comparison.numbers.compare import SideError
from ckpttool.comparison.numbers.stretches import BLOCK_BYTES, Group, Stretch, sorted_out, tasks_of
from ckpttool.findings.errors import CkpttoolError
from ckpttool.tensors.gather import fill, read_small
from ckpttool.tensors.workers import Work, processors

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from ckpttool.comparison.numbers.stretches import Pair
    from ckpttool.tensors.dtypes import DType
    from ckpttool.tensors.workers import Worker

# As in a comparison: more threads would wait for memory bandwidth.
_MAX_WORKERS = 6


class Replayed(NamedTuple):
    """What a replayed cast and a tensor of B have in common.

    Attributes:
        elements: how many were compared.
        differing: how many differ. A NaN is any other NaN, for programs write different ones.
        first: the first that differs, counted in row-major order; ``None`` if none does.
        overflow, underflow: finite elements that the cast makes infinite, nonzero ones that it
            makes zero.
    """

    elements: int = 0
    differing: int = 0
    first: int | None = None
    overflow: int = 0
    underflow: int = 0

    def merged(self, later: Replayed) -> Replayed:
        """Return this and what follows it."""
        return Replayed(
            self.elements + later.elements,
            self.differing + later.differing,
            later.first if self.first is None else self.first,
            self.overflow + later.overflow,
            self.underflow + later.underflow,
        )


def is_cast(source: DType, target: DType) -> bool:
    """Whether one type is cast to the other here."""
    return source != target and source.kind == "float" and source.has_numbers and target.castable


def replay(
    pairs: Sequence[Pair],
    *,
    workers: int | None = None,
    executor: Executor | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Replayed]:
    """Cast the left side of each pair to the type of the right one, and compare.

    Args:
        pairs: tensors of one shape, whose types :func:`is_cast` allows.
        workers: threads; ``None`` for one per processor, at most 6.
        executor: where they come from; see :class:`ckpttool.tensors.workers.Work`.
        progress: called with how many more bytes were read, from any of the threads.

    Raises:
        SideError: one of the files could not be read.
    """
    groups, pieces = sorted_out(pairs)
    found = [Replayed()] * len(pairs)
    tasks: list[Group | Sequence[Stretch]] = [*groups, *tasks_of(pieces)]
    for results in Work(
        _replay_all,
        tasks,
        lambda: [memoryview(bytearray(BLOCK_BYTES)) for _ in range(3)],
        workers=workers or min(processors(), _MAX_WORKERS),
        executor=executor,
        progress=progress,
    ).results():
        for number, replayed in results:
            found[number] = found[number].merged(replayed)
    return found


def _replay_all(
    task: Group | Sequence[Stretch], worker: Worker[list[memoryview]]
) -> list[tuple[int, Replayed]]:
    if isinstance(task, Group):
        return _replay_small(task, worker)
    return [(piece.number, _replay(piece, worker)) for piece in task]


def _replay_small(group: Group, worker: Worker[list[memoryview]]) -> list[tuple[int, Replayed]]:
    """Cast small tensors at once; one by one only if there is something to tell of one."""
    from ckpttool.formats.writing.casting import cast  # late: it loads numpy

    worker.check()
    widths = [dtype.itemsize for dtype in group.dtypes]
    left, right = (
        b"".join(_read_small(side, group, [length * width for length in group.lengths]))
        for side, width in enumerate(widths)
    )
    made = memoryview(bytearray(len(right)))
    losses = cast(group.dtypes[0], group.dtypes[1], memoryview(left), made)
    if not any(losses) and not _differing(group.dtypes[1], made, memoryview(right))[0]:
        worker.advance(len(left) + len(right))
        return [(number, Replayed(length)) for number, length in zip(group.numbers, group.lengths)]
    members = zip(group.numbers, group.pairs, group.lengths)
    return [
        (number, _replay(Stretch(number, pair, 0, length), worker))
        for number, pair, length in members
    ]


def _read_small(side: int, group: Group, sizes: Sequence[int]) -> list[bytes]:
    try:
        return read_small([pair[side] for pair in group.pairs], sizes)
    except CkpttoolError as error:
        raise SideError(side, error) from error


def _replay(piece: Stretch, worker: Worker[list[memoryview]]) -> Replayed:
    from ckpttool.formats.writing.casting import cast  # late: it loads numpy

    dtypes = piece.pair.dtypes
    widths = [dtype.itemsize for dtype in dtypes]
    step = BLOCK_BYTES // max(widths)
    total = Replayed()
    end = piece.first + piece.length
    for start in range(piece.first, end, step):
        worker.check()
        count = min(step, end - start)
        left, right, made = (
            room[: count * width]
            for room, width in zip(worker.memory, (widths[0], widths[1], widths[1]))
        )
        for side, room in enumerate((left, right)):
            _fill(side, piece.pair, start * widths[side], room)
        losses = cast(dtypes[0], dtypes[1], left, made)
        differing, first = _differing(dtypes[1], made, right)
        place = None if first is None else start + first
        total = total.merged(Replayed(count, differing, place, *losses))
        worker.advance(count * sum(widths))
    return total


def _fill(side: int, pair: Pair, start: int, room: memoryview) -> None:
    try:
        fill(pair[side], start, room)
    except CkpttoolError as error:
        error.tensor = error.tensor or pair[side].name
        raise SideError(side, error) from error


def _differing(dtype: DType, made: memoryview, found: memoryview) -> tuple[int, int | None]:
    """Return how many elements differ in a bit, but for NaN, and the first of them."""
    import numpy as np

    from ckpttool.tensors.numpy_arrays import numbers

    bits = f"<u{dtype.itemsize}"
    differ = np.frombuffer(made, bits) != np.frombuffer(found, bits)
    if not differ.any():
        return 0, None
    values: list[Any] = [numbers(dtype, side) for side in (made, found)]
    differ &= ~(np.isnan(values[0]) & np.isnan(values[1]))
    number = int(np.count_nonzero(differ))
    return number, int(differ.argmax()) if number else None
