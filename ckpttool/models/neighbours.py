"""Telling a model that is no masked autoencoder by its names and shapes.

A name that many models have decides nothing: a family is told by several markers of different
roles under one prefix (see :mod:`ckpttool.models.known_neighbours`), and it is said by how many
names.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Iterable, Iterator, Mapping, NamedTuple, Tuple

from ckpttool.findings.listing import Neighbour
from ckpttool.models.known_neighbours import KNOWN, PARTS, Known, Marker

Shape = Tuple[int, ...]

# Prefixes that are looked at: a file of several models has a few, a hostile one may have a million.
_MOST_PREFIXES = 1_000
# Parts of a prefix under whose shorter ones a name may stand beside the encoder.
_MOST_ABOVE = 16
# Numbers of blocks that are told apart, and digits that such a number has.
_MOST_BLOCKS, _MOST_DIGITS = 10_000, 6
# A sign that a prefix is of the averaged one of two copies, which is the one that is used.
_USUAL = "teacher"


class _Spelling(NamedTuple):
    """A spelling of a marker, taken apart.

    ``parts`` are those between dots, as what stands before a number in it and after it.
    """

    text: str
    parts: tuple[tuple[str, ...], ...]
    shape: tuple[str, ...] | None


class _Hits:
    """The names under one prefix that have one spelling."""

    __slots__ = ("example", "names", "numbers", "sizes")

    def __init__(self, example: str) -> None:
        self.example = example
        self.names = 0
        self.numbers: set[str] = set()
        self.sizes: dict[str, int] = {}


_ByPrefix = Mapping[str, Mapping[str, _Hits]]


def neighbour_of(shapes: Mapping[str, Shape]) -> Neighbour | None:
    """Return the model that a file's names and shapes tell, if it is a known one beside MAE.

    Args:
        shapes: the file's own names, of one state dict, to their shapes.
    """
    by_prefix = _hits_of(shapes)
    # of two copies of a model the averaged one, then what has most names
    prefixes = sorted(
        by_prefix,
        key=lambda prefix: (
            _USUAL not in prefix,
            -sum(hits.names for hits in by_prefix[prefix].values()),
        ),
    )
    for known in KNOWN:
        for prefix in prefixes:
            found = _told(known, prefix, by_prefix)
            if found:
                return _neighbour(known, prefix, by_prefix, found)
    return None


# --- the names that have a spelling ------------------------------------------------------


@lru_cache(maxsize=None)
def _spellings() -> dict[str, list[_Spelling]]:
    """Return the spellings by their last two parts, or by the last where the other has a number.

    A name is looked up by both, so that of a million names nearly none is taken apart.
    """
    table: dict[str, dict[str, _Spelling]] = {}
    for known in KNOWN:
        for text in _texts(known):
            name, _, shape = text.partition(" [")
            parts = name.split(".")
            key = ".".join(parts[-2:]) if "{n}" not in parts[-2:][0] else parts[-1]
            table.setdefault(key, {})[text] = _Spelling(
                text,
                tuple(tuple(part.split("{n}")) for part in parts),
                tuple(shape.rstrip("]").split()) if shape else None,
            )
    return {key: list(below.values()) for key, below in table.items()}


def _texts(known: Known) -> Iterator[str]:
    for marker in known.markers:
        yield from marker.spellings
    yield from known.reads
    yield from known.without
    yield from PARTS.values()


def _hits_of(shapes: Mapping[str, Shape]) -> dict[str, dict[str, _Hits]]:
    table = _spellings()
    by_prefix: dict[str, dict[str, _Hits]] = {}
    for name, shape in shapes.items():
        last = name.rfind(".")
        ending = name[name.rfind(".", 0, last) + 1 :] if last > 0 else name
        for spelling in (
            *table.get(ending, ()),
            *(table.get(name[last + 1 :], ()) if last > 0 else ()),
        ):
            sizes = _sizes(spelling.shape, shape)
            placed = None if sizes is None else _placed(name, spelling.parts)
            if placed is None or sizes is None:
                continue
            prefix, number = placed
            if prefix not in by_prefix and len(by_prefix) == _MOST_PREFIXES:
                continue
            hits = by_prefix.setdefault(prefix, {}).setdefault(spelling.text, _Hits(name))
            hits.names += 1
            hits.sizes.update(sizes)
            if len(hits.numbers) < _MOST_BLOCKS:
                hits.numbers.add(number)
    return by_prefix


def _placed(name: str, parts: tuple[tuple[str, ...], ...]) -> tuple[str, str] | None:
    """Return what stands before a spelling and the last number in it; ``None`` if it is another."""
    found = name.rsplit(".", len(parts))
    before = f"{found.pop(0)}." if len(found) > len(parts) else ""
    if len(found) < len(parts):
        return None
    number = ""
    for text, part in zip(found, parts):
        if len(part) == 1:
            if text != part[0]:
                return None
            continue
        start, end = part
        if not (text.startswith(start) and text.endswith(end)):
            return None
        number = text[len(start) : len(text) - len(end)]
        if not (number.isdecimal() and len(number) <= _MOST_DIGITS):
            return None
    return before, number


def _sizes(pattern: tuple[str, ...] | None, shape: Shape) -> dict[str, int] | None:
    """Return the letters of a pattern with their sizes; ``None`` if a shape does not have it."""
    if pattern is None:
        return {}
    if len(pattern) != len(shape):
        return None
    sizes: dict[str, int] = {}
    for sign, size in zip(pattern, shape):
        if (int(sign) if sign.isdecimal() else sizes.setdefault(sign, size)) != size:
            return None
    return sizes


# --- the model that they tell ------------------------------------------------------------


def _told(known: Known, prefix: str, by_prefix: _ByPrefix) -> list[list[_Hits]]:
    """Return the hits of each marker that is there, if they are enough; an empty list if not."""
    here = by_prefix[prefix]
    if any(text in here for text in known.without):
        return []
    told: list[list[_Hits]] = []
    for marker in known.markers:
        found = list(_of_marker(marker, prefix, by_prefix))
        if found:
            told.append(found)
        elif marker.needed:
            return []
    return told if len(told) >= known.least else []


def _of_marker(marker: Marker, prefix: str, by_prefix: _ByPrefix) -> Iterable[_Hits]:
    # backbone.net.blocks... and backbone.simfp_2...: what stands beside has a shorter prefix
    for place in _above(prefix) if marker.beside else [prefix]:
        here = by_prefix.get(place, {})
        yield from (here[text] for text in marker.spellings if text in here)


def _above(prefix: str) -> list[str]:
    """Return a prefix and the shorter ones above it: ``a.b.``, ``a.`` and ``""``."""
    parts = prefix.split(".", _MOST_ABOVE)[:-1]
    shorter = ["".join(f"{part}." for part in parts[:many]) for many in range(len(parts))]
    return [prefix, *reversed([one for one in shorter if one != prefix])]


def _neighbour(
    known: Known, prefix: str, by_prefix: _ByPrefix, told: list[list[_Hits]]
) -> Neighbour:
    here = by_prefix[prefix]
    sizes: dict[str, int] = {}
    depth = 0
    for text in known.reads:
        if text in here:
            sizes = {**here[text].sizes, **sizes}
            depth = max(depth, len(here[text].numbers))
    notes = (note for those, note in known.notes if dict(those).items() <= sizes.items())
    what = ", ".join([known.article, *_read(sizes, depth), *notes])
    names = sum(hits.names for marker in told for hits in marker)
    signs = tuple(marker[0].example for marker in told)
    lacks = [part for part in known.lacks if PARTS.get(part) not in here]
    return Neighbour(known.name, what, known.takes, _listed(lacks), names, signs, prefix)


def _listed(parts: list[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _read(sizes: Mapping[str, int], depth: int) -> Iterator[str]:
    """Yield what the sizes say, as parts of a sentence."""
    if depth > 1 and "D" in sizes:
        yield f"{depth:,} blocks of width {sizes['D']:,}"
    if "P" in sizes and "Q" in sizes:
        frames = f"{sizes['T']} x " if "T" in sizes else ""
        channels = sizes.get("C", 3)
        of = "" if channels == 3 else f" of {channels:,} channel{'s' * (channels != 1)}"
        yield f"patches of {frames}{sizes['P']} x {sizes['Q']}{of}"
