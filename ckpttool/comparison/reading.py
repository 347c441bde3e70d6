"""The one pass over both files: pairs of tensors, in pieces, over a pool of threads.

Both sides are read into memory that stays in the caches and compared there. Bytes that are
equal are only noted. What one piece gives does not depend on the others, and pieces are merged
in order: one thread and many give the same numbers.
"""

from __future__ import annotations

from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from math import sqrt
from threading import Event, local
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Iterable,
    Iterator,
    List,
    NamedTuple,
    Sequence,
    Tuple,
)

import numpy as np

from ckpttool.arena import allocate
from ckpttool.comparison import floats, general
from ckpttool.comparison.places import bits_of
from ckpttool.comparison.tally import Tally
from ckpttool.elements import numbers
from ckpttool.errors import CkpttoolError
from ckpttool.gather import CHUNK, fill
from ckpttool.moments import Moments
from ckpttool.values import processors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ckpttool.comparison.general import Tolerance
    from ckpttool.tensors import DType, TensorInfo

# Bytes of one side that are read and compared at once ...
_BLOCK = 4 * floats.BLOCK
# ... and that make up a task: enough to hide what one costs, few enough to share a big tensor.
_TASK = 16 << 20
# Bytes by which blocks show that they may be equal, before all are looked at.
_PEEK = 64
# Threads where nobody says how many: more wait for the memory bus, and each has 12 MiB of its own.
_MAX_WORKERS = 8


class Pair(NamedTuple):
    """Two tensors of one shape."""

    left: TensorInfo
    right: TensorInfo

    @property
    def comparable(self) -> bool:
        """Whether their elements can be compared: as bytes of one type, or as numbers."""
        return self.left.dtype == self.right.dtype or all(map(_has_numbers, self._dtypes))

    @property
    def _dtypes(self) -> tuple[DType, DType]:
        return self.left.dtype, self.right.dtype


class SideError(Exception):
    """Something is wrong with one of the two files: ``side`` 0 or 1, and what."""

    def __init__(self, side: int, error: CkpttoolError) -> None:
        super().__init__(str(error))
        self.side = side
        self.error = error


class Pass(NamedTuple):
    """How to compare.

    Attributes:
        tolerance: what to count the pairs of elements outside of; ``None`` to count none.
        workers: threads; ``None`` for one a processor.
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
        keys = [(pair.left[1:6], pair.right[1:6]) for pair in pairs]
        for key, pair in zip(keys, pairs):
            distinct.setdefault(key, pair)
        tallies = dict(zip(distinct, self._run(list(distinct.values()))))
        return [tallies[key] for key in keys]

    def _run(self, pairs: Sequence[Pair]) -> list[Tally]:
        tallies = [Tally() for _ in pairs]
        reader = _Reader(self)
        with ThreadPoolExecutor(
            self.workers or min(processors(), _MAX_WORKERS), thread_name_prefix="ckpttool-diff"
        ) as pool:
            try:
                for found in _all(pool, reader.compare, _tasks(_pieces(pairs))):
                    for index, tally in found:
                        tallies[index].merge(tally)
                # norms are over all elements, so those of a changed tensor's equal parts count
                equal = _tasks(_equal_pieces(pairs, tallies))
                for measured in _all(pool, reader.measure, equal):
                    for index, count, norm in measured:
                        tallies[index].compared += count
                        tallies[index].add_norms(norm, norm, 0.0, norm * norm)
            except BaseException:
                reader.stopped.set()
                raise
        return tallies


class _Piece(NamedTuple):
    """``length`` elements of a pair from ``first`` on; ``number`` is the pair's."""

    number: int
    pair: Pair
    first: int
    length: int


def _all(
    pool: ThreadPoolExecutor, call: Callable[[Any], Any], tasks: Sequence[Sequence[_Piece]]
) -> Iterator[Any]:
    """Yield the results in order; on an error cancel what has not begun."""
    futures = [pool.submit(call, task) for task in tasks]
    try:
        wait(futures, return_when=FIRST_EXCEPTION)
        for future in futures:
            if future.done():
                future.result()
        for future in futures:
            yield future.result()
    finally:
        for future in futures:
            future.cancel()


def _pieces(pairs: Sequence[Pair]) -> Iterator[_Piece]:
    for index, pair in enumerate(pairs):
        yield from _cut(index, pair, 0, units(pair.left))


