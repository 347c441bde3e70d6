"""What lies beside the tensors becomes plain data, or is said not to have."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ckpttool.errors import UnsupportedError
from ckpttool.formats.nodes import Call, Dict, Global, PersistentId, Set
from ckpttool.formats.plain import Plain, Reader, tensor_bytes


def dict_node(*pairs: tuple[Any, Any]) -> Dict:
    node = Dict()
    node.flat = [part for pair in pairs for part in pair]
    return node


def namespace(**attributes: object) -> Call:
    node = Call(Global("argparse", "Namespace"), ())
    node.states = [dict_node(*attributes.items())]
    return node


def storage(key: str, count: int, dtype: str = "FloatStorage") -> PersistentId:
    return PersistentId(("storage", Global("torch", dtype), key, "cpu", count))


def tensor(key: str = "0", count: int = 4) -> Call:
    function = Global("torch._utils", "_rebuild_tensor_v2")
    return Call(function, (storage(key, count), 0, (count,), (1,), False, None))


@pytest.mark.parametrize(
    ("node", "value"),
    [
        pytest.param(None, None, id="none"),
        pytest.param(True, True, id="bool"),
        pytest.param(7, 7, id="int"),
        pytest.param(0.5, 0.5, id="float"),
        pytest.param("\ud800", "\ud800", id="half a surrogate pair"),
        pytest.param(float("nan"), {"$float": "nan"}, id="nan"),
        pytest.param(float("-inf"), {"$float": "-inf"}, id="infinity"),
        pytest.param((1, [2]), [1, [2]], id="tuple"),
        pytest.param(b"\x00\xff", {"$bytes": "00ff"}, id="bytes"),
        pytest.param(Set([1]), {"$set": [1]}, id="set"),
        pytest.param(Global("torch", "float32"), {"$name": "torch.float32"}, id="name"),
        pytest.param(dict_node(("a", 1)), {"a": 1}, id="dict"),
        pytest.param(dict_node((0, "x")), {"$pairs": [[0, "x"]]}, id="integer keys"),
        pytest.param(dict_node(("$set", 1)), {"$pairs": [["$set", 1]]}, id="a key like ours"),
        pytest.param(
            dict_node(("a", 1), ("a", 2)), {"$pairs": [["a", 1], ["a", 2]]}, id="a key twice"
        ),
        pytest.param(
            namespace(lr=0.1),
            {"$object": "argparse.Namespace", "attributes": {"lr": 0.1}},
            id="instance",
        ),
    ],
)
def test_plain_data_is_kept_whole(node: object, value: object) -> None:
    assert Reader().read(node) == Plain(value, 0)
    json.dumps(value, allow_nan=False)


def cycle() -> list[object]:
    node: list[object] = []
    node.append(node)
    return node


@pytest.mark.parametrize(
    ("node", "kind"),
    [
        pytest.param(tensor(), "tensor", id="tensor"),
        pytest.param(storage("0", 1), "storage", id="storage"),
        pytest.param(Call(Global("pathlib", "PosixPath"), ("/x",)), "pathlib.PosixPath", id="call"),
        pytest.param(Call(5, ()), "object", id="a call of no name"),
    ],
)
def test_what_is_no_plain_data_is_named_and_counted(node: object, kind: str) -> None:
    read = Reader().read([1, node])
    assert read == Plain([1, {"$left_out": kind}], 1)


def test_a_cycle_ends() -> None:
    assert Reader().read(cycle()).left_out == 1


def test_shared_parts_do_not_grow_without_end() -> None:
    node: list[object] = []
    for _ in range(60):
        node = [node, node]
    with pytest.raises(UnsupportedError) as caught:
        Reader().read(node)
    assert caught.value.rule is not None
    assert caught.value.rule.code == "FIL005"


def test_tensors_are_counted_once_and_for_the_first_who_has_them() -> None:
    shared = tensor("0", 4)
    assert tensor_bytes([dict_node(("exp_avg", shared)), [shared, tensor("1", 2)], 5]) == [16, 8, 0]


def test_two_names_of_one_storage_count_once() -> None:
    assert tensor_bytes([[tensor("0", 4), tensor("0", 4)]]) == [16]


def test_strange_storages_count_nothing() -> None:
    strange = [
        PersistentId(7),
        storage("0", 4, "NoStorage"),
        PersistentId(("storage", 1, "k", 1, -1)),
    ]
    assert tensor_bytes(strange) == [0, 0, 0]
