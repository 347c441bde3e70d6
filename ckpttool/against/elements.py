"""What the values of the tensors are that two checkpoints share, each row judged for itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator, Mapping, NamedTuple, Sequence

from ckpttool.against.demands import Demand
from ckpttool.against.rows import State
from ckpttool.comparison.numbers.compare import Pass
from ckpttool.comparison.run import refused_views
from ckpttool.comparison.verdicts import index_of
from ckpttool.findings.amounts import first_at, values_differ
from ckpttool.proof.casts import is_cast, replay
from ckpttool.tensors.workers import enter

if TYPE_CHECKING:
    from typing import Callable

    from ckpttool.against.demands import Demands
    from ckpttool.against.rows import Row
    from ckpttool.proof.casts import Replayed
    from ckpttool.tensors.workers import Progress
    from ckpttool.verification.options import VerifyOptions


# Where the left tensor of a row is, and where the right one.
_SIDES = ("in the other checkpoint", "in the file")


class Held(NamedTuple):
    """A row and what it is.

    Attributes:
        row: the row.
        state: what was found.
        reason: more of it in words: how many elements differ, why it cannot be told.
        by: the largest difference; ``None`` where none was computed.
    """

    row: Row
    state: State
    reason: str | None = None
    by: float | None = None


def structure(rows: Sequence[Row], demands: Demands) -> list[State | None]:
    """Return what shapes and dtypes tell of each row; ``None`` where the values are to tell."""
    return [_structure(row, demands) for row in rows]


def _structure(row: Row, demands: Demands) -> State | None:
    left, right = row.pair
    if left.shape != right.shape:
        return State.SHAPE
    if left.dtype == right.dtype:
        return None
    allowed = right.dtype.name in demands.allow_cast and is_cast(*row.pair.dtypes)
    return None if allowed else State.DTYPE


def hold_elements(
    rows: Sequence[Row],
    demands: Demands,
    seen: Mapping[tuple[object, object], bool],
    options: VerifyOptions,
    progress: Progress | None,
) -> list[Held]:
    """Return what each row is: what was not compared yet is read now, from both files.

    Args:
        rows: of two checkpoints.
        demands: what is demanded.
        seen: views of a tensor of the file and of the other one -> whether their bytes were found
            to be the same, in the pass that verified the file.
        options: workers and executor.
        progress: told how far the reading is.

    Raises:
        SideError: one of the files could not be read; side 0 is the other checkpoint.
    """
    found: dict[int, Held] = {}
    refused = [refused_views([row.pair[side] for row in rows]) for side in (0, 1)]
    compared: list[int] = []
    cast: list[int] = []
    for number, (row, state) in enumerate(zip(rows, structure(rows, demands))):
        reason = refused[0].get(row.pair.left.view) or refused[1].get(row.pair.right.view)
        views = row.pair.right.view, row.pair.left.view
        same = seen.get(views) if state is None else None
        if state is not None:
            found[number] = Held(row, state)
        elif reason is not None:
            found[number] = Held(row, State.UNTOLD, reason)
        elif row.pair.left.dtype != row.pair.right.dtype:
            cast.append(number)
        elif same:
            found[number] = Held(row, State.SAME)
        elif same is False and row.demand is not Demand.SAME:
            found[number] = Held(row, State.CHANGED)  # by how much nobody asks
        else:
            compared.append(number)
    enter(progress, "comparing")
    if progress and (compared or cast):
        read = [rows[number].pair for number in (*compared, *cast)]
        progress.start(sum(one.left.nbytes + one.right.nbytes for one in read))
    advance = progress.advance if progress else None
    found.update(zip(compared, _compared([rows[one] for one in compared], options, advance)))
    found.update(zip(cast, _cast([rows[one] for one in cast], options, advance)))
    return [found[number] for number in range(len(rows))]


def _compared(
    rows: Sequence[Row], options: VerifyOptions, advance: Callable[[int], None] | None
) -> Iterator[Held]:
    run = Pass(None, options.workers, advance, options.executor)
    for row, tally in zip(rows, run.run([row.pair for row in rows])):
        if tally.identical:
            yield Held(row, State.SAME)
        else:
            by = None if tally.max_abs is None else tally.max_abs.value
            yield Held(row, State.CHANGED, values_differ(tally, "", _SIDES), by)


def _cast(
    rows: Sequence[Row], options: VerifyOptions, advance: Callable[[int], None] | None
) -> Iterator[Held]:
    replays = replay(
        [row.pair for row in rows],
        workers=options.workers,
        executor=options.executor,
        progress=advance,
    )
    for row, replayed in zip(rows, replays):
        if replayed.differing:
            yield Held(row, State.CHANGED, _not_cast(row, replayed))
        else:
            yield Held(row, State.CAST)


def _not_cast(row: Row, replayed: Replayed) -> str:
    place = index_of(replayed.first or 0, row.pair.left.shape)
    cast = f"the {row.pair.left.dtype.name} rounded to nearest"
    return first_at(replayed.differing, replayed.elements, cast, place)
