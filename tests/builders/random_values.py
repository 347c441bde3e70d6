"""Random values as files hold them beside weights, changed a little, and Python's word on it.

:func:`alike` is a plain deep comparison of live objects: what ``ckpttool diff`` promises of values
(docs/diff.md), written without any of its code.
"""

from __future__ import annotations

import argparse
import collections
import copy
import datetime as dt
import decimal
import fractions
import pathlib
import struct
import uuid
from random import Random
from typing import Any, Callable, NamedTuple

import numpy as np
import torch


class Thing:
    """An object of a class that nobody knows."""

    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)


class OtherThing(Thing):
    """Another one."""


class Slotted:
    """One with attributes in slots."""

    __slots__ = ("a", "b")

    def __init__(self, a: Any, b: Any) -> None:
        self.a, self.b = a, b


class NamedList(list):  # type: ignore[type-arg]
    """A list with attributes."""

    note: int


class NamedDict(dict):  # type: ignore[type-arg]
    """A dictionary of a class of its own."""


class Point(NamedTuple):
    """A tuple of a class of its own."""

    x: Any
    y: Any


(_NAN,) = struct.unpack(">d", bytes.fromhex("7ff8000000000001"))
_ARRAY_TYPES = (
    "f2 f4 f8 i1 i2 i4 i8 u1 u8 ? c8 c16 U3 S3 V3 M8[D] m8[ns] M8[10ms] >f4 >i2 >c8 >U3 O".split()
)
_TENSOR_TYPES = "float32 float64 float16 bfloat16 int8 uint8 int32 int64 bool complex64".split()
_FLOATS = (0.0, -0.0, 1.0, float("nan"), _NAN, float("inf"), 1e300)


def scalar(random: Random) -> Any:
    """Return one value in which nothing lies."""
    return random.choice(_SCALARS)(random)


_SCALARS: list[Callable[[Random], Any]] = [
    lambda random: random.choice((None, True, False)),
    lambda random: random.choice((0, 1, 2, -1, 255, 256, 65_536, -(2**31), 2**31, 2**63, 2**80)),
    lambda random: random.choice(_FLOATS),
    lambda random: random.choice(("", "a", "1", "é", "\ud800", "a" * 300, "b" * 300)),
    lambda random: random.choice((b"", b"a", b"\xff" * 3, b"a" * 300)),
    lambda random: bytearray(random.choice((b"", b"a", b"\xff" * 3))),
    lambda random: complex(random.choice(_FLOATS), random.choice((0.0, -0.0, 1.0))),
    lambda random: range(random.randrange(2), random.randrange(3), random.randrange(1, 3)),
    lambda random: slice(None, random.randrange(2)),
    lambda random: decimal.Decimal(random.choice(("1.0", "1.00", "NaN", "-0"))),
    lambda random: fractions.Fraction(random.randrange(3), random.randrange(1, 3)),
    lambda random: dt.date(2024, 1, random.randrange(1, 3)),
    lambda random: dt.datetime(2024, 1, 1, random.randrange(2), fold=random.randrange(2)),
    lambda random: dt.datetime(
        2024, 1, 1, tzinfo=dt.timezone(dt.timedelta(0, random.randrange(2)))
    ),
    lambda random: dt.time(1, 2, 3, random.randrange(2)),
    lambda random: dt.timedelta(random.randrange(2), 0, random.randrange(2)),
    lambda random: uuid.UUID(int=random.randrange(2)),
    lambda random: pathlib.PurePosixPath(random.choice(("a", "a/b", "/a", ".", "//a"))),
    lambda random: pathlib.PureWindowsPath(random.choice(("a", "c:\\a", "c:a"))),
    lambda random: torch.Size([random.randrange(2)] * random.randrange(3)),
    lambda random: torch.device(random.choice(("cpu", "cuda:0", "cuda"))),
    lambda random: random.choice((torch.float16, torch.bfloat16, int, Thing, len)),
    lambda random: array(random),
    lambda random: array(random).reshape(-1)[:1][0] if random.randrange(2) else np.float32(1),
]


