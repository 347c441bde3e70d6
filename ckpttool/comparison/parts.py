"""Which parts of a fused tensor differ: for example only the key of a query, key and value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Sequence

from ckpttool.comparison.numbers.compare import SideError
from ckpttool.comparison.result import Part
from ckpttool.findings.errors import CkpttoolError
from ckpttool.tensors.gather import fill
from ckpttool.tensors.rows import rows_of, some_rows, why_whole

if TYPE_CHECKING:
    from ckpttool.comparison.numbers.stretches import Pair
    from ckpttool.comparison.numbers.tally import Tally
    from ckpttool.comparison.pairing import Names, Pairing

# Bytes of each side that are compared at once; of two parts that differ, the first tell.
_CHUNK = 256 << 10


def fused_of(names: Names, pairing: Pairing) -> dict[str, tuple[str, ...]]:
    """Return what the parts of fused tensors are called, by the left names that are compared.

    Args:
        names: the left file's tensors.
        pairing: how they are compared.
    """
    canonical = names.canonical
    family = canonical.family
    if family is None or not family.fused:
        return {}
    found = {}
    for name, origins in canonical.origins.items():
        # most names are told by their end, before they are taken apart
        place = family.block_of(name) if name.endswith(family.fused_ends) else None
        parts = family.fused.get(place.rest.rpartition(".")[0]) if place else None
        if parts and (pairing.layouts or len(origins) == 1):
            found[name if pairing.layouts else origins[0]] = parts
    return found


def parts_of(pair: Pair, tally: Tally, names: Sequence[str]) -> tuple[Part, ...]:
    """Return which of the equal parts of two tensors are the same, byte by byte.

    Args:
        pair: the tensors, of one type and one shape.
        tally: what their comparison found: that they differ, and where they do not.
        names: of the parts, along axis 0.

    Raises:
        SideError: a file could not be read.
    """
    if pair.left.dtype != pair.right.dtype or why_whole(pair.left, len(names)) is not None:
        return ()
    height, elements = rows_of(pair.left) // len(names), pair.left.numel // len(names)
    return tuple(
        Part(
            name,
            place * height,
            (place + 1) * height,
            _seen_equal(tally, place * elements, elements)
            or _same(pair, place * height, (place + 1) * height),
        )
        for place, name in enumerate(names)
    )


def _seen_equal(tally: Tally, first: int, count: int) -> bool:
    """Whether the comparison passed over all of these elements as equal bytes."""
    return any(start <= first and first + count <= start + run for start, run in tally.equal)


def _same(pair: Pair, start: int, stop: int) -> bool:
    sides = [some_rows(info, info.name, start, stop) for info in (pair.left, pair.right)]
    rooms = [bytearray(_CHUNK), bytearray(_CHUNK)]
    for begin in range(0, sides[0].nbytes, _CHUNK):
        length = min(_CHUNK, sides[0].nbytes - begin)
        for side, info in enumerate(sides):
            try:
                fill(info, begin, memoryview(rooms[side])[:length])
            except CkpttoolError as error:
                error.tensor = error.tensor or info.name
                raise SideError(side, error) from error
        # the bytes behind a shorter end were equal the time before
        if rooms[0] != rooms[1]:
            return False
    return True


def told(parts: Sequence[Part]) -> str | None:
    """Say which parts differ, where not all of them do."""
    differing = [part for part in parts if not part.same]
    equal = [part.name for part in parts if part.same]
    if not differing or not equal:
        return None
    rows = ", ".join(f"{part.start:,} to {part.stop - 1:,}" for part in differing)
    return (
        f"only {_listed([part.name for part in differing])} "
        f"{'differs' if len(differing) == 1 else 'differ'} (rows {rows}); "
        f"{_listed(equal)} {'is' if len(equal) == 1 else 'are'} equal"
    )


def _listed(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
