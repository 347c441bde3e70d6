"""What lies beside the tensors becomes plain data, or is said not to have."""

from __future__ import annotations

import collections
import copyreg
import datetime as dt
import decimal
import enum
import fractions
import json
import pathlib
import pickle
import struct
import uuid
from typing import Dict, List, Tuple

import numpy as np
import pytest
import torch

from ckpttool.findings.errors import UnsupportedError
from ckpttool.formats.objects import plain
from ckpttool.formats.objects.plain import Plain, Reader, tensor_bytes
from ckpttool.formats.pickles import parse
from ckpttool.formats.pickles.nodes import Call, Global, New, PersistentId, Set
from tests.builders.nodes import dict_node, namespace, storage, tensor


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
        pytest.param(dict_node(("a", 1), ("a", 2)), {"a": 2}, id="a key twice: the last counts"),
        pytest.param(
            namespace(lr=0.1),
            {"$object": "argparse.Namespace", "attributes": {"lr": 0.1}},
            id="instance",
        ),
    ],
)
def test_plain_data_is_kept_whole(node: object, value: object) -> None:
    read = Reader().read("k", node)
    assert (read.value, read.left_out) == (value, 0)
    json.dumps(value, allow_nan=False)


class Colour(enum.Enum):
    RED = 1


class Settings:
    def __init__(self) -> None:
        self.folder = pathlib.PurePosixPath("/a/b")


class Items(List[int]):
    """A list of a class of its own."""


class Entries(Dict[str, int]):
    """A dictionary of a class of its own."""


class Remade:
    """An object that is made as protocol 2 does it, in every protocol."""

    def __reduce__(self) -> Tuple[object, ...]:
        return copyreg.__newobj__, (Remade,), {"a": 1}  # type: ignore[attr-defined]


VALUES = [
    pytest.param(1 - 2j, {"$complex": [1.0, -2.0]}, id="complex"),
    pytest.param(b"a\xff", {"$bytes": "61ff"}, id="bytes"),
    pytest.param(b"", {"$bytes": ""}, id="no bytes"),
    pytest.param(pathlib.PurePosixPath("/a/b"), {"$PurePosixPath": "/a/b"}, id="path"),
    pytest.param(pathlib.PureWindowsPath("C:/x"), {"$PureWindowsPath": "C:\\x"}, id="drive"),
    pytest.param(dt.date(2024, 2, 29), {"$date": "2024-02-29"}, id="date"),
    pytest.param(
        dt.datetime(2024, 2, 29, 1, 2, 3, 4, dt.timezone.utc),
        {"$datetime": "2024-02-29T01:02:03.000004+00:00"},
        id="datetime",
    ),
    pytest.param(dt.time(1, 2), {"$time": "01:02:00"}, id="time"),
    pytest.param(dt.timedelta(1, 2, 3), {"$timedelta": [1, 2, 3]}, id="timedelta"),
    pytest.param(decimal.Decimal("1.50"), {"$decimal": "1.50"}, id="decimal"),
    pytest.param(fractions.Fraction(1, 3), {"$fraction": "1/3"}, id="fraction"),
    pytest.param(uuid.UUID(int=5), {"$uuid": f"{5:032x}"}, id="uuid"),
    pytest.param(range(1, 9, 2), {"$range": [1, 9, 2]}, id="range"),
    pytest.param(slice(1, None), {"$slice": [1, None, None]}, id="slice"),
    pytest.param({3, 1}, {"$set": [1, 3]}, id="set"),
    pytest.param(frozenset([2, 1]), {"$frozenset": [1, 2]}, id="frozenset"),
    pytest.param(collections.deque([1], 2), {"$deque": [1], "maxlen": 2}, id="deque"),
    pytest.param(collections.Counter("aab"), {"$counter": {"a": 2, "b": 1}}, id="counter"),
    pytest.param(
        collections.defaultdict(int, a=1),
        {"$defaultdict": {"a": 1}, "default": {"$name": "builtins.int"}},
        id="defaultdict",
    ),
    pytest.param(torch.Size([1, 2]), {"$size": [1, 2]}, id="size"),
    pytest.param(torch.device("cuda:1"), {"$device": "cuda:1"}, id="device"),
    pytest.param(torch.float16, {"$name": "torch.float16"}, id="dtype"),
    pytest.param(Colour.RED, {"$call": f"{__name__}.Colour", "args": [1]}, id="enumeration"),
    pytest.param(
        Settings(),
        {
            "$object": f"{__name__}.Settings",
            "attributes": {"folder": {"$PurePosixPath": "/a/b"}},
        },
        id="object",
    ),
    pytest.param(
        Items([1, 2]), {"$object": f"{__name__}.Items", "items": [1, 2]}, id="list of a class"
    ),
    pytest.param(
        Entries(a=1),
        {"$object": f"{__name__}.Entries", "entries": {"a": 1}},
        id="dictionary of a class",
    ),
    pytest.param(
        Remade(), {"$object": f"{__name__}.Remade", "attributes": {"a": 1}}, id="object, remade"
    ),
    pytest.param(bytearray(b"a\xff"), {"$bytearray": {"$bytes": "61ff"}}, id="bytearray"),
    pytest.param(
        np.array([1 + 2j]),
        {"$array": "complex128", "shape": [1], "data": [[1.0, 2.0]]},
        id="complex array",
    ),
    pytest.param(np.float32(0.5), {"$scalar": "float32", "value": 0.5}, id="numpy scalar"),
    pytest.param(
        np.float64("nan"), {"$scalar": "float64", "value": {"$float": "nan"}}, id="numpy nan"
    ),
    pytest.param(
        np.asfortranarray(np.arange(4, dtype=">i2").reshape(2, 2)),
        {"$array": "int16", "shape": [2, 2], "data": [0, 1, 2, 3]},
        id="array in another order",
    ),
    pytest.param(
        np.array(["a", "bc"]), {"$array": "U2", "shape": [2], "data": ["a", "bc"]}, id="texts"
    ),
    pytest.param(
        np.zeros(1_001, np.uint8),
        {"$array": "uint8", "shape": [1_001], "data": {"$bytes": "00" * 1_001}},
        id="large array",
    ),
    pytest.param(
        np.datetime64("2020-01-01"), {"$scalar": "M8[D]", "value": 18262}, id="numpy date"
    ),
]


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(("value", "plain"), VALUES)
def test_values_are_kept_whatever_protocol_wrote_them(
    value: object, plain: object, protocol: int
) -> None:
    try:
        data = pickle.dumps(value, protocol)
    except TypeError:  # a slice, in releases of Python that do not pickle them so
        pytest.skip("this Python writes no such pickle")
    if isinstance(value, Colour) and b"getattr" in data:
        pytest.skip("this Python names the member")
    read = Reader().read("k", parse(data).root)
    assert (read.value, read.left_out) == (plain, 0)
    assert read.kept > 0


