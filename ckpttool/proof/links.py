"""Tensors of both files that are one by their names, and what came of casting A's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, NamedTuple, Sequence

from ckpttool.comparison.numbers.compare import SideError
from ckpttool.comparison.numbers.stretches import Pair
from ckpttool.comparison.verdicts import index_of
from ckpttool.findings.amounts import first_at
from ckpttool.proof.casts import is_cast, replay
from ckpttool.tensors.rows import rows_of, some_rows, why_whole

if TYPE_CHECKING:
    from ckpttool.comparison.pairing import Match
    from ckpttool.proof.additions import Addition
    from ckpttool.proof.casts import Replayed
    from ckpttool.proof.options import ProveOptions


class Link(NamedTuple):
    """A tensor of both files: the pair, what each file calls it, and the parts of a fused one.

    ``match`` has the names that are paired, which in two layouts are those of neither file.
    ``additions`` are what adapters add to A's, ``replaced`` whether an adapter's stands in its
    place.
    """

    match: Match
    pair: Pair
    sources: tuple[str, ...]
    names: tuple[str, ...]
    parts: tuple[str, ...]
    additions: tuple[Addition, ...] = ()
    replaced: bool = False


class CastOutcome(NamedTuple):
    """What came of a cast.

    Attributes:
        replayed: A's tensor cast, against the one of B.
        backwards: whether A's is instead the one of B, cast.
        parts: where a fused tensor is not what its cast gives and B has its parts apart, what came
            of the cast of each.
    """

    replayed: Replayed
    backwards: bool
    parts: Sequence[tuple[Link, Replayed]]


def replay_casts(
    links: Sequence[Link], options: ProveOptions, progress: Callable[[int], None] | None
) -> list[CastOutcome]:
    """Return what came of the cast of each link, whose types :func:`is_cast` allows.

    Raises:
        SideError: one of the files could not be read.
    """
    if not links:
        return []
    pairs = [link.pair for link in links]
    workers, executor = options.workers, options.executor
    found = replay(pairs, workers=workers, executor=executor, progress=progress)
    failed = [
        number
        for number, replayed in enumerate(found)
        if replayed.differing and is_cast(pairs[number].right.dtype, pairs[number].left.dtype)
    ]
    turned = [Pair(pairs[number].right, pairs[number].left) for number in failed]
    try:
        back = replay(turned, workers=workers, executor=executor)
    except SideError as error:
        raise SideError(1 - error.side, error.error) from error
    backwards = {number for number, one in zip(failed, back) if not one.differing}
    # all at once: a pass of its own for each would be slow where thousands differ
    parts = {
        number: _parts_apart(links[number])
        for number, replayed in enumerate(found)
        if replayed.differing and number not in backwards
    }
    cut = [part.pair for several in parts.values() for part in several]
    again = iter(replay(cut, workers=workers, executor=executor))
    return [
        CastOutcome(
            replayed,
            number in backwards,
            [(part, next(again)) for part in parts.get(number, ())],
        )
        for number, replayed in enumerate(found)
    ]


def _parts_apart(link: Link) -> list[Link]:
    """Return the parts of a fused tensor that B has apart; none for all others."""
    number = len(link.parts)
    if number != len(link.names) or why_whole(link.pair.left, number) is not None:
        return []
    height = rows_of(link.pair.left) // number
    found = []
    for place, name in enumerate(link.names):
        rows = place * height, (place + 1) * height
        left, right = (some_rows(info, info.name, *rows) for info in link.pair)
        found.append(link._replace(pair=Pair(left, right), names=(name,)))
    return found


def cast_reason(link: Link, replayed: Replayed) -> str:
    """Say how a tensor of B differs from the cast of A's."""
    place = index_of(replayed.first or 0, link.pair.left.shape)
    return first_at(replayed.differing, replayed.elements, cast_of(link), place)


def cast_of(link: Link) -> str:
    """Return what the elements of B are held to, in words."""
    source, target = link.pair.dtypes
    return f"A's {source.name} cast to {target.name}"
