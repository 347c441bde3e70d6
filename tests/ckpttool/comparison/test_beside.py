"""What lies beside the weights: nothing is the same because it cannot be shown."""

from __future__ import annotations

import argparse
import collections
import datetime as dt
import decimal
import fractions
import functools
import pathlib
import pickle
import struct
import uuid
from typing import Any

import numpy as np
import pytest
import torch

from ckpttool.comparison import beside, texts
from ckpttool.comparison.beside import BesideResult, Entries, compare_beside, contents
from ckpttool.formats.pickles import parse
from ckpttool.formats.pickles.nodes import Call, Dict, Global, New, Set
from tests.builders.nodes import dict_node


def entries(node: Any) -> Entries:
    return Entries(None, [("k", node)])


def found(left: Any, right: Any, **options: Any) -> BesideResult:
    """Compare two values, or nodes."""
    nodes = [value if _is_node(value) else node_of(value) for value in (left, right)]
    there, back = (
        compare_beside(entries(a), entries(b), **options) for a, b in (nodes, nodes[::-1])
    )
    assert [(e.key, e.right, e.left) for e in there.state] == list(map(tuple, back.state))
    assert there.doubts == back.doubts
    return there


def _is_node(value: Any) -> bool:
    return isinstance(value, (Call, Dict))


def node_of(value: Any, protocol: int = 2) -> Any:
    return parse(pickle.dumps(value, protocol)).root


class One:
    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)


class Other(One):
    pass


class Text(str):
    __slots__ = ()


class Listed(list):  # type: ignore[type-arg]
    pass


class Named(dict):  # type: ignore[type-arg]
    pass


class Slots:
    __slots__ = ("a",)

    def __init__(self, a: int) -> None:
        self.a = a


(NAN,) = struct.unpack(">d", bytes.fromhex("fff8000000000001"))
ARRAY = np.arange(5.0)
FLIPPED = ARRAY.copy()
FLIPPED.view("u1")[9] ^= 1

DIFFERENT: list[Any] = [
    pytest.param(1, 2, id="number"),
    pytest.param(True, 1, id="true or 1"),
    pytest.param(1, 1.0, id="1 or 1.0"),
    pytest.param(0.0, -0.0, id="sign of zero"),
    pytest.param(float("nan"), NAN, id="bits of nan"),
    pytest.param("a", b"a", id="text or bytes"),
    pytest.param(bytearray(b"a"), b"a", id="bytearray or bytes"),
    pytest.param("a", Text("a"), id="a subclass of text"),
    pytest.param(Text("a"), Text("b"), id="its content"),
    pytest.param((1, 2), [1, 2], id="tuple or list"),
    pytest.param(({},), [{}], id="tuple or list of dictionaries"),
    pytest.param([1, [2]], [1, [2], 3], id="one more"),
    pytest.param({}, None, id="nothing in it or nothing"),
    pytest.param({"a": {}}, {}, id="something empty"),
    pytest.param({1: 2}, {"1": 2}, id="type of a key"),
    pytest.param({True: 2}, {1: 2}, id="true as a key"),
    pytest.param({(1, 2): 3}, {(1, 3): 3}, id="a tuple as key"),
    pytest.param({1}, {2}, id="set"),
    pytest.param({1}, frozenset([1]), id="set or frozenset"),
    pytest.param(ARRAY, FLIPPED, id="one byte of an array"),
    pytest.param(ARRAY, ARRAY.reshape(5, 1), id="shape of an array"),
    pytest.param(ARRAY, ARRAY.astype("f4"), id="type of an array"),
    pytest.param(np.array([1, "a"], object), np.array([1, "b"], object), id="objects in an array"),
    pytest.param(np.zeros(2, [("a", "f4")]), np.ones(2, [("a", "f4")]), id="fields of an array"),
    pytest.param(np.float32(1), np.float32(2), id="numpy scalar"),
    pytest.param(np.float32(1), 1.0, id="numpy scalar or number"),
    pytest.param(np.datetime64(1, "D"), np.datetime64(1, "s"), id="unit of a date"),
    pytest.param(np.random.RandomState(0), np.random.RandomState(1), id="random state"),
    pytest.param(dt.date(2024, 1, 1), dt.date(2024, 1, 2), id="date"),
    pytest.param(dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 1, 1), id="hour"),
    pytest.param(dt.timedelta(1), dt.timedelta(2), id="duration"),
    pytest.param(pathlib.PurePosixPath("a"), pathlib.PurePosixPath("b"), id="path"),
    pytest.param(pathlib.PurePosixPath("a"), pathlib.PureWindowsPath("a"), id="kind of path"),
    pytest.param(pathlib.PureWindowsPath("c:a"), pathlib.PureWindowsPath("c:/a"), id="root"),
    pytest.param(torch.Size([1]), torch.Size([2]), id="size"),
    pytest.param(torch.device("cpu"), torch.device("cuda"), id="device"),
    pytest.param(torch.float16, torch.bfloat16, id="dtype"),
    pytest.param(range(1), range(2), id="range"),
    pytest.param(1j, 2j, id="complex"),
    pytest.param(decimal.Decimal("1.0"), decimal.Decimal("1.00"), id="decimal"),
    pytest.param(fractions.Fraction(1, 2), fractions.Fraction(1, 3), id="fraction"),
    pytest.param(uuid.UUID(int=1), uuid.UUID(int=2), id="uuid"),
    pytest.param(collections.Counter("a"), collections.Counter("aa"), id="counter"),
    pytest.param(collections.Counter("a"), {"a": 1}, id="counter or dictionary"),
    pytest.param(collections.deque([1]), collections.deque([2]), id="deque"),
    pytest.param(collections.deque([1], 2), collections.deque([1], 3), id="length of a deque"),
    pytest.param(
        collections.defaultdict(int, a=1), collections.defaultdict(bool, a=1), id="default"
    ),
    pytest.param(functools.partial(int, base=2), functools.partial(int, base=3), id="partial"),
    pytest.param(One(a=1), One(a=2), id="attribute"),
    pytest.param(One(a=1), One(a=1, b=2), id="one attribute more"),
    pytest.param(One(a=1), Other(a=1), id="class alone"),
    pytest.param(One(), Other(), id="class of an object without attributes"),
    pytest.param(Slots(1), Slots(2), id="slot"),
    pytest.param(argparse.Namespace(p=[One(a={1})]), argparse.Namespace(p=[One(a={2})]), id="deep"),
]

