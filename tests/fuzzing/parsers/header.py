"""A safetensors file, against the library of the format: length, header, tensors."""

from __future__ import annotations

import json
import struct
from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, Any, Dict, List, NamedTuple, Sequence, Tuple

from safetensors import SafetensorError, deserialize

from ckpttool.files.sources import MemorySource
from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError
from ckpttool.formats import open_source
from ckpttool.tensors.dtypes import SAFETENSORS_DTYPES
from tests.builders import safetensors as files
from tests.fuzzing.mutations import json_texts, raw, tokens
from tests.fuzzing.parser import ViolationError
from tests.fuzzing.tensors import Content, contents, held_to

if TYPE_CHECKING:
    from random import Random

NAME = "header"

# Shapes whose elements fill whole bytes, whatever their width.
_SHAPES: Tuple[Tuple[int, ...], ...] = ((4,), (2, 4), (), (0,), (1, 8, 1), (0, 3), (12,))
_LONG, _MOST_SHIFT = 65_536, 1_000
_BITS = {code: dtype.bits for code, dtype in SAFETENSORS_DTYPES.items()}
# What the library reads and is refused here: a name twice, of which it takes the last one, and more
# than is catalogued (dimensions of a tensor, strings beside them, nesting of further keys).
_STRICTER = (rules.DUPLICATE_KEY, rules.LIMIT)


@lru_cache(maxsize=None)
def seeds() -> Sequence[bytes]:
    """Return good files: every type, many tensors, none, and what the library alone allows."""
    return (
        files.file(),
        files.sharing({"a": 3, "b": 0, "c": 5}, {"format": "pt"}),
        files.file(b"{}", b""),
        files.file(b'{"__metadata__":{}}      ', b""),
        *(files.file(*_of_types(some)) for some in _in_parts(list(SAFETENSORS_DTYPES), 8)),
        files.file(*_of_types(["F4", "F6_E2M3", "F6_E3M2", "F64"], reverse=True)),
        files.file(*_many(40)),
        files.file(*_in_other_spelling()),
        *(build() for build, _ in files.ODDITIES.values()),
    )


def _in_parts(codes: List[str], most: int) -> List[List[str]]:
    return [codes[start : start + most] for start in range(0, len(codes), most)]


def _of_types(codes: Sequence[str], *, reverse: bool = False) -> Tuple[bytes, bytes]:
    """Return header and data of a tensor of each type, the data in either order."""
    entries: Dict[str, Any] = {"__metadata__": {"format": "pt", "": "\u00e9 \\ \n"}}
    begin = 0
    order = list(reversed(codes)) if reverse else list(codes)
    for place, code in enumerate(order):
        shape = next(
            one for one in (*_SHAPES[place % len(_SHAPES) :], (8,)) if not _bits(code, one) % 8
        )
        end = begin + _bits(code, shape) // 8
        entries[f"model.{code}"] = {"dtype": code, "shape": shape, "data_offsets": [begin, end]}
        begin = end
    header = {name: entries[name] for name in sorted(entries)} if reverse else entries
    return json.dumps(header).encode(), bytes(number % 256 for number in range(begin))


def _many(number: int) -> Tuple[bytes, bytes]:
    entries = {
        f"blocks.{place}.w": {"dtype": "U8", "shape": [1], "data_offsets": [place, place + 1]}
        for place in range(number)
    }
    return json.dumps(entries, separators=(",", ":")).encode(), bytes(range(number))


def _in_other_spelling() -> Tuple[bytes, bytes]:
    header = (
        b'{ "\\u0061\\/b" : {\t"shape":[ 1 , 2 ],"data_offsets": [0,2],"dtype":"U8"},\n'
        b'"\xc3\xa9\\ud83d\\ude00":{"data_offsets":[2,6],"dtype":"\\u004632","shape":[1]} }   '
    )
    return header, bytes(range(6))


def _bits(code: str, shape: Sequence[int]) -> int:
    elements = _BITS[code]
    for length in shape:
        elements *= length
    return elements


