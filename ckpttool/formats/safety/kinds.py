"""The kinds of values that a call is given, and which of them a constructor takes.

A constructor of data is harmless for data. Given an instance of an unknown class it may iterate,
hash or convert it, and so run that class's code: the kinds it takes are part of what is allowed.
"""

from __future__ import annotations

from typing import Callable, NamedTuple, Sequence

from ckpttool.formats.pickles.nodes import ByteArray, Dict, Global, Node, PersistentId, Set

#: An instance of a class that is not on the list.
OBJECT = "object"
#: The result of a call that is reported already: what is done with it is not reported again.
RESULT = "result"
#: Something that can be called, or that calls when it is iterated over: a bound method, a partial.
FUNCTION = "function"
#: A container with something in it that is no data: iterating over it may run code.
HOLDER = "holder"
#: A value of a class on the list, for example a date.
DATA = "data"
#: One with attributes that the pickle gave it: a method may look one up, and call it.
RECORD = "record"

#: Kinds of arguments that a constructor instantiates or calls, to the names that may stand there.
#: One class has several names here, since numpy moved modules: ``numpy._core`` is numpy 2's.
NAMED = {
    "array-type": """
        numpy.ndarray numpy.matrix numpy.matrixlib.defmatrix.matrix numpy.recarray
        numpy.rec.recarray numpy.core.records.recarray numpy.chararray numpy.memmap
        numpy.char.chararray numpy.core.defchararray.chararray numpy.core.memmap.memmap
        numpy._core.defchararray.chararray numpy._core.records.recarray
        numpy._core.memmap.memmap numpy.ma.core.MaskedArray numpy.ma.MaskedArray
        numpy.ma.mrecords.MaskedRecords
    """,
    "array-class": "array.array",
    "bit-generator": """
        numpy.random._mt19937.MT19937 numpy.random._pcg64.PCG64 numpy.random._pcg64.PCG64DXSM
        numpy.random._philox.Philox numpy.random._sfc64.SFC64
    """,
    "bit-generator-maker": "numpy.random._pickle.__bit_generator_ctor",
    "seed-sequence": "numpy.random.bit_generator.SeedSequence",
}
_KIND_OF_NAME = {name: kind for kind, names in NAMED.items() for name in names.split()}

#: The kind of every value but names and calls.
KIND_BY_TYPE = {
    type(None): "none",
    bool: "bool",
    int: "int",
    float: "float",
    str: "str",
    bytes: "bytes",
    ByteArray: "bytes",
    tuple: "tuple",
    list: "list",
    Dict: "dict",
    Set: "set",
    PersistentId: "storage",
}
_NUMBER = frozenset({"bool", "int", "float"})
# What runs no code of the file's, whatever is asked of it.
_PLAIN = frozenset(KIND_BY_TYPE.values()) | {DATA, "array", "tensor"}
_NAMES = frozenset({"name", *NAMED})
_GROUPS = {
    "number": _NUMBER | {DATA},  # DATA, since numpy's scalars and Decimal are numbers too
    "text": frozenset({"str", "bytes"}),
    "sequence": frozenset({"tuple", "list"}),
    "pairs": frozenset({"tuple", "list", "dict"}),
    "plain": _PLAIN,
    "name": _NAMES,
    "items": frozenset({"tuple", "list", "dict", "set", HOLDER}),
    "x": _PLAIN | _NAMES | {FUNCTION, HOLDER, RECORD, OBJECT, RESULT},
}


def kind_of(node: Node, given: Callable[[Node], str]) -> str:
    """Return the kind of a value; ``given`` returns the kind of a call's result."""
    if type(node) is Global:
        return _KIND_OF_NAME.get(str(node), "name")
    return KIND_BY_TYPE.get(type(node)) or given(node)


class Argument(NamedTuple):
    """What one argument may be."""

    kinds: frozenset[str]
    optional: bool
    repeated: bool


#: The arguments of one way to call, in order.
Signature = Sequence[Argument]


def signatures(text: str) -> list[Signature]:
    """Read what a row of the table says of a constructor's arguments.

    Arguments are separated by spaces and ways to call by ``|``. An argument is kinds joined by
    ``/``; ``?`` behind it means that it may be left out, ``*`` that there may be any number.
    """
    return [[_argument(word) for word in way.split()] for way in text.split("|")]


def _argument(word: str) -> Argument:
    names = word.rstrip("?*").split("/")
    kinds = frozenset().union(*(_GROUPS.get(name, frozenset({name})) for name in names))
    return Argument(kinds, word.endswith(("?", "*")), word.endswith("*"))


def fits(ways: Sequence[Signature], kinds: Sequence[str]) -> bool:
    """Whether a constructor that is called in these ways takes arguments of these kinds."""
    return any(
        _has_room(way, len(kinds))
        and all(kind in taken for kind, taken in zip(kinds, _spread(way, len(kinds))))
        for way in ways
    )


def _has_room(way: Signature, number: int) -> bool:
    least = sum(1 for argument in way if not argument.optional)
    most = number if any(argument.repeated for argument in way) else len(way)
    return least <= number <= most


def _spread(way: Signature, number: int) -> list[frozenset[str]]:
    """Return the kinds allowed for each of ``number`` arguments."""
    # as in Python, only the last argument of a signature is repeated
    taken = [argument.kinds for argument in way]
    return taken + taken[-1:] * (number - len(way))