def _equal_pieces(pairs: Sequence[Pair], tallies: Sequence[Tally]) -> Iterator[_Piece]:
    for index, (pair, tally) in enumerate(zip(pairs, tallies)):
        if tally.changed and _has_numbers(pair.left.dtype):
            for first, count in tally.equal:
                yield from _cut(index, pair, first, count)


def _cut(index: int, pair: Pair, first: int, count: int) -> Iterator[_Piece]:
    step = _TASK // max(_width(pair.left.dtype), _width(pair.right.dtype))
    for start in range(first, first + count, step):
        yield _Piece(index, pair, start, min(step, first + count - start))


def _tasks(pieces: Iterator[_Piece]) -> list[list[_Piece]]:
    """Put small pieces together."""
    tasks: list[list[_Piece]] = []
    room = 0
    for piece in pieces:
        nbytes = piece.length * _width(piece.pair.left.dtype)
        if nbytes > room:
            tasks.append([])
            room = _TASK
        tasks[-1].append(piece)
        room -= nbytes
    return tasks


def units(info: TensorInfo) -> int:
    """Return how many things are compared: elements, or the bytes of elements below a byte."""
    return info.nbytes // _width(info.dtype)


def _width(dtype: DType) -> int:
    return 1 if dtype.bits % 8 else dtype.itemsize


def _has_numbers(dtype: DType) -> bool:
    return numbers(dtype, memoryview(b"")) is not None


class _Stopped(Exception):  # noqa: N818 (not an error: the way out of a cancelled task)
    """The pass was cancelled while the task ran."""


_Measured = List[Tuple[int, int, float]]


