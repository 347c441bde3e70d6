"""Tensors that are more than bytes: their parts are read in the same pass as the weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator, Mapping, NamedTuple, Sequence

from ckpttool.formats.objects.sparse import COMPRESSED, COORDINATES, compressed_names
from ckpttool.tensors.catalogue import Extent, TensorInfo

if TYPE_CHECKING:
    from ckpttool.tensors.examining import TensorValues
    from ckpttool.tensors.in_parts import InParts
    from ckpttool.tensors.values import Values

#: Parts of a file whose values are read; what has more is said not to be looked at.
MAX_READ = 300_000
# Before the key of a part, so that it is none of a weight.
_MARK = "\0part\0"


class Part(NamedTuple):
    """Elements to read of a part.

    Attributes:
        info: the part, or the indices of one axis in it.
        below: what each element must be less than, and 0 or more; ``None`` for any number.
    """

    info: TensorInfo
    below: int | None = None


class SeenParts(NamedTuple):
    """What the values of parts show.

    Attributes:
        nan, infinite: name of a part -> how many of its elements are.
        outside: (name of a part, limit, what was found) of indices beyond their axis.
        seen: tensors of which each part was read.
    """

    nan: Mapping[str, int] = {}
    infinite: Mapping[str, int] = {}
    outside: tuple[tuple[str, int, int], ...] = ()
    seen: frozenset[str] = frozenset()


def parts_to_read(in_parts: Sequence[InParts], taken: Mapping[str, TensorInfo]) -> dict[str, Part]:
    """Return what to read of tensors, by a key that none of the weights has.

    Args:
        in_parts: the tensors.
        taken: the weights.
    """
    found: dict[str, Part] = {}
    for one in in_parts:
        own = {f"{_MARK}{len(found) + n}": part for n, part in enumerate(_parts_of(one))}
        if len(found) + len(own) <= MAX_READ and taken.keys().isdisjoint(own):
            found.update(own)
    return found


def split(values: Values, read: Mapping[str, Part]) -> tuple[Values, Values]:
    """Return the values of the weights, and those of parts."""
    if not read:
        return values, values._replace(tensors={}, skipped={})
    sides = []
    for of_parts in (False, True):
        tensors = {name: one for name, one in values.tensors.items() if (name in read) is of_parts}
        skipped = {name: why for name, why in values.skipped.items() if (name in read) is of_parts}
        sides.append(values._replace(tensors=tensors, skipped=skipped))
    return sides[0], sides[1]


def seen_in(
    in_parts: Sequence[InParts], read: Mapping[str, Part], values: Mapping[str, TensorValues]
) -> SeenParts:
    """Return what the values of parts show."""
    if not read:
        return SeenParts()
    nan: dict[str, int] = {}
    infinite: dict[str, int] = {}
    outside = []
    known, missed = set(), set()
    for key, part in read.items():
        one, name = values.get(key), part.info.name
        if one is None:
            missed.add(name)
            continue
        known.add(name)
        for found, number in ((nan, one.nan), (infinite, one.infinite)):
            if number:
                found[name] = found.get(name, 0) + number
        if part.below is not None and one.minimum is not None and one.maximum is not None:
            wrong = one.minimum if one.minimum < 0 else one.maximum
            if not 0 <= wrong < part.below:
                outside.append((name, part.below, int(wrong)))
    known -= missed
    seen = frozenset(
        one.name for one in in_parts if one.parts and all(info.name in known for info in one.parts)
    )
    return SeenParts(nan, infinite, tuple(outside), seen)


def _parts_of(one: InParts) -> Iterator[Part]:
    layout, shape = one.facts.get("layout"), one.shape or ()
    parts = dict(zip(one.suffixes, one.parts))
    for suffix, info in parts.items():
        if layout == COORDINATES and suffix == "indices":
            yield from _by_axis(info, shape)
        elif layout in COMPRESSED and suffix != "values":
            yield Part(info, _limit(str(layout), suffix, shape, parts))
        else:
            yield Part(info)


def _by_axis(info: TensorInfo, shape: tuple[int, ...]) -> Iterator[Part]:
    """Yield the indices of each axis: a row of the tensor of all."""
    axes, number = info.shape
    if not number or not axes or not info.extents:
        yield Part(info)
        return
    row, step = info.strides or (number, 1)
    source, begin, _ = info.extents[0]
    size = info.dtype.itemsize
    for axis in range(axes):
        extent = Extent(source, begin + axis * row * size, (1 + (number - 1) * step) * size)
        strides = None if step == 1 else (step,)
        indices = info._replace(shape=(number,), strides=strides, extents=(extent,))
        yield Part(indices, shape[axis])


def _limit(
    layout: str, suffix: str, shape: tuple[int, ...], parts: Mapping[str, TensorInfo]
) -> int:
    """Return what the indices of a compressed sparse tensor must be below."""
    by_rows, in_blocks = COMPRESSED[layout]
    starts, _ = compressed_names(by_rows)
    batch = len(parts[starts].shape) - 1
    values = parts["values"].shape
    if suffix == starts:  # positions among the elements, their number included
        return values[batch] + 1
    block = values[batch + 1 : batch + 3] if in_blocks else (1, 1)
    return shape[batch + by_rows] // block[by_rows]
