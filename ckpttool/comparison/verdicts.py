"""Turns the tally of a pair into its class and the numbers that a report shows."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, NamedTuple, Sequence

from ckpttool.comparison.result import Change, DiffKind, Largest

if TYPE_CHECKING:
    from ckpttool.comparison.numbers.stretches import Pair
    from ckpttool.comparison.numbers.tally import Peak, Tally


class Allowed(NamedTuple):
    """What still counts as the same.

    Attributes:
        max_ulp: allowed distance in numbers of the type; ``None`` for no such option.
        tolerated: whether differences were compared with a tolerance.
    """

    max_ulp: int | None = None
    tolerated: bool = False


class Judged(NamedTuple):
    """A pair's class, whether it counts as the same, and what to say about it.

    ``rounded``: the side that is the other one rounded, if a cast that rounds makes them equal.
    """

    kind: DiffKind
    same: bool
    note: str | None = None
    rounded: str | None = None


_IDENTICAL, _CHANGED = Judged(DiffKind.IDENTICAL, True), Judged(DiffKind.CHANGED, False)


def judge(pair: Pair, tally: Tally, limits: Allowed) -> Judged:
    """Return the class of a pair of one shape."""
    within = limits.tolerated and not (tally.outside or tally.unlike)
    if pair.left.dtype != pair.right.dtype:
        # A cast is named even where a tolerance would do: it says why the two differ.
        cast = _cast(pair, tally)
        if cast is not None:
            return cast._replace(same=within)
        return Judged(DiffKind.WITHIN_TOLERANCE if within else DiffKind.DTYPE, within)
    if tally.identical:
        return _IDENTICAL
    # NaN and infinity have no place among the numbers, so such a pair is not near.
    near = None not in (limits.max_ulp, tally.max_ulp) and not tally.unlike
    if near and (tally.max_ulp or 0) <= (limits.max_ulp or 0):
        return Judged(DiffKind.WITHIN_ULP, True)
    return Judged(DiffKind.WITHIN_TOLERANCE, True) if within else _CHANGED


def _cast(pair: Pair, tally: Tally) -> Judged | None:
    """Return the cast that makes the two equal: the exact one, or that to the narrower type."""
    left, right = pair.left.dtype, pair.right.dtype
    if tally.widened:
        # The name decides between types of one width, so that the sides can be exchanged.
        wide, narrow = sorted((left, right), key=lambda dtype: (-dtype.bits, dtype.name))
        note = f"exact widening: all values of the {wide.name} are those of the {narrow.name}"
        return Judged(DiffKind.CAST, False, note)
    casts = [
        (target, source, side)
        for rounds, target, source, side in (
            (tally.rounds_left, left, right, "left"),
            (tally.rounds_right, right, left, "right"),
        )
        if rounds
    ]
    if not casts:
        return None
    target, source, side = min(casts, key=lambda cast: (cast[0].bits, cast[0].name))
    note = f"rounding: the {target.name} is the {source.name} rounded to nearest"
    return Judged(DiffKind.CAST, False, note, side)


def change_of(tally: Tally, shape: Sequence[int], limits: Allowed) -> Change | None:
    """Return the numbers; ``None`` if no element differs."""
    if not (tally.changed or tally.outside):
        return None
    return Change(
        tally.elements,
        tally.changed,
        tally.outside + tally.unlike if limits.tolerated else None,
        _largest(tally.max_abs, shape),
        _largest(tally.max_rel, shape),
        tally.rms,
        tally.relative_rms,
        tally.cosine,
        tally.norm_change,
        tally.max_ulp,
        tally.nan_left,
        tally.nan_right,
        tally.infinite_left,
        tally.infinite_right,
        _norm(tally, tally.norm_left),
        _norm(tally, tally.norm_right),
    )


def _norm(tally: Tally, norm: float) -> float | None:
    return norm if isfinite(norm) and tally.compared == tally.elements else None


def _largest(peak: Peak | None, shape: Sequence[int]) -> Largest | None:
    if peak is None:
        return None
    return Largest(peak.value, index_of(peak.place, shape), peak.left, peak.right)


def index_of(place: int, shape: Sequence[int]) -> tuple[int, ...]:
    """Return the index of an element that is counted in row-major order."""
    index: list[int] = []
    # Not numpy.unravel_index, which refuses a shape of more than 32 axes.
    for length in reversed(shape):
        place, at = divmod(place, length)
        index.append(at)
    return tuple(index[::-1])