def test_every_part_of_a_call_is_kept() -> None:
    node = New(Global("a", "B"), (1,), dict_node(("k", 2)))
    node.mapped = dict_node(("m", 3))
    node.appended = [4]
    node.states = [(None, dict_node(("slot", 5))), "other"]
    assert Reader().read("k", node).value == {
        "$object": "a.B",
        "args": [1],
        "keywords": {"k": 2},
        "attributes": {"slot": 5},
        "states": ["other"],
        "entries": {"m": 3},
        "items": [4],
    }


def test_a_nan_with_other_bits_keeps_them() -> None:
    (odd,) = struct.unpack(">d", bytes.fromhex("7ff8000000000001"))
    value = {"$float": "nan", "bits": "7ff8000000000001"}
    assert Reader().read("k", odd).value == value
    array = pickle.dumps(np.array([odd]), 2)
    assert Reader().read("k", parse(array).root).value == {
        "$array": "float64",
        "shape": [1],
        "data": [value],
    }


@pytest.mark.parametrize(
    ("array", "data"),
    [
        pytest.param(np.frombuffer(b"\0\0\xa0\x7f", "<f4"), "0000a07f", id="a signalling NaN"),
        pytest.param(np.frombuffer(b"\xff" * 4, "<U1"), "ffffffff", id="no character"),
    ],
)
def test_elements_without_a_form_in_json_stay_bytes(array: object, data: str) -> None:
    read = Reader().read("k", parse(pickle.dumps(array, 2)).root).value
    assert read["data"] == {"$bytes": data}


def test_what_is_called_may_have_no_name() -> None:
    node = Call(Call(Global("m", "f"), ()), (1,))
    function = {"$call": "m.f"}
    assert Reader().read("k", node).value == {"$call": function, "args": [1]}


def test_omegaconf_is_plain_data() -> None:
    omegaconf = pytest.importorskip("omegaconf")
    config = omegaconf.OmegaConf.create({"a": {"lr": 0.1, "of": "${a.lr}"}, "l": [1, "???"]})
    read = Reader().read("k", parse(pickle.dumps(config, 2)).root)
    assert read.value == {"a": {"lr": 0.1, "of": "${a.lr}"}, "l": [1, "???"]}
    assert read.left_out == 0


@pytest.mark.parametrize(
    ("node", "kind"),
    [
        pytest.param(tensor(), "tensor", id="tensor"),
        pytest.param(storage("0", 1), "storage", id="storage"),
    ],
)
def test_tensors_alone_are_left_out_and_counted(node: object, kind: str) -> None:
    assert Reader().read("k", [1, node]) == Plain([1, {"$left_out": kind}], 1, 1)
    assert Reader().read("k", node).kept == 0


def test_a_cycle_refers_to_where_it_began() -> None:
    node = dict_node(("x", 1))
    node.flat += ["me", [node]]
    read = Reader().read("k", node)
    assert read.value == {"x": 1, "me": [{"$ref": "k"}]}
    assert read.left_out == 0


def test_what_is_shared_is_written_once_even_between_entries() -> None:
    shared = [1]
    reader = Reader()
    assert reader.read("a", [shared, shared]).value == [[1], {"$ref": "a.0"}]
    assert reader.read("b", (shared, (1, 2), (1, 2))).value == [{"$ref": "a.0"}, [1, 2], [1, 2]]


def test_shared_parts_do_not_grow_without_end() -> None:
    node: list[object] = []
    for _ in range(60):
        node = [node, node]
    assert len(json.dumps(Reader().read("k", node).value)) < 20_000


def test_ten_thousand_levels_are_kept_in_parts() -> None:
    node: object = "end"
    for _ in range(10_000):
        node = [node]
    read = Reader().read("k", node)
    assert (read.kept, read.left_out) == (1, 0)
    parts = dict(read.parts)
    value, levels = read.value, 0
    while value != "end":
        if isinstance(value, dict):
            value = parts[value["$ref"]]
        else:
            (value,) = value
            levels += 1
    assert levels == 10_000


def test_a_text_that_stands_everywhere_ends_somewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "MAX_TEXT", 10_000)
    with pytest.raises(UnsupportedError) as caught:
        Reader().read("k", ["x" * 1_000] * 20)
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