SAME: list[Any] = [
    pytest.param({"a": 1, "b": 2}, {"b": 2, "a": 1}, id="order of keys"),
    pytest.param({"a": 1}, collections.OrderedDict(a=1), id="ordered dictionary"),
    pytest.param({1, 2, "a"}, {"a", 2, 1}, id="order of a set"),
    pytest.param({(1, frozenset([2, 3]))}, {(1, frozenset([3, 2]))}, id="set in a set"),
    pytest.param(float("nan"), float("nan"), id="nan"),
    pytest.param([[1], [1]], [[1]] * 2, id="sharing"),
    pytest.param(np.arange(6).reshape(2, 3), np.asfortranarray(np.arange(6).reshape(2, 3)), id="F"),
    pytest.param(ARRAY, ARRAY.astype(">f8"), id="byte order"),
    pytest.param(One(a=[1, {2}]), One(a=[1, {2}]), id="object"),
    pytest.param(Slots(1), Slots(1), id="slots"),
]


@pytest.mark.parametrize(("left", "right"), DIFFERENT)
def test_what_differs_is_a_difference(left: Any, right: Any) -> None:
    result = found(left, right)
    assert result.state
    assert not result.doubts
    assert all(entry.left != entry.right for entry in result.state)
    assert not found(left, left).state
    assert not found(right, right).state