def mutate(content: bytes, random: Random) -> bytes:
    """Change the header as JSON, what its numbers say together, or the file as bytes."""
    kind = random.random()
    if kind < 0.1:
        return raw.mutate(content, random)
    length = int.from_bytes(content[:8], "little")
    header, data = content[8 : 8 + length], content[8 + length :]
    if kind < 0.15:
        return _stated(len(header), random) + header + data
    if kind < 0.45:
        header, data = _laid_out(header, data, random)
    else:
        header = json_texts.mutate(header, random)
    return struct.pack("<Q", len(header)) + header + data


def _stated(length: int, random: Random) -> bytes:
    """Return a length that is not the header's."""
    near = length + random.choice((-8, -2, -1, 1, 2, 8))
    return struct.pack("<Q", random.choice((near, raw.edge(random), 10**8, 10**8 + 1)) % 2**64)


class _Layout(NamedTuple):
    """A header as JSON, the entries in it that lie somewhere, and the data."""

    tree: Dict[str, Any]
    entries: List[Tuple[str, Dict[str, Any]]]
    data: bytes


def _laid_out(header: bytes, data: bytes, random: Random) -> Tuple[bytes, bytes]:
    """Change where the tensors lie, or what they are, so that it may still fit together."""
    try:
        tree = json.loads(header)
        entries = [(name, entry) for name, entry in tree.items() if _is_entry(entry)]
    except (ValueError, OverflowError, RecursionError, AttributeError):
        return tokens.mutate(header, random), data
    if not entries or len(header) > _LONG:
        return tokens.mutate(header, random), data
    name, entry = random.choice(entries)
    change = random.choice(_LAYOUTS)
    data = change(_Layout(tree, entries, data), name, entry, random)
    try:
        return json.dumps(tree).encode("utf-8", "surrogatepass"), data
    except (ValueError, OverflowError, RecursionError):  # a number of too many digits, or too deep
        return tokens.mutate(header, random), data


def _shifted(given: _Layout, _: str, __: Dict[str, Any], random: Random) -> bytes:
    """Let all of them lie further on, and at times the data as well."""
    shift = random.choice((1, 8, -1, raw.edge(random)))
    for _, one in given.entries:
        one["data_offsets"] = [number + shift for number in one["data_offsets"]]
    longer = 0 < shift < _MOST_SHIFT and random.random() < 0.5
    return bytes(shift) + given.data if longer else given.data


def _retyped(given: _Layout, _: str, entry: Dict[str, Any], random: Random) -> bytes:
    """Give it another type, in most cases with a shape that the same bytes hold."""
    code = random.choice(list(_BITS))
    begin, end = entry["data_offsets"]
    elements, rest = divmod(8 * (end - begin), _BITS[code])
    entry["dtype"] = code
    if not rest and random.random() < 0.8:
        entry["shape"] = [elements]
    return given.data


def _with_empty(given: _Layout, name: str, entry: Dict[str, Any], random: Random) -> bytes:
    """Put an empty tensor somewhere."""
    begin, end = entry["data_offsets"]
    at = random.choice((begin, end, 0, len(given.data), begin + 1, raw.edge(random)))
    shape = random.choice(([0], [0, 3], [2**40, 0], [0, 2**40, 2**40], [2**32, 2**32, 0]))
    given.tree[f"{name}.0"] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at]}
    return given.data


def _with_more(given: _Layout, name: str, _: Dict[str, Any], random: Random) -> bytes:
    """Put one more tensor behind the others."""
    more, start = random.choice((1, 3, 8, 64)), len(given.data)
    offsets = [start, start + more]
    given.tree[f"{name}.1"] = {"dtype": "U8", "shape": [more], "data_offsets": offsets}
    return given.data + bytes(range(more))


