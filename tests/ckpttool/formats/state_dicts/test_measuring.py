"""How large a tensor is by what the pickle says of it, before its storage is looked for."""

from __future__ import annotations

import pytest

from ckpttool.formats.objects.attributes import MAX_WRAPPINGS
from ckpttool.formats.pickles.nodes import Call, Global, Node, PersistentId
from ckpttool.formats.state_dicts.measuring import elements_of, is_random_state
from tests.builders import nodes

ROWS = (316, 16)  # elements as many as the state of a generator has bytes


def on_no_device() -> Call:
    """A tensor of the meta device: element type, shape, strides and no storage."""
    function = Global("torch._utils", "_rebuild_meta_tensor_no_storage")
    return Call(function, (Global("torch", "float32"), ROWS, (16, 1), False))


def wrapped(times: int) -> Call:
    made = nodes.tensor(count=4)
    for _ in range(times):
        made = Call(Global("torch._utils", "_rebuild_parameter"), (made, True, None))
    return made


def test_a_tensor_has_the_elements_of_its_shape() -> None:
    assert elements_of(nodes.tensor(count=4)) == 4
    assert elements_of(wrapped(2)) == 4


@pytest.mark.parametrize(
    "node",
    [
        pytest.param(on_no_device(), id="without a storage"),
        pytest.param(wrapped(MAX_WRAPPINGS + 1), id="in more parameters than any file nests"),
    ],
)
def test_a_tensor_of_a_size_that_is_not_known_counts_as_more_than_a_number(node: Node) -> None:
    assert elements_of(node) == 2
    assert not is_random_state(node)


def held_in(identity: Node, shape: Node) -> Call:
    strides = (1,) * len(shape)
    function = Global("torch._utils", "_rebuild_tensor_v2")
    return Call(function, (PersistentId(identity), 0, shape, strides, False, None))


def of_class(name: str, count: int = 5056) -> Node:
    return ("storage", Global("torch", name), "0", "cpu", count)


def test_5056_bytes_in_a_row_are_the_state_of_a_generator() -> None:
    assert is_random_state(held_in(of_class("ByteStorage"), (5056,)))


@pytest.mark.parametrize(
    "node",
    [
        pytest.param(held_in(of_class("FloatStorage"), (5056,)), id="of another element type"),
        pytest.param(held_in(of_class("ByteStorage"), (5055,)), id="of another length"),
        pytest.param(held_in(of_class("ByteStorage"), ROWS), id="in rows"),
        pytest.param(held_in(7, (5056,)), id="in a storage of a tar, which is a number here"),
        pytest.param(held_in(("storage",), (5056,)), id="in a storage of no class"),
    ],
)
def test_other_tensors_are_no_states_of_generators(node: Node) -> None:
    assert not is_random_state(node)
