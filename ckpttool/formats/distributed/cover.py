"""Whether the parts of a tensor cover it: each element in exactly one."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Iterator, Sequence, Tuple

from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError, MalformedError, UnsupportedError

#: A part: the index of its first element, and how many it has along each axis, none of them 0.
Box = Tuple[Tuple[int, ...], Tuple[int, ...]]

# Steps for each part: in a grid, which all writers make, each is looked at once an axis.
_STEPS, _ALWAYS = 100, 10_000


def check_cover(shape: Sequence[int], parts: Sequence[Box], what: str = "chunk") -> None:
    """Check that parts cover a tensor of ``shape``, which has elements.

    Raises:
        MalformedError: a part reaches outside, two overlap, or elements are in none.
        UnsupportedError: they are cut so irregularly that checking it takes too long.
    """
    check_within(shape, parts, what)
    _Check(tuple(shape), what, _ALWAYS + _STEPS * len(parts)).slab(tuple(parts), ())


def check_within(shape: Sequence[int], parts: Sequence[Box], what: str = "chunk") -> None:
    """Check that no part reaches outside of a tensor of ``shape``; raises MalformedError."""
    for offsets, sizes in parts:
        if any(own + size > most for own, size, most in zip(offsets, sizes, shape)):
            raise MalformedError(
                f"a {what} reaches outside of its tensor",
                rules.DISTRIBUTED_CHUNKS,
                expected=f"at most {list(shape)}",
                found=shown(offsets, sizes),
            )


@contextmanager
def naming_tensor(name: str) -> Iterator[None]:
    """Name the tensor in every error that leaves the block."""
    try:
        yield
    except CkpttoolError as error:
        error.tensor = name
        raise


class _Check:
    """Cuts a tensor into slabs along one axis after the other, where parts begin or end."""

    def __init__(self, shape: tuple[int, ...], what: str, most: int) -> None:
        self._shape = shape
        self._what = what
        self._left = most

    def slab(self, parts: tuple[Box, ...], begin: tuple[int, ...]) -> None:
        """Check parts that all have the elements from ``begin`` on along the first axes."""
        axis = len(begin)
        if len(parts) == 1:
            self._check_alone(parts[0], begin)
            return
        if axis == len(self._shape):
            raise _overlap(parts[0], parts[1], self._what)
        ordered = sorted(parts, key=lambda part: part[0][axis])
        active: list[Box] = []
        place = at = 0
        while at < self._shape[axis]:
            while place < len(ordered) and ordered[place][0][axis] == at:
                active.append(ordered[place])
                place += 1
            if not active:
                raise _hole((*begin, at), self._shape, self._what)
            self._count(len(active))
            self.slab(tuple(active), (*begin, at))
            at = min(offsets[axis] + sizes[axis] for offsets, sizes in active)
            if place < len(ordered):
                at = min(at, ordered[place][0][axis])
            # those that have elements from here on
            active = [part for part in active if part[0][axis] + part[1][axis] > at]

    def _check_alone(self, part: Box, begin: tuple[int, ...]) -> None:
        """Check that one part has all of the axes that are left."""
        axis = len(begin)
        for own, size, most in zip(part[0][axis:], part[1][axis:], self._shape[axis:]):
            if own or size < most:
                place = (*begin, 0 if own else size)
                raise _hole(place, self._shape, self._what)
            begin = (*begin, 0)

    def _count(self, parts: int) -> None:
        self._left -= parts
        if self._left < 0:
            raise UnsupportedError(
                f"a tensor is cut into {self._what}s too irregularly to be checked", rules.LIMIT
            )


def shown(offsets: Sequence[int], sizes: Sequence[int]) -> str:
    """Return a part as messages have it."""
    return f"{list(sizes)} from {list(offsets)} on"


def _overlap(first: Box, second: Box, what: str) -> MalformedError:
    if first == second:
        message, found = f"a {what} is listed twice", shown(*first)
    else:
        message, found = f"two {what}s overlap", f"{shown(*first)}; {shown(*second)}"
    return MalformedError(message, rules.DISTRIBUTED_CHUNKS, found=found)


def _hole(begin: tuple[int, ...], shape: Sequence[int], what: str) -> MalformedError:
    index = [*begin, *(0 for _ in shape[len(begin) :])]
    return MalformedError(
        f"no {what} has the elements of the tensor from {index} on",
        rules.DISTRIBUTED_CHUNKS,
        expected=f"{what}s that make up {list(shape)}",
    )
