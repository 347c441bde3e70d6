"""One block of a merge: read, merged, and held to the elements of B."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Sequence

from ckpttool.comparison.numbers.compare import SideError
from ckpttool.findings.errors import CkpttoolError
from ckpttool.proof.additions import Merged
from ckpttool.tensors.gather import fill

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ckpttool.proof.additions import Addition, Task
    from ckpttool.proof.merge_bounds import Factor, Sum
    from ckpttool.tensors.catalogue import TensorInfo
    from ckpttool.tensors.dtypes import DType

# A block of which more than this part is computed again is computed again as a whole.
_MANY = 1 / 16
# A tensor with a block of which more than this part is not explained is given up.
_HOPELESS = 1 / 4
# Numbers that are multiplied at once where single elements are computed.
_GATHERED = 1 << 20


class Memory:
    """What a thread keeps from task to task: room to read into, and the second factors."""

    def __init__(self) -> None:
        self._rooms: dict[str, bytearray] = {}
        self._key: object = None
        self.downs: list[Down] = []

    def room(self, which: str, nbytes: int) -> memoryview:
        """Return room for so many bytes; what is called the same is overwritten."""
        if len(self._rooms.get(which, b"")) < nbytes:
            self._rooms[which] = bytearray(nbytes)
        return memoryview(self._rooms[which])[:nbytes]

    def load(self, task: Task, working: Any) -> list[Down]:
        """Return the second factors of a task, read if the task before had others."""
        key = task.number, task.additions, task.columns
        if key != self._key:
            self._key = None
            self.downs = [Down(one, task.columns, working) for one in task.additions]
            self._key = key
        return self.downs


class Down:
    """The second factor of an addition, of some columns, and what is computed of it when needed."""

    def __init__(self, addition: Addition, columns: tuple[int, int], working: Any) -> None:
        info = addition.down
        self.addition = addition
        self.values = matrix(2 + addition.adapter, info, (0, addition.rank), columns).astype(
            working, copy=False
        )
        self._double: NDArray[Any] | None = None
        self._sizes: NDArray[Any] | None = None
        self._gram: NDArray[Any] | None = None

    @property
    def double(self) -> NDArray[Any]:
        """The factor in float64."""
        if self._double is None:
            self._double = self.values.astype("f8", copy=False)
        return self._double

    @property
    def sizes(self) -> NDArray[Any]:
        """Its absolute values."""
        if self._sizes is None:
            self._sizes = abs(self.double)
        return self._sizes

    def typical(self, up: NDArray[Any]) -> NDArray[Any]:
        """Return the root mean square of the rows of the product."""
        if self._gram is None:
            self._gram = self.double @ self.double.T / self.double.shape[1]
        squares: NDArray[Any] = ((up @ self._gram) * up).sum(1)
        return squares.clip(0) ** 0.5 * abs(self.addition.scale)


def matrix(
    side: int,
    info: TensorInfo,
    rows: tuple[int, int],
    columns: tuple[int, int],
    room: Callable[[int], memoryview] | None = None,
) -> NDArray[Any]:
    """Return rows and columns of a tensor as a matrix of its numbers."""
    from ckpttool.tensors.numpy_arrays import numbers  # late: it loads numpy

    width = info.dtype.itemsize
    every = info.numel // info.shape[0]
    height, length = rows[1] - rows[0], columns[1] - columns[0]
    nbytes = height * length * width
    raw = room(nbytes) if room else memoryview(bytearray(nbytes))
    try:
        if length == every:
            fill(info, rows[0] * every * width, raw)
        else:
            for row in range(height):
                start = ((rows[0] + row) * every + columns[0]) * width
                fill(info, start, raw[row * length * width : (row + 1) * length * width])
    except CkpttoolError as error:
        error.tensor = error.tensor or info.name
        raise SideError(side, error) from error
    found = numbers(info.dtype, raw)
    assert found is not None  # noqa: S101 (looked at before)
    return found.reshape(height, length)


class Block:
    """Rows of both tensors, and of what is added."""

    def __init__(
        self,
        task: Task,
        downs: Sequence[Down],
        first: int,
        left: NDArray[Any],
        right: NDArray[Any],
    ) -> None:
        self._task = task
        self._downs = downs
        self._first = first
        self._left = left
        self._right = right
        # the exact sums of the whole block, of each addition, where many are needed
        self._dense: dict[int, tuple[NDArray[Any], NDArray[Any]]] = {}
        self._read: list[NDArray[Any]] | None = None

    @property
    def _ups(self) -> list[NDArray[Any]]:
        """The rows of the first factors; read when they are first needed."""
        if self._read is not None:
            return self._read
        rows = range(self._first, self._first + len(self._left))
        self._read = [
            matrix(
                2 + one.adapter,
                one.up,
                (rows.start - one.first, rows.stop - one.first),
                (0, one.rank),
            ).astype(self._left.dtype, copy=False)
            for one in self._task.additions
        ]
        return self._read

    def judged(self, known: Merged) -> Merged:
        """Return what came of the block; ``known`` is what is known of the rows before it."""
        import numpy as np

        from ckpttool.proof.merge_bounds import rounding

        into = rounding(self._task.merge.pair.right.dtype)
        right = self._right
        changed, nan = known.changed, 0
        with np.errstate(all="ignore"):
            if not changed:
                changed = not _same(into(self._left), right).all()
            if known.given_up:
                return Merged(changed=changed, given_up=True)
            if any(one.magnitude for one in self._task.additions):
                places = np.arange(right.size)
            else:
                same = _same(into(self.merged()), right)
                places = np.empty(0, np.intp) if same.all() else np.flatnonzero(~same)
                if np.isnan(right.sum()):  # quicker than to look at each
                    nan = int(np.count_nonzero(same & np.isnan(right) & ~np.isnan(self._left)))
            failing, first = self._failing(places, known)
        # nothing explains a tensor of which so much is not explained: only A is left to look for
        everywhere = all(map(any, zip(failing, known.failing)))
        hopeless = everywhere and failing[-1] > _HOPELESS * right.size
        return Merged(right.size, failing, first, changed, nan, hopeless)

    def merged(self, half: Callable[[NDArray[Any]], NDArray[Any]] | None = None) -> NDArray[Any]:
        """Return the merge as it is computed in the working type.

        With ``half``, what is added is rounded by it, and the sum before the next one is added.
        """
        merged = self._left
        for up, down in zip(self._ups, self._downs):
            product = up @ down.values
            product *= product.dtype.type(down.addition.scale)
            if half is not None:
                product = half(product).astype(product.dtype, copy=False)
                if merged is not self._left:
                    merged = half(merged).astype(product.dtype, copy=False)
            product += merged
            merged = product
        return merged

    def _failing(
        self, places: NDArray[Any], known: Merged
    ) -> tuple[tuple[int, ...], tuple[int | None, ...]]:
        """Return how many of some elements each arithmetic does not explain, and the first.

        An arithmetic that is known to explain not all is left out, but for the last one, whose
        number is told.
        """
        import numpy as np

        from ckpttool.proof.merge_bounds import ARITHMETICS

        failing = [0] * len(ARITHMETICS)
        first: list[int | None] = [None] * len(ARITHMETICS)
        rest = places
        for number, arithmetic in enumerate(ARITHMETICS):
            if not len(rest) or (known.failing[number] and arithmetic is not ARITHMETICS[-1]):
                continue
            these = rest
            if number and len(these) > _MANY * self._right.size and not self._is_scaled:
                these = these[~self._rounded_alike(arithmetic)[these]]
            if len(these):
                these = these[~self._explained(these, arithmetic)]
            if len(these):
                failing[number] = len(these)
                first[number] = self._place(*np.divmod(these[0], self._right.shape[1]))
            if not number:
                rest = these
        return tuple(failing), tuple(first)

    @property
    def _is_scaled(self) -> bool:
        return any(one.magnitude is not None for one in self._task.additions)

    def _rounded_alike(self, arithmetic: DType) -> NDArray[Any]:
        """Return which elements are those of the merge whose parts are rounded to 16 bits."""
        from ckpttool.proof.merge_bounds import rounding

        into = rounding(self._task.merge.pair.right.dtype)
        return _same(into(self.merged(rounding(arithmetic))), self._right).reshape(-1)

    def _explained(self, places: NDArray[Any], arithmetic: DType) -> NDArray[Any]:
        """Hold single elements, by their places in the block, to the bounds of an arithmetic."""
        from ckpttool.proof.merge_bounds import accepted

        target = self._task.merge.pair.right.dtype
        sums = [self._sum(number, places) for number in range(len(self._ups))]
        start, found = (side.reshape(-1)[places].astype("f8") for side in (self._left, self._right))
        rows = places // self._right.shape[1]
        return accepted(start, sums, found, target, arithmetic, self._factor(rows))

    def _place(self, row: int, column: int) -> int:
        """Return where an element stands in the tensor."""
        every = self._task.merge.columns
        return (self._first + int(row)) * every + self._task.columns[0] + int(column)

    def _sum(self, number: int, places: NDArray[Any]) -> Sum:
        """Return what an addition adds to elements, and what its bounds are made of."""
        import numpy as np

        from ckpttool.proof.merge_bounds import Sum

        down = self._downs[number]
        addition = down.addition
        up = self._ups[number].astype("f8")
        sizes = abs(up)
        rows, columns = np.divmod(places, self._right.shape[1])
        if len(places) > _MANY * self._right.size:
            if number not in self._dense:
                self._dense[number] = up @ down.double, sizes @ down.sizes
            exact, absolute = (one.reshape(-1)[places] for one in self._dense[number])
        else:
            exact, absolute = np.empty(len(rows)), np.empty(len(rows))
            step = max(1, _GATHERED // max(1, addition.rank))
            for start in range(0, len(rows), step):
                these = slice(start, start + step)
                left, right = up[rows[these]], down.double[:, columns[these]].T
                exact[these] = np.einsum("ij,ij->i", left, right)
                absolute[these] = np.einsum("ij,ij->i", abs(left), abs(right))
        scale = abs(addition.scale)
        encodings = [info.dtype.encoding for info in (addition.up, addition.down)]
        return Sum(
            exact * addition.scale,
            absolute * scale,
            down.typical(up)[rows],
            (sizes.sum(1)[rows] + down.sizes.sum(0)[columns]) * scale,
            addition.rank,
            addition.scale,
            max(one.mantissa for one in encodings if one),
        )

    def _factor(self, rows: NDArray[Any]) -> Factor | None:
        """Return what DoRA scales the rows with: magnitude / norm of the row after the sum."""
        from ckpttool.proof.merge_bounds import Factor

        (addition, *_) = self._task.additions or (None,)
        if addition is None or addition.magnitude is None:
            return None
        import numpy as np

        merged = self._left + self._ups[0].astype("f8") @ self._downs[0].double * addition.scale
        norms = np.sqrt(np.square(merged).sum(1))
        first = self._first - addition.first
        info = addition.magnitude
        flat = info._replace(shape=(info.numel, 1))
        magnitudes = matrix(2 + addition.adapter, flat, (first, first + len(norms)), (0, 1))
        factor = magnitudes[:, 0].astype("f8") / norms
        # the squares are summed in any order, and the root halves what is off
        return Factor(factor[rows], (merged.shape[1] / 2 + 8) * 2.0**-24)


def _same(one: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
    """Return which elements are equal; NaN is equal to NaN."""
    same: NDArray[Any] = one == other
    if not same.all():
        same |= (one != one) & (other != other)
    return same
