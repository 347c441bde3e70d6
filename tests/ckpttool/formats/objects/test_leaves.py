from __future__ import annotations

from typing import Any

import pytest

from ckpttool.formats.objects.leaves import leaves
from ckpttool.formats.pickles.nodes import Call, Global, Set
from tests.builders.nodes import dict_node, namespace, tensor


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        pytest.param("x", [("k", "x")], id="text"),
        pytest.param(True, [("k", True)], id="bool"),
        pytest.param(None, [], id="none"),
        pytest.param(b"x", [], id="bytes"),
        pytest.param([1, ["x"]], [("k", 1), ("k", "x")], id="lists"),
        pytest.param(Set(["x"]), [("k", "x")], id="set"),
        pytest.param(dict_node(("a", 1), ("b", "x")), [("k.a", 1), ("k.b", "x")], id="dict"),
        pytest.param(dict_node((7, "x")), [("k", 7), ("k", "x")], id="a number as key"),
        pytest.param(dict_node(("a/b", "x")), [("k", "a/b"), ("k", "x")], id="a path as key"),
        pytest.param(namespace(a=namespace(b=1)), [("k.a.b", 1)], id="namespaces"),
        pytest.param(tensor(), [], id="tensor"),
        pytest.param(
            Call(Global("pathlib", "PosixPath"), ("/", "home", "x")), [("k", "/home/x")], id="path"
        ),
        pytest.param(
            Call(Global("pathlib", "WindowsPath"), ("C:\\", "x")), [("k", "C:\\x")], id="drive"
        ),
    ],
)
def test_scalars_come_with_their_keys(node: Any, expected: list[object]) -> None:
    assert list(leaves("k", node)) == expected


def test_a_shared_part_comes_once_and_a_cycle_ends() -> None:
    shared: list[Any] = ["x"]
    shared.append(shared)
    assert list(leaves("k", [shared, shared])) == [("k", "x")]


def test_a_deep_nesting_does_not_make_long_keys() -> None:
    node: Any = "x"
    for _ in range(10_000):
        node = dict_node(("part", node))
    ((key, value),) = leaves("k", node)
    assert value == "x"
    assert len(key) < 250
