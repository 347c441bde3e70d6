"""What a position table is, by its values: computed, interpolated, trained, learned or changed.

The encoding of a patch is that of its column beside that of its row, so a table as a whole is
known by one profile along each axis, and that is so after it was interpolated, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Iterator, NamedTuple, Tuple

import numpy as np

from ckpttool.findings.results import PositionTable
from ckpttool.findings.text import count
from ckpttool.models.computed_tables import computed, interpolated, joined, with_grid
from ckpttool.models.interpolation import BICUBIC, METHODS, weights
from ckpttool.models.table_correlation import LONGEST, most_correlated
from ckpttool.tensors.dtypes import DTYPES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ckpttool.models.family import Positions
    from ckpttool.models.interpolation import Method

# NaN, infinity and numbers near the end of the range are told, so numpy need not warn of them.
_quiet = np.errstate(all="ignore")

#: The kinds of tables. The first four are computed, and trained at most.
SIN_COS = "sin-cos"
INTERPOLATED = "interpolated"
STRETCHED = "stretched"
TRAINED = "trained"
LEARNED = "learned"
#: The kinds that no program leaves on purpose, or that another model has.
CHANGED = "changed"
CLASS_TOKEN = "class-token"  # noqa: S105 (no password)
SWAPPED = "swapped"
MOVED = "moved"
#: Those that no resizing makes right. A swapped table is right for weights that were trained so.
WRONG = (CHANGED, CLASS_TOKEN, MOVED)

# Larger tables are compared with the computed one and no further: 2 GiB of numbers in float64.
_MOST_ELEMENTS = 1 << 28
# Of elements that are right, from which on the others are called changed.
_MOST = 0.9
# Correlation from which on a table is near sin-cos. Independent ones have 1 / sqrt(elements), the
# learned ones of supervised ViTs below 0.1, fine-tuned ones above 0.9.
_NEAR = 0.3
_DEVIATIONS = 4.0  # of chance, which counts in small tables
_SWAPPED = "with x and y swapped: an MAE has x in the first half of the width (MoCo v3 has y there)"


@_quiet
def at_grid(
    stored: NDArray[Any], old: Positions, new: Positions, tolerance: float
) -> tuple[NDArray[np.float64] | None, PositionTable]:
    """Return a table (tokens, width) for the grid of ``new``, and what it is now.

    A sin-cos table is computed again, one that was interpolated from it again in the same way; any
    other is resized bicubically. ``None`` where it is a sin-cos table that is wrong.
    """
    reader = _Reader(stored, old, tolerance)
    found = reader.read()
    target = new.rows, new.columns
    if found.kind in WRONG or found.grid != (old.rows, old.columns):
        return None, found
    if reader.make is not None:
        return reader.make(target), found
    return with_grid(stored, old.before, (old.rows, old.columns), target), found


@_quiet
def recognise(stored: NDArray[Any], positions: Positions, tolerance: float) -> PositionTable:
    """Say what a table is.

    Args:
        stored: (tokens, width), of as many tokens as the grid has.
        positions: how the model's table is computed.
        tolerance: how far an element of a computed table may be off.
    """
    return _Reader(stored, positions, tolerance).read()


@_quiet
def grid_shown(
    stored: NDArray[Any], positions: Positions, tolerance: float
) -> tuple[int, int] | None:
    """Return rows and columns of patches as the values show them; ``None`` if they do not.

    In a table that is computed or interpolated, the second half of the width is the same in a row.
    """
    # a table may lack the rows before the patches, where the model adds no position to the tokens
    grids = (_grid_of(stored[before:], tolerance) for before in {positions.before: 0, 0: 0})
    return next((grid for grid in grids if grid is not None), None)


def _grid_of(patches: NDArray[Any], tolerance: float) -> tuple[int, int] | None:
    down = patches[:, patches.shape[1] // 2 :]
    differs = np.abs(np.diff(down, axis=0)).max(axis=1, initial=0.0) > 4 * tolerance
    if not differs.any():
        return None
    # rows may be equal to the next ones, where an interpolation repeats the edge
    long = int(np.gcd.reduce(np.flatnonzero(differs) + 1))
    return (len(patches) // long, long) if long > 1 and len(patches) % long == 0 else None


#: Rows and columns -> the table of this grid.
_Make = Callable[[Tuple[int, int]], "NDArray[np.float64]"]


class _Found(NamedTuple):
    """A table that the stored one resembles, what it is called, and how one of its kind is made."""

    kind: str
    text: str
    table: NDArray[np.float64]
    make: _Make


class _Reader:
    def __init__(self, stored: NDArray[Any], positions: Positions, tolerance: float) -> None:
        self.stored, self.positions = stored, positions
        self.before = positions.before
        self.grid = positions.rows, positions.columns
        # programs that compute angles in float32 err by their last place
        self.tolerance = max(tolerance, max(self.grid) * 2.0**-22)
        self.expected = computed(positions, *self.grid)
        self.error = _largest(stored, self.expected)
        self.make: _Make | None = None

    def read(self) -> PositionTable:
        narrow = None if self.error <= self.tolerance else _rounded(self.stored)
        if narrow is not None:
            self.tolerance = max(self.tolerance, narrow[1])
        if self.error <= self.tolerance:
            text = f"sin-cos at {_by(self.grid)}"
            self.make = self._sin_cos
            rounded = f", rounded to {narrow[0]}" if narrow else ""
            return self._table(SIN_COS, text + rounded, self.error)
        if self.stored.size > _MOST_ELEMENTS or not np.isfinite(self.stored).all():
            return self._changed(self._whole(self.expected))
        self.stored = self.stored.astype(np.float64)
        table = self._in_other_order() or self._resembling()
        return self._swapped(table) if table.kind == LEARNED else table

    def _sin_cos(self, grid: tuple[int, int]) -> NDArray[np.float64]:
        return computed(self.positions, *grid)

    def _whole(self, table: NDArray[np.float64]) -> _Found:
        """Return the sin-cos table of the grid."""
        return _Found(SIN_COS, f"sin-cos at {_by(self.grid)}", table, self._sin_cos)

    def _swapped(self, learned: PositionTable) -> PositionTable:
        """Look whether a table has structure once x and y are swapped."""
        half = self.stored.shape[1] // 2
        self.stored = np.roll(self.stored, half, axis=1)
        table = self._resembling()
        self.make = None
        if table.kind == LEARNED:
            return learned
        return table._replace(kind=SWAPPED, text=f"{table.text} {_SWAPPED}")

    def _table(self, kind: str, text: str, residual: float) -> PositionTable:
        return PositionTable(kind, text, residual, self.error, self.tolerance, self.grid)

    def _changed(self, found: _Found) -> PositionTable:
        off = ~(np.abs(self.stored - found.table) <= self.tolerance)
        error = _largest(self.stored, found.table)
        token, feature = _place(self.stored, found.table)
        few = f"{found.text} but for" if off.mean() <= 1 - _MOST else f"not {found.text}:"
        return self._table(
            CHANGED,
            f"{few} {count(int(off.sum()), 'element')} of {off.size:,}, by up to {error:.3g} at "
            f"token {token}, feature {feature}",
            error,
        )

    # --- rows of a sin-cos table, in whatever order ---------------------------------------

    def _in_other_order(self) -> PositionTable | None:
        """Say how the rows of a sin-cos table lie, where all are rows of one."""
        places = self._places()
        if places is None:
            return None
        zero, rows, columns, rest = places
        there = ~zero
        down, across = rows[there], columns[there]
        grid = int(down.max(initial=0)) + 1, int(across.max(initial=0)) + 1
        order = down * grid[1] + across
        self.grid = grid
        name = f"sin-cos at {_by(grid)}"
        straight = np.arange(len(order))
        if len(order) != grid[0] * grid[1] or (np.sort(order) != straight).any():
            return self._table(MOVED, f"rows of {name}, some of them twice or missing", rest)
        kind = SIN_COS
        if (order != straight).any():
            kind, name = self._ordered(name, grid, order)
        if zero.sum() < self.before:
            return self._table(CLASS_TOKEN, f"{name} without the row of the class token", rest)
        if not zero[: self.before].all():
            place = int(zero.argmax())
            return self._table(MOVED, f"{name} with the class token's row as token {place}", rest)
        return self._table(kind, name, rest)

    def _ordered(self, name: str, grid: tuple[int, int], order: NDArray[Any]) -> tuple[str, str]:
        straight = np.arange(len(order))
        if (order == straight.reshape(grid).T.ravel()).all():
            return SWAPPED, f"{name} {_SWAPPED}"
        if (order == np.roll(straight, -order[0])).all():
            return MOVED, f"{name}, its patches moved by {int(order[0])}"
        return MOVED, f"{name}, its patches in another order"

    def _places(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], float] | None:
        """Return which rows are zeros, row and column of the patch of each other, and the error.

        ``None`` if there is a row that is of no patch.
        """
        half = self.stored.shape[1] // 2
        zero = np.abs(self.stored).max(axis=1) <= self.tolerance
        if zero.sum() > self.before:
            return None
        found, rest = [], 0.0
        for part in (self.stored[:, half:], self.stored[:, :half]):
            coordinates = np.rint(self.positions.decode(part))
            coordinates[zero] = 0
            if (coordinates < 0).any() or (coordinates >= len(part)).any():
                return None
            # many rows share a coordinate, which is encoded once
            each, which = np.unique(coordinates, return_inverse=True)
            right = self.positions.encode(each)[which.reshape(-1)]
            rest = max(rest, float(np.abs(part - right)[~zero].max(initial=0.0)))
            if rest > self.tolerance:
                return None
            found.append(coordinates.astype(np.int64))
        return zero, found[0], found[1], rest

    # --- what is near one -----------------------------------------------------------------

    def _resembling(self) -> PositionTable:
        candidates = [
            self._whole(self.expected),
            *self._interpolations(),
        ]
        for found in candidates:
            rest = _largest(self.stored[self.before :], found.table[self.before :])
            if rest > 4 * self.tolerance:  # beyond 1 a type rounds to twice as much
                continue
            row = _largest(self.stored[: self.before], found.table[: self.before])
            if row > self.tolerance:
                text = f"{found.text}, but the row of the class token is not zero"
                return self._table(CLASS_TOKEN, f"{text} (up to {row:.3g})", row)
            self.make = found.make
            return self._table(found.kind, found.text, rest)
        shares = [
            float((np.abs(self.stored - found.table) <= 4 * self.tolerance).mean())
            for found in candidates
        ]
        best = int(np.argmax(shares))
        if shares[best] >= _MOST or self._whole_rows() > self.before + len(self.stored) // 10:
            return self._changed(candidates[best])
        return self._by_correlation()

    def _whole_rows(self) -> int:
        off = np.abs(self.stored - self.expected).max(axis=1)
        return int((off <= self.tolerance).sum())

    def _interpolations(self) -> Iterator[_Found]:
        """Yield the interpolated table that each axis is nearest to, and one that is stretched."""
        half = self.stored.shape[1] // 2
        shown = grid_shown(self.stored, self.positions, self.tolerance) or self.grid
        patches = self.stored[self.before :].reshape(*shown, 2 * half)
        # the median, because single elements may have been changed
        profiles = [
            np.median(patches[:, :, half:], axis=1),
            np.median(patches[:, :, :half], axis=0),
        ]
        spacing = [_spacing(self.positions.decode(profile)) for profile in profiles]
        if max(shown) > LONGEST or any(space is None for space in spacing):
            return
        self.grid = shown
        best, nearest = np.inf, None
        for method in METHODS:
            ends = [self._nearest(profile, method) for profile in profiles]
            error = max(error for error, _ in ends)
            if error < best:
                best, nearest = error, (method, (ends[0][1], ends[1][1]))
        if nearest is not None and nearest[1] == shown:
            yield self._whole(self._sin_cos(shown))
        elif nearest is not None:
            method, source = nearest
            name = f"interpolated {method.name} from {_by(source)} to {_by(shown)}"
            yield self._interpolated(name, source, method)
        yield self._stretched(shown, spacing)

    def _interpolated(self, name: str, source: tuple[int, int], method: Method) -> _Found:
        def make(grid: tuple[int, int]) -> NDArray[np.float64]:
            return interpolated(self.positions, source, grid, method)

        return _Found(INTERPOLATED, name, make(self.grid), make)

    def _nearest(self, profile: NDArray[Any], method: Method) -> tuple[float, int]:
        """Return the error of the best interpolation of an axis, and what it comes from."""
        target = len(profile)
        spacing = _spacing(self.positions.decode(profile)) or 0.0
        around = round(spacing * target)
        errors = []
        for source in sorted({around - 1, around, around + 1, target}):
            if source >= min(target, 2):
                resized = weights(method, source, target) @ self.positions.encode(np.arange(source))
                errors.append((float(np.abs(profile - resized).max()), source))
        return min(errors)

    def _stretched(self, grid: tuple[int, int], spacing: list[float | None]) -> _Found:
        """Return the table of coordinates that are not 1 apart but as if the grid were another."""
        source = tuple(max(round((space or 1.0) * n), 1) for space, n in zip(spacing, grid))

        def make(grid: tuple[int, int]) -> NDArray[np.float64]:
            down, across = (
                self.positions.encode(np.arange(n) * (base / n)) for base, n in zip(source, grid)
            )
            return joined(across, down, self.before)

        text = f"sin-cos at {_by(source)} stretched to {_by(grid)}"
        return _Found(STRETCHED, text, make(grid), make)

    def _by_correlation(self) -> PositionTable:
        """Tell a table that was trained from sin-cos from one that has no such structure."""
        patches = self.stored[self.before :]
        if (np.ptp(patches, axis=0) <= self.tolerance).all():
            return self._table(CHANGED, "the same in every row of a patch", self.error)
        self.grid = self.positions.rows, self.positions.columns
        correlation, source = most_correlated(self.stored, self.positions)
        found = self._whole(self.expected)
        if source != self.grid:
            name = f"sin-cos interpolated from {_by(source)} to {_by(self.grid)}"
            found = self._interpolated(name, source, BICUBIC)
        # of a handful of elements, nothing tells
        chance = min(_DEVIATIONS / patches.size**0.5, 0.95)
        if correlation >= max(_NEAR, chance):
            error = _largest(self.stored, found.table)
            text = f"near {found.text} (correlation {correlation:.3f}, off by up to {error:.3g})"
            return self._table(TRAINED, text, error)
        text = f"learned: no sin-cos structure (correlation {abs(correlation):.2f})"
        return self._table(LEARNED, text, self.error)


def _spacing(coordinates: NDArray[Any]) -> float | None:
    """Return how far apart coordinates along an axis are; ``None`` if they do not ascend."""
    if len(coordinates) < 2:
        return 1.0
    slope = float(np.polyfit(np.arange(len(coordinates)), coordinates, 1)[0])
    return slope if 0 < slope * len(coordinates) < LONGEST else None


def _largest(stored: NDArray[Any], table: NDArray[np.float64]) -> float:
    """Return the largest difference, infinite where an element is not finite."""
    if not stored.size:
        return 0.0
    token, feature = _place(stored, table)
    difference = abs(float(stored[token, feature]) - float(table[token, feature]))
    return difference if np.isfinite(difference) else np.inf


def _place(stored: NDArray[Any], table: NDArray[np.float64]) -> tuple[int, int]:
    difference = np.abs(stored - table)
    difference[~np.isfinite(difference)] = np.inf  # NaN is as far off as can be
    token, feature = divmod(int(difference.argmax()), table.shape[1])
    return token, feature


def _rounded(stored: NDArray[Any]) -> tuple[str, float] | None:
    """Return the narrower type that all elements are exact in, and how far it rounds sines.

    Weights that were trained in half precision are often saved in float32.
    """
    if stored.dtype != np.float32:
        return None
    single = np.ascontiguousarray(stored)
    # the shorter one first: the other holds nearly all of its numbers up to 1
    if not (single.view(np.uint32) & np.uint32(0xFFFF)).any():
        narrow = next(dtype for dtype in DTYPES.values() if dtype.is_cut_float32)
    elif (single.astype(np.float16).astype(np.float32) == single).all():
        narrow = next(dtype for dtype in DTYPES.values() if dtype.numpy == "f2")
    else:
        return None
    assert narrow.encoding is not None  # noqa: S101 (both are floats)
    return narrow.name, 2.0 ** -(narrow.encoding.mantissa + 1)


def _by(grid: tuple[int, ...]) -> str:
    return f"{grid[0]} x {grid[1]}"