def array(random: Random) -> Any:
    """Return an array of numpy."""
    kind = random.choice(_ARRAY_TYPES)
    if kind == "O":
        found = np.empty(2, object)
        found[:] = [random.choice((0, 1, "a", None)) for _ in range(2)]
        return found
    if random.randrange(12) == 0:
        return np.array(
            [(1, random.randrange(2))], [("a", "f4"), ("b", random.choice(("i2", "u2")))]
        )
    numbers = np.array([random.randrange(3) for _ in range(6)])
    made = numbers.astype(kind) if kind[0] not in "V" else numbers.astype("S3").view(kind)
    shape = random.choice(((6,), (2, 3), (3, 2), (1, 6), (1, 2, 3)))
    made = made.reshape(shape)
    return np.asfortranarray(made) if random.randrange(3) == 0 else made


def tensor(random: Random) -> torch.Tensor:
    """Return a tensor, some of them views."""
    numbers = torch.tensor([random.randrange(3) for _ in range(6)])
    made = numbers.to(getattr(torch, random.choice(_TENSOR_TYPES)))
    made = made.reshape(random.choice(((6,), (2, 3), (3, 2), (1, 6))))
    form = random.randrange(6)
    if form == 0 and made.dim() == 2:
        return made.t()
    if form == 1:
        return made[:0]
    if form == 2:
        return made.to_sparse() if made.dtype is torch.float32 else made
    return made


def value(random: Random, depth: int = 3, *, tensors: bool = False) -> Any:
    """Return a value, most of them with others in it."""
    if depth == 0 or random.randrange(4) == 0:
        return tensor(random) if tensors and random.randrange(3) == 0 else scalar(random)
    parts = [value(random, depth - 1, tensors=tensors) for _ in range(random.randrange(4))]
    return random.choice(_CONTAINERS)(random, parts)


_KEYS = (1, 2, True, None, "a", "b", "c.d", "1", (1, "a"), (2,), b"a", 0.5)
_MEMBERS = (1, 2, "a", "b", None, (1, 2), b"x", frozenset((1, 2)), -0.0)


def _keyed(random: Random, parts: list[Any]) -> dict[Any, Any]:
    return {random.choice(_KEYS): part for part in parts}


def _named(random: Random, parts: list[Any]) -> dict[str, Any]:
    return {random.choice("ab"): part for part in parts}


def _members(random: Random, parts: list[Any]) -> list[Any]:
    return [random.choice(_MEMBERS) for _ in parts]


def _listed(random: Random, parts: list[Any]) -> NamedList:
    made = NamedList(parts)
    if random.randrange(2):
        made.note = len(parts)
    return made


_CONTAINERS: list[Callable[[Random, list[Any]], Any]] = [
    lambda _, parts: parts,
    lambda _, parts: tuple(parts),
    lambda random, parts: set(_members(random, parts)),
    lambda random, parts: frozenset(_members(random, parts)),
    _keyed,
    lambda random, parts: collections.OrderedDict(_keyed(random, parts)),
    lambda random, parts: collections.defaultdict(
        random.choice((int, list, None)), _keyed(random, parts)
    ),
    lambda random, parts: NamedDict(_keyed(random, parts)),
    lambda random, parts: collections.deque(parts, random.choice((None, 5, 6))),
    lambda random, parts: collections.Counter(random.choice("ab") for _ in parts),
    lambda random, parts: Thing(**_named(random, parts)),
    lambda random, parts: OtherThing(**_named(random, parts)),
    lambda random, parts: argparse.Namespace(**_named(random, parts)),
    lambda _, parts: Slotted(parts, len(parts)),
    lambda _, parts: Point(parts, len(parts)),
    _listed,
]


def changed(random: Random, of: Any, *, tensors: bool = False) -> Any:
    """Return a copy, in which one thing may be another; dictionaries may have another order."""
    made = copy.deepcopy(of)
    return _changed(random, made, tensors) if random.randrange(4) else made


def _changed(random: Random, of: Any, tensors: bool) -> Any:
    inner = _inner(of)
    if not inner or random.randrange(5) == 0:
        if isinstance(of, dict) and random.randrange(2):
            for key in reversed(list(of)):  # the order alone
                of[key] = of.pop(key)
            return of
        return value(random, 1, tensors=tensors)
    key = random.choice(list(inner))
    new = _changed(random, inner[key], tensors)
    if type(of) is tuple:
        return tuple(new if number == key else part for number, part in enumerate(of))
    if isinstance(of, (list, dict, collections.deque)):
        of[key] = new
        return of
    if isinstance(of, Point):
        return of._replace(**{key: new})
    setattr(of, key, new)
    return of