class _Reader:
    """The tasks themselves. One a pass, shared by its threads."""

    def __init__(self, options: Pass) -> None:
        self.stopped = Event()
        self._options = options
        self._own = local()

    def compare(self, pieces: Sequence[_Piece]) -> list[tuple[int, Tally]]:
        """Compare some pieces; (index of the pair, tally) each."""
        memory = self._memory()
        results = []
        with np.errstate(all="ignore"):  # NaN and infinity are results, not worth a warning
            for piece in pieces:
                tally = Tally()
                dtypes = piece.pair.left.dtype, piece.pair.right.dtype
                for first, raw in self._read(piece):
                    if dtypes[0] == dtypes[1]:
                        memory.add_same(tally, dtypes[0], raw, first, self._options.tolerance)
                    else:
                        memory.add_cast(tally, dtypes, raw, first, self._options.tolerance)
                results.append((piece.number, tally))
        return results

    def measure(self, pieces: Sequence[_Piece]) -> _Measured:
        """Return (index of the pair, finite elements, norm) of pieces that are equal."""
        results = []
        with np.errstate(all="ignore"):
            for piece in pieces:
                measured = _norm if piece.pair.left.dtype.kind != "complex" else _complex_norm
                dtype, equal = piece.pair.left.dtype, (raw[0] for _, raw in self._read(piece))
                results.append((piece.number, *measured(dtype, equal)))
        return results

    def _read(self, piece: _Piece) -> Iterator[tuple[int, tuple[memoryview, memoryview]]]:
        """Yield (index of the first element, bytes of both sides), block by block."""
        memory = self._memory()
        sides = piece.pair
        widths = _width(sides.left.dtype), _width(sides.right.dtype)
        # a strided tensor is gathered in larger pieces, or it would be read over and over
        chunk = _BLOCK if all(info.strides is None for info in sides) else CHUNK
        step = chunk // max(widths)
        block = min(step, _BLOCK // max(widths))
        for start in range(piece.first, piece.first + piece.length, step):
            if self.stopped.is_set():
                raise _Stopped
            count = min(step, piece.first + piece.length - start)
            whole = []
            for side, (info, width) in enumerate(zip(sides, widths)):
                buffer = memory.buffer(side, chunk)[: count * width]
                _fill(side, info, start * width, buffer)
                whole.append(buffer)
            for offset in range(0, count, block):
                end = min(offset + block, count)
                left, right = (
                    data[offset * width : end * width] for data, width in zip(whole, widths)
                )
                yield start + offset, (left, right)
            if self._options.progress is not None:
                self._options.progress(count * sum(widths))

    def _memory(self) -> _Memory:
        """Return this thread's own memory."""
        memory: _Memory | None = getattr(self._own, "memory", None)
        if memory is None:
            memory = self._own.memory = _Memory()
        return memory


def _norm(dtype: DType, blocks: Iterable[memoryview]) -> tuple[int, float]:
    """Return how many finite numbers there are, and their norm."""
    moments, total = Moments(dtype), 0
    for raw in blocks:
        moments.add(raw)
        total += len(raw) // dtype.itemsize
    count = total - moments.nan - moments.infinite
    return count, (moments.rms or 0.0) * sqrt(count)


def _complex_norm(dtype: DType, blocks: Iterable[memoryview]) -> tuple[int, float]:
    """Return the same of complex numbers, of which both parts have to be finite."""
    tally, width = Tally(), dtype.itemsize
    for raw in blocks:
        for start in range(0, len(raw), general.BLOCK * width):
            part = raw[start : start + general.BLOCK * width]
            equal = np.zeros(len(part) // width, np.bool_)
            general.add_block(tally, (dtype, dtype), (part, part), 0, equal, None)
    return tally.compared, tally.norm_left


def _fill(side: int, info: TensorInfo, start: int, buffer: memoryview) -> None:
    try:
        fill(info, start, buffer)
    except CkpttoolError as error:
        error.tensor = error.tensor or info.name
        raise SideError(side, error) from error


class _Memory:
    """What a thread compares in and with."""

    def __init__(self) -> None:
        self._buffers: dict[tuple[int, int], memoryview] = {}
        self._differs = np.empty(_BLOCK, np.bool_)
        self._floats = floats.Float32Blocks()

    def buffer(self, side: int, size: int) -> memoryview:
        """Return the same memory every time."""
        key = side, size
        if key not in self._buffers:
            self._buffers[key] = allocate(size)
        return self._buffers[key]

    def add_same(
        self,
        tally: Tally,
        dtype: DType,
        raw: tuple[memoryview, memoryview],
        first: int,
        tolerance: Tolerance | None,
    ) -> None:
        """Take in a block of two tensors of one type."""
        differs = None
        if bytes(raw[0][:_PEEK]) == bytes(raw[1][:_PEEK]):
            differs = self._compare_bits(dtype, raw)
            if not differs.any():
                tally.add_equal(first, len(differs))
                return
        if dtype.name == "float32" and tolerance is None:
            left, right = (np.frombuffer(data, np.float32) for data in raw)
            if self._floats.add(tally, left, right, first):
                return
        if differs is None:
            differs = self._compare_bits(dtype, raw)
        tally.elements += len(differs)
        if not _has_numbers(dtype):
            tally.changed += int(np.count_nonzero(differs))
            return
        width = dtype.itemsize
        for start in range(0, len(differs), general.BLOCK):
            end = min(start + general.BLOCK, len(differs))
            block = raw[0][start * width : end * width], raw[1][start * width : end * width]
            general.add_block(
                tally, (dtype, dtype), block, first + start, differs[start:end], tolerance
            )

    def add_cast(
        self,
        tally: Tally,
        dtypes: tuple[DType, DType],
        raw: tuple[memoryview, memoryview],
        first: int,
        tolerance: Tolerance | None,
    ) -> None:
        """Take in a block of two tensors of different types."""
        widths = dtypes[0].itemsize, dtypes[1].itemsize
        count = len(raw[0]) // widths[0]
        tally.elements += count
        for start in range(0, count, general.BLOCK):
            end = min(start + general.BLOCK, count)
            left, right = (data[start * w : end * w] for data, w in zip(raw, widths))
            general.add_block(tally, dtypes, (left, right), first + start, None, tolerance)

    def _compare_bits(self, dtype: DType, raw: tuple[memoryview, memoryview]) -> NDArray[np.bool_]:
        """Return which elements differ; of a type below a byte, which bytes do."""
        if dtype.bits % 8:
            left, right = (np.frombuffer(data, np.uint8) for data in raw)
        else:
            left, right = (bits_of(dtype, data) for data in raw)
        differs = self._differs[: len(left)]
        np.not_equal(left, right, out=differs)
        if dtype.kind == "complex":
            return differs[::2] | differs[1::2]
        return differs
