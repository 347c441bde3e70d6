"""Attributes and shapes as torch sets and has them; in every case of doubt there are none."""

from __future__ import annotations

import pytest

from ckpttool.formats.objects.attributes import (
    MAX_ATTRIBUTES,
    MAX_WRAPPINGS,
    attributes_of,
    shape_of,
    size_of,
)
from ckpttool.formats.pickles.nodes import Call, Dict, Global, Node
from tests.builders.nodes import dict_node, tensor

PARAMETER = Global("torch._utils", "_rebuild_parameter")
FROM_TYPE = Global("torch._tensor", "_rebuild_from_type_v2")


def wrapped(times: int) -> Call:
    node = tensor()
    for _ in range(times):
        node = Call(PARAMETER, (node, False, None))
    return node


@pytest.mark.parametrize(
    ("state", "found"),
    [
        pytest.param(None, {}, id="none"),
        pytest.param(dict_node(("a", 1)), {"a": 1}, id="a dictionary"),
        pytest.param((dict_node(("a", 1)), dict_node(("b", 2))), {"a": 1, "b": 2}, id="slots"),
        pytest.param((None, dict_node(("b", 2))), {"b": 2}, id="slots alone"),
        pytest.param((dict_node(("a", 1)), dict_node(("a", 2))), None, id="one in both"),
        pytest.param(dict_node(("a", 1), ("a", 2)), None, id="one twice"),
        pytest.param(dict_node((1, 2)), None, id="a number for a name"),
        pytest.param([("a", 1)], None, id="a list of pairs"),
        pytest.param(
            dict_node(*((f"a{number}", 0) for number in range(MAX_ATTRIBUTES + 1))),
            None,
            id="too many",
        ),
    ],
)
def test_a_state_sets_the_attributes_of_one_dictionary_or_two(
    state: Node, found: dict[str, Node] | None
) -> None:
    assert attributes_of(state) == found


def test_a_tensor_has_the_shape_of_the_call_that_makes_it() -> None:
    plain = tensor("0", 4)
    assert shape_of(plain) == (4,)
    assert shape_of(wrapped(MAX_WRAPPINGS - 1)) == (4,)
    assert shape_of(Call(FROM_TYPE, (plain.function, None, plain.args, None))) == (4,)


@pytest.mark.parametrize(
    "node",
    [
        pytest.param(wrapped(MAX_WRAPPINGS), id="wrapped too often"),
        pytest.param(Call(PARAMETER, ()), id="a call of nothing"),
        pytest.param(Call(PARAMETER, (1, 2)), id="a call of two"),
        pytest.param(Dict(), id="a dictionary"),
    ],
)
def test_what_is_no_plain_tensor_has_no_shape(node: Node) -> None:
    assert shape_of(node) is None


def test_sizes_are_natural_numbers_in_a_tuple_or_a_size_of_torch() -> None:
    assert size_of((2, 3)) == size_of(Call(Global("torch", "Size"), ((2, 3),))) == (2, 3)
    assert size_of((2, -3)) is size_of("23") is size_of((1,) * 65) is None
