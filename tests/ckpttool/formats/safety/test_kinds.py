from __future__ import annotations

from typing import Any

import pytest

from ckpttool.formats.pickles.nodes import Call, Dict, Global, PersistentId, Set
from ckpttool.formats.safety.kinds import fits, kind_of, signatures

VALUES: dict[str, Any] = {
    "none": None,
    "bool": True,
    "int": 1,
    "float": 1.5,
    "str": "a",
    "bytes": b"a",
    "tuple": (),
    "list": [],
    "dict": Dict(),
    "set": Set([]),
    "storage": PersistentId("x"),
    "name": Global("m", "f"),
    "array-type": Global("numpy", "ndarray"),
    "given": Call(Global("m", "f"), ()),
}


@pytest.mark.parametrize("kind", VALUES)
def test_a_value_is_of_its_kind(kind: str) -> None:
    assert kind_of(VALUES[kind], lambda _: "given") == kind


@pytest.mark.parametrize(
    ("ways", "kinds", "right"),
    [
        ("", "", True),
        ("", "int", False),
        ("int", "int", True),
        ("int", "bool", False),
        ("int", "", False),
        ("int?", "", True),
        ("int str?", "int", True),
        ("int str?", "int str", True),
        ("int str?", "int int", False),
        ("int str?", "int str str", False),
        ("str*", "", True),
        ("str*", "str str str", True),
        ("str*", "str int", False),
        ("int str*", "int str str", True),
        ("int/str", "str", True),
        ("number", "float", True),
        ("plain", "data", True),
        ("plain", "object", False),
        ("plain", "function", False),
        ("plain", "name", False),
        ("x", "object", True),
        ("name", "array-type", True),
        ("array-type", "name", False),
        ("str|int int", "str", True),
        ("str|int int", "int int", True),
        ("str|int int", "int", False),
    ],
)
def test_arguments_are_held_against_the_ways_to_call(ways: str, kinds: str, right: bool) -> None:
    assert fits(signatures(ways), kinds.split()) is right
