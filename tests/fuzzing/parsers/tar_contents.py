"""What the members of torch's old tar say: storages, tensors and the object, good or odd."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Dict, List, NamedTuple, Sequence

from tests.builders import pickles as p
from tests.fuzzing.mutations import raw

if TYPE_CHECKING:
    from random import Random

_KINDS = {"Float": 4, "Half": 2, "Double": 8, "Long": 8, "Int": 4, "Byte": 1, "Bool": 1, "Char": 1}
_OTHERS = ("BFloat16", "ComplexFloat", "QInt8", "Untyped", "cuda.Float", "")
_ATTACK = p.call(p.name("os", "system"), p.text("exit"))


class _Told(NamedTuple):
    """A storage or a view: its key, its type and how many elements it has."""

    key: int
    kind: str
    elements: int


class Odd:
    """Returns what it is given, and now and then something else."""

    def __init__(self, random: Random, often: float) -> None:
        self._random, self._often = random, often

    def __call__(self, value: int) -> int:
        """Return the number, or another one."""
        if self._random.random() >= self._often:
            return value
        near = (value + 1, value - 1, -value, 0, value * 2, 2**31, 2**63 - 1)
        return self._random.choice((*near, raw.edge(self._random)))

    def integer(self, value: int) -> bytes:
        """Return opcodes for the number, or for something else."""
        if self._random.random() >= self._often / 2:
            return p.integer(self(value))
        text = (p.text(str(value)), p.text(f" {value}"), b"\x88", b"N", b"]", p.list_of(b"K\x01"))
        return self._random.choice((*text, b"G" + struct.pack(">d", value % 2**60), _ATTACK))

    def part(self, content: bytes) -> bytes:
        """Return some bytes, or others."""
        if self._random.random() >= self._often / 2:
            return content
        return self._random.choice((p.pickle(_ATTACK), raw.mutate(content, self._random), b""))

    def number(self, value: int) -> bytes:
        """Return the eight bytes of a number."""
        return struct.pack("<Q", self(value) % 2**64)


def contents(random: Random) -> Dict[bytes, bytes]:
    """Return the contents of members that belong together, with some oddities or none."""
    odd = Odd(random, random.choice((0, 0, 0.02, 0.1)))
    storages = [
        _Told(odd(10 + place), random.choice(list(_KINDS)), random.choice((0, 1, 4, 6, 6, 12)))
        for place in range(random.choice((1, 1, 2, 3)))
    ]
    views = [
        (odd(30 + place), random.choice(storages)) for place in range(random.choice((0, 0, 1, 2)))
    ]
    tensors = [odd(50 + place) for place in range(random.choice((1, 1, 2, 3)))]
    known = [*storages, *(_Told(key, root.kind, root.elements // 2) for key, root in views)]
    return {
        b"storages": _storages(storages, views, odd, random),
        b"tensors": _tensors(tensors, known, odd, random),
        b"pickle": _object(tensors, odd, random),
        b"sys_info": p.pickle(odd.part(b"}")),
    }


def _storages(
    storages: Sequence[_Told], views: Sequence[tuple[int, _Told]], odd: Odd, random: Random
) -> bytes:
    parts = [p.pickle(odd.integer(len(storages)))]
    for key, kind, count in storages:
        spelled = random.choice((kind, kind, kind, kind, kind, kind, random.choice(_OTHERS)))
        place = random.choice(("cpu", "cpu", "cpu", "cuda:0", "", "odd"))
        described = p.tuple_of(
            odd.integer(key), p.text(place), p.name("torch", f"{spelled}Storage")
        )
        data = bytes(range(1, 1 + count * _KINDS[kind])) if kind != "Bool" else b"\1" * count
        parts += [odd.part(p.pickle(described)), odd.number(count), odd.part(data)]
    listed = [
        _view(key, root, random.randrange(root.elements // 2 + 1), odd) for key, root in views
    ]
    parts.append(odd.part(p.pickle(p.list_of(*listed) if listed else b"]")))
    return b"".join(parts)


def _view(key: int, root: _Told, offset: int, odd: Odd) -> bytes:
    numbers = (key, root.key, offset, root.elements // 2)
    return p.tuple_of(*map(odd.integer, numbers))


def _tensors(keys: Sequence[int], known: Sequence[_Told], odd: Odd, random: Random) -> bytes:
    parts = [p.pickle(odd.integer(len(keys)))]
    for key in keys:
        storage = random.choice(known)
        described = p.tuple_of(
            odd.integer(key), odd.integer(storage.key), p.name("torch", f"{storage.kind}Tensor")
        )
        shape, strides, offset = _geometry(storage.elements, random)
        numbers = b"".join(odd.number(one) for one in (*shape, *strides, offset))
        junk = struct.pack("<I", random.choice((0, 0, 0, 1, 2**32 - 1)))
        parts += [odd.part(p.pickle(described)), struct.pack("<I", odd(len(shape)) % 2**32) + junk]
        parts.append(numbers)
    return b"".join(parts)


def _geometry(count: int, random: Random) -> tuple[List[int], List[int], int]:
    """Return a shape, strides and an offset that fit into so many elements."""
    if count == 0:
        return random.choice(([0], [0, 3], [2, 0])), [1, 1][: random.choice((1, 1))], 0
    kind = random.randrange(6)
    if kind == 0:
        return [], [], random.randrange(count)
    if kind == 1 and count % 2 == 0:
        return [2, count // 2], [count // 2, 1], 0
    if kind == 2 and count % 2 == 0:
        return [count // 2, 2], [1, count // 2], 0
    if kind == 3:
        return [3, count], [0, 1], 0
    offset = random.randrange(count)
    return [count - offset], [1], offset


def _object(keys: Sequence[int], odd: Odd, random: Random) -> bytes:
    """Return the pickle of a dictionary with the tensors, flat or below another one."""
    pairs = []
    for place, key in enumerate(keys):
        spelled = p.text(str(odd(key))) if random.random() < 0.8 else odd.integer(key)
        pairs.append((p.text(f"w{place}"), odd.part(spelled + b"Q")))
    body = p.dict_of(*pairs)
    if random.random() < 0.2:
        body = p.dict_of((p.text("state_dict"), body), (p.text("epoch"), odd.integer(3)))
    if random.random() < 0.05:
        body = p.dict_of((p.text("w"), _ATTACK), *pairs)
    return p.pickle(body)