def _inner(of: Any) -> dict[Any, Any]:
    """Return what lies in something, by where it lies."""
    if isinstance(of, collections.Counter):
        return {}
    if isinstance(of, dict):
        return dict(of)
    if type(of) is tuple or isinstance(of, (list, collections.deque)):
        return dict(enumerate(of))
    if isinstance(of, Point):
        return of._asdict()
    if isinstance(of, Slotted):
        return {"a": of.a, "b": of.b}
    return dict(vars(of)) if isinstance(of, (Thing, argparse.Namespace)) else {}


def alike(left: Any, right: Any) -> bool:
    """Whether two live values are the same, as docs/diff.md has it."""
    kinds = [dict if type(one) is collections.OrderedDict else type(one) for one in (left, right)]
    if kinds[0] is not kinds[1]:
        return False
    for types, same in _ALIKE:
        if isinstance(left, types):
            return same(left, right) and _attributes_alike(left, right)
    if hasattr(left, "__dict__") and not isinstance(left, type):
        return _attributes_alike(left, right)
    return bool(left == right)


def _attributes_alike(left: Any, right: Any) -> bool:
    attributes = [dict(getattr(one, "__dict__", {})) for one in (left, right)]
    return attributes == [{}, {}] or alike(*attributes)


def _multisets_alike(left: Any, right: Any) -> bool:
    rest = list(right)
    for one in left:
        found = next((number for number, other in enumerate(rest) if alike(one, other)), None)
        if found is None:
            return False
        del rest[found]
    return not rest


def _tensors_alike(left: torch.Tensor, right: torch.Tensor) -> bool:
    if (left.dtype, left.shape, left.layout) != (right.dtype, right.shape, right.layout):
        return False
    if left.layout is torch.sparse_coo:
        return _tensors_alike(left._indices(), right._indices()) and _tensors_alike(
            left._values(), right._values()
        )
    bits = [one.contiguous().flatten().view(torch.uint8) for one in (left, right)]
    return torch.equal(bits[0], bits[1])


def _arrays_alike(left: Any, right: Any) -> bool:
    arrays = [np.asarray(one) for one in (left, right)]
    types = [one.dtype.newbyteorder("=") for one in arrays]
    if types[0] != types[1] or left.shape != right.shape:
        return False
    if arrays[0].dtype.hasobject:
        return all(map(alike, arrays[0].ravel().tolist(), arrays[1].ravel().tolist()))
    return bool(arrays[0].astype(types[0]).tobytes() == arrays[1].astype(types[0]).tobytes())


def _dictionaries_alike(left: Any, right: Any) -> bool:
    factories = [getattr(one, "default_factory", None) for one in (left, right)]
    return factories[0] is factories[1] and _multisets_alike(
        [list(pair) for pair in left.items()], [list(pair) for pair in right.items()]
    )


def _sequences_alike(left: Any, right: Any) -> bool:
    longest = [getattr(one, "maxlen", None) for one in (left, right)]
    return longest[0] == longest[1] and len(left) == len(right) and all(map(alike, left, right))


def _bits(number: Any) -> bytes:
    return struct.pack("2d", number.real, number.imag)


_ALIKE: list[tuple[Any, Callable[[Any, Any], bool]]] = [
    (torch.Tensor, _tensors_alike),
    ((np.ndarray, np.generic), _arrays_alike),
    ((float, complex), lambda left, right: _bits(left) == _bits(right)),
    (decimal.Decimal, lambda left, right: left.as_tuple() == right.as_tuple()),
    ((dt.datetime, dt.time, range, slice), lambda left, right: repr(left) == repr(right)),
    ((set, frozenset), _multisets_alike),
    (dict, _dictionaries_alike),
    ((list, tuple, collections.deque), _sequences_alike),
    (Slotted, lambda left, right: alike([left.a, left.b], [right.a, right.b])),
    ((pathlib.PurePath, fractions.Fraction), lambda left, right: left == right),
]