@pytest.mark.parametrize(("left", "right"), SAME)
def test_what_is_the_same_is_no_difference(left: Any, right: Any) -> None:
    result = found(left, right)
    assert (result.state, result.doubts) == ((), ())


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "value",
    [
        np.arange(6.0).reshape(2, 3),
        np.float32(1),
        b"\xff",
        {1, 2},
        frozenset([1]),
        1j,
        range(3),
        One(a=1),
        uuid.UUID(int=5),
        collections.deque([1], 3),
        dt.datetime(2024, 1, 1),
        bytearray(b"ab"),
        Listed([1, [2]]),
        Named(a={1: 2}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_no_protocol_makes_a_difference(value: Any, protocol: int) -> None:
    result = compare_beside(entries(node_of(value, 2)), entries(node_of(value, protocol)))
    assert (result.state, result.doubts) == ((), ())


def test_bytes_and_bytearray_are_two_types_in_every_protocol() -> None:
    for protocol in range(6):
        sides = [entries(node_of(value, protocol)) for value in (b"ab", bytearray(b"ab"))]
        assert compare_beside(sides[0], sides[1]).state, protocol


def test_an_array_of_fields_that_two_protocols_write_is_not_compared() -> None:
    value = np.zeros(2, [("a", "f4")])
    result = compare_beside(entries(node_of(value, 4)), entries(node_of(value, 5)))
    assert (result.state, [reason for _, reason in result.doubts]) == ((), [beside.OTHER_FORM])


def test_numpy_1_and_2_are_no_difference() -> None:
    data = pickle.dumps(ARRAY, 2)
    names = (b"numpy._core.", b"numpy.core.")
    old = data.replace(names[0], names[1])
    assert old != data.replace(names[1], names[0])
    result = compare_beside(entries(parse(data).root), entries(parse(old).root))
    assert (result.state, result.doubts) == ((), ())


def made(new: bool, *args: Any, **attributes: Any) -> Call:
    node = (New if new else Call)(Global("lib", "Thing"), args)
    if attributes:
        node.states = [dict_node(*attributes.items())]
    return node


@pytest.mark.parametrize(
    ("left", "right"),
    [
        pytest.param(made(True, a=1), made(False, 1), id="attributes or arguments"),
        pytest.param(made(False, 1), made(False, 1, None), id="a default that is written out"),
        pytest.param(made(True), made(False), id="with and without __init__"),
        pytest.param(
            dict_node((made(False, 1), 2)), dict_node((made(False, 3), 2)), id="objects as keys"
        ),
    ],
)
def test_what_may_be_the_same_is_not_compared(left: Any, right: Any) -> None:
    result = found(left, right)
    assert [reason for _, reason in result.doubts] == [beside.OTHER_FORM]
    assert not found(left, left).doubts


@pytest.mark.parametrize("keys", [(1, True), (0, False), (2, 2.0), (0.0, 0)], ids=repr)
def test_of_equal_keys_of_two_types_nobody_knows_which_one_counts(keys: tuple[Any, Any]) -> None:
    one, other = keys
    content = [((one, "x"), (other, "y")), ((other, "y"), (one, "x"))]
    result = found(*(dict_node(*pairs) for pairs in content))
    assert (result.state, result.doubts) == ((), (("k", beside.EQUAL_KEYS),))
    sets = [entries(Set([one, other])), entries(Set([other, one]))]
    assert compare_beside(sets[0], sets[1]).doubts == (("k", beside.EQUAL_KEYS),)
    assert not found({one: "x", "1": "y"}, {one: "x", "1": "y"}).doubts


def test_a_cycle_is_compared_once_and_through_to_its_end() -> None:
    def cycle(value: int) -> Any:
        node = dict_node(("x", value))
        node.flat += ["me", [node], "again", node]
        return node

    assert found(cycle(1), cycle(1)).state == ()
    assert [entry.key for entry in found(cycle(1), cycle(2)).state] == ["k.x"]


def test_shared_parts_cost_what_they_cost_once() -> None:
    def tree(end: Any) -> Any:
        for _ in range(100):
            end = [end, end]
        return dict_node(("tree", end))

    assert found(tree([]), tree([])).state == ()
    # the lists of texts themselves are told under both of their keys
    assert len(found(tree("a"), tree("b")).state) == 2


def test_ten_thousand_levels_are_compared() -> None:
    def deep(end: int) -> Any:
        node: Any = end
        for _ in range(10_000):
            node = [node]
        return dict_node(("deep", node))

    assert found(deep(1), deep(1)).state == ()
    (entry,) = found(deep(1), deep(2)).state
    assert (entry.left, entry.right) == ("[1]", "[2]")


def test_what_is_shared_is_compared_under_the_key_that_is_wanted() -> None:
    def content(value: int) -> Any:
        shared = dict_node(("lr", value), ("of", [dict_node()]))
        return dict_node(("a", shared), ("b", shared))

    def wants(key: str) -> bool:
        return not key.startswith("k.a")

    assert [entry.key for entry in found(content(1), content(2), wants=wants).state] == ["k.b.lr"]


def test_what_would_not_end_is_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "MAX_AGAIN", 100)

    def ring(length: int) -> Any:
        node = first = dict_node()
        for _ in range(length - 1):
            following = dict_node()
            node.flat += ["next", following]
            node = following
        node.flat += ["next", first]
        return first

    assert found(ring(40), ring(40)).doubts == ()
    ((_, reason),) = compare_beside(entries(ring(40)), entries(ring(41))).doubts
    assert reason == "more than can be compared"


def test_omegaconf_is_compared_by_its_content() -> None:
    omegaconf = pytest.importorskip("omegaconf")

    def config(rate: float) -> Any:
        return omegaconf.OmegaConf.create({"optim": {"lr": rate, "of": "${optim.lr}"}, "l": [1]})

    assert found(config(0.1), config(0.1)).state == ()
    (entry,) = found(config(0.1), config(0.2)).state
    assert entry == ("k.optim.lr", "0.1", "0.2")


def test_the_contents_of_one_side_are_all_of_it() -> None:
    node = node_of({"a": 1, "b": [], "c": One(x=(1, 2)), "d": {}})
    assert [(entry.key, entry.left) for entry in contents(entries(node)).state] == [
        ("k.a", "1"),
        ("k.b", "[]"),
        ("k.c.$object", f'"{__name__}.One"'),
        ("k.c.x", '{"$tuple": [1, 2]}'),
        ("k.d", "{}"),
    ]


def test_long_values_are_told_by_their_sums_when_they_are_too_much(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(texts, "MAX_TEXT", 2_000)
    left, right = ([{}, *[letter * 1_000] * 10] for letter in "ab")
    shown = [entry.left or "" for entry in found({"x": left}, {"x": right}).state]
    assert sum(map(len, shown)) < 4_000
    assert shown[-1].startswith('{"$sha256": ')
