"""Results in which no field is empty, made of their classes: of each a list of possible values.

A field that is added to a result is in them from then on, so that a reporter which forgets it is
found without anybody thinking of it.
"""

from __future__ import annotations

import typing
from enum import Enum
from typing import Any, Dict, List, Tuple, Union

from ckpttool.comparison import result as comparison
from ckpttool.conversion import result as conversion
from ckpttool.findings import finding, inventory, listing, pictures, results, statistics, uses
from ckpttool.findings.rules import Rule, Severity
from ckpttool.proof import result as proof
from ckpttool.verification.lock import content as lock

_MODULES = (
    finding,
    inventory,
    listing,
    pictures,
    results,
    statistics,
    uses,
    comparison,
    lock,
)
_NAMES: Dict[str, Any] = {name: value for one in _MODULES for name, value in vars(one).items()}

#: Fields whose values are words that the code asks for, in place of any text.
_WORDS: Dict[Tuple[str, str], List[Any]] = {
    ("ForwardSummary", "status"): ["run", "not-run"],
    ("ForwardSummary", "scope"): ["encoder", "full"],
    ("AgainstSummary", "kind"): ["checkpoint", "digests"],
    ("PositionTable", "kind"): ["sin-cos", "learned"],
    ("Conversion", "state"): [conversion.WRITTEN, conversion.PLANNED, conversion.NOT_WRITTEN],
    ("Conversion", "to"): ["safetensors"],
    ("LeftOut", "sidecar"): ["whole", "partly", None],
    ("TensorDiff", "rounded"): ["left", "right", None],
    ("ReferenceRow", "kind"): ["data", "trusted", *(use.value for use in uses.Use)],
    ("UseRow", "use"): [use.value for use in uses.Use],
    ("Picture", "width"): [2],
    ("Picture", "height"): [2],
    ("Picture", "pixels"): [bytes(12)],
    ("LockedForward", "tolerance"): [0.25, None],
}
_PLAIN: Dict[Any, List[Any]] = {
    str: ["text"],
    int: [3],
    float: [0.25],
    complex: [0.25],
    bool: [True, False],
    bytes: [b"12"],
    object: ["text"],
    type(None): [None],
}
#: Results that are made, by the name of the class as the reporters know it.
KINDS: Dict[str, Any] = {
    "Report": results.Report,
    "Listing": listing.Listings,
    "Comparison": comparison.Comparison,
    "Conversions": conversion.Conversions,
    "Proof": proof.Proof,
    "Lock": lock.Lock,
}


def made(kind: str) -> List[Any]:
    """Return results of a kind: each value that a field may have is in one of them."""
    return _of_class(KINDS[kind])


def _of(hint: Any, name: str) -> List[Any]:
    """Return values of a type; those that differ in what they are differ in their texts too."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is Union or type(hint).__name__ == "UnionType":
        return [value for one in inner for value in _of(one, name)]
    if origin is tuple:
        if inner[-1:] == (Ellipsis,):
            return [tuple(_of(inner[0], name))]
        return _columns([_of(one, f"{name}.{at}") for at, one in enumerate(inner)])
    if origin in (dict, typing.get_origin(typing.Mapping[str, str])):
        values = _of(inner[1], name)
        return [{f"{name} key {at}": value for at, value in enumerate(values)}]
    if isinstance(hint, type) and issubclass(hint, Enum):
        return list(hint)
    if hint is Rule:
        return [
            Rule("NUM901", "made-here", Severity.ERROR, "It was made here.", "Leave it.", "More.")
        ]
    if hasattr(hint, "_fields"):
        return _of_class(hint)
    if hint in (Any, object, str):
        return [f"{name} text"]
    return _PLAIN[hint]


def _of_class(cls: Any) -> List[Any]:
    module = vars(__import__(cls.__module__, fromlist=["x"]))
    names = {**_NAMES, **module}
    hints = typing.get_type_hints(cls, names, names)
    columns = [
        _WORDS.get((cls.__name__, field)) or _of(hints[field], f"{cls.__name__}.{field}")
        for field in cls._fields
    ]
    return [cls(*row) for row in _columns(columns)]


def _columns(columns: List[List[Any]]) -> List[Any]:
    """Return as many rows as the longest column, the shorter ones begun again."""
    number = max(map(len, columns), default=1)
    return [tuple(column[at % len(column)] for column in columns) for at in range(number)]