def _exchanged(given: _Layout, _: str, entry: Dict[str, Any], random: Random) -> bytes:
    """Let two of them take each other's place, with all that belongs to it or without."""
    other = random.choice(given.entries)[1]
    for key in random.choice((("data_offsets",), ("data_offsets", "dtype", "shape"))):
        entry[key], other[key] = other.get(key), entry.get(key)
    return given.data


def _border_moved(given: _Layout, _: str, entry: Dict[str, Any], random: Random) -> bytes:
    """Move the border between one and the next."""
    by = random.choice((1, -1, 4))
    end = entry["data_offsets"][1]
    for _, one in given.entries:
        if one["data_offsets"][0] == end:
            one["data_offsets"][0] += by
    entry["data_offsets"][1] += by
    return given.data


def _in_other_order(given: _Layout, _: str, entry: Dict[str, Any], random: Random) -> bytes:
    """Write the entries in another order, one of them with more dimensions."""
    names = list(given.tree)
    random.shuffle(names)
    for name in names:
        given.tree[name] = given.tree.pop(name)
    shape = entry["shape"]
    entry["shape"] = random.choice((shape, [*shape, 1], [1] * 15 + shape, [1] * 17 + shape))
    return given.data


_LAYOUTS = (
    *(_shifted, _retyped, _with_empty, _with_more, _exchanged, _border_moved, _in_other_order),
)


def _is_entry(entry: object) -> bool:
    """Whether it is a tensor whose offsets and shape can be reckoned with."""
    if not isinstance(entry, dict):
        return False
    offsets, shape = entry.get("data_offsets"), entry.get("shape")
    return (
        isinstance(offsets, list)
        and [type(number) for number in offsets] == [int, int]
        and isinstance(shape, list)
    )


def read(content: bytes) -> object:
    """Catalogue the file and read its tensors."""
    return contents(open_source(MemorySource(content, "model.safetensors"), None))


def compare(content: bytes, said: object | CkpttoolError) -> str:
    """Hold the tensors to those of the library, and what is refused to what it refuses."""
    try:
        theirs = {name: _content(tensor) for name, tensor in deserialize(content)}  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        if isinstance(said, CkpttoolError):
            return "refused by both"
        raise ViolationError(f"the library refuses it: {error}") from None
    if isinstance(said, CkpttoolError):
        if said.rule is not None and said.rule in _STRICTER:
            return f"refused here alone, {said.rule.code}"
        if _has_a_name_twice(content):
            return "refused here alone, for the first of two of a name"
        if _has_zero_beside_much(content):
            return "refused here alone, a zero beside too large a size"
        raise ViolationError(f"the library reads it, refused here: {said}")
    if said is None:
        return "too large to compare"
    if _has_a_name_twice(content):
        raise ViolationError("a name is listed twice, of which other readers take either")
    assert isinstance(said, dict)
    return held_to(said, theirs)


def _has_a_name_twice(content: bytes) -> bool:
    """Whether a tensor is listed twice. The library looks at the last one alone."""
    header = content[8 : 8 + int.from_bytes(content[:8], "little")]
    every: List[List[Tuple[str, Any]]] = []
    json.loads(header, object_pairs_hook=every.append)
    names = [name for name, _ in every[-1]]  # the object around all the others comes last
    return len(set(names)) < len(names)


def _has_zero_beside_much(content: bytes) -> bool:
    """Whether a shape has no elements, and otherwise more bytes than 64 bits can count.

    The library multiplies them in turn, and reads it where the zero comes first.
    """
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    shapes = [entry[1] if isinstance(entry, list) else entry["shape"] for entry in _tensors(header)]
    return any(0 in shape and 16 * prod(filter(None, shape)) >= 2**63 for shape in shapes)


def _tensors(header: Dict[str, Any]) -> List[Any]:
    return [entry for name, entry in header.items() if name != "__metadata__"]


def _content(tensor: Dict[str, Any]) -> Content:
    return SAFETENSORS_DTYPES[tensor["dtype"]].name, tuple(tensor["shape"]), bytes(tensor["data"])
