"""One value is one value, however a pickler wrote it; and two values are never one."""

from __future__ import annotations

import datetime as dt
import fractions
import pickle
import struct
from typing import Any

import pytest

from ckpttool.formats.objects.views import (
    ATOM,
    DEFAULT,
    MAPPING,
    OBJECT,
    Known,
    exact,
    through,
    view,
    wrapping,
)
from ckpttool.formats.pickles import parse
from ckpttool.formats.pickles.nodes import ByteArray, Global, New, Node
from tests.builders import pickles as p
from tests.builders.nodes import dict_node

(ODD_NAN,) = struct.unpack(">d", bytes.fromhex("7ff8000000000001"))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (1, 1, True),
        (1, 1.0, False),
        (1, True, False),
        (0.0, -0.0, False),
        (float("nan"), float("nan"), True),
        (float("nan"), ODD_NAN, False),
        ((1, 2.0), (1, 2.0), True),
        ((1, 2.0), (1, 2), False),
        (Known("complex", (0.0, 1.0)), Known("complex", (0.0, 1.0)), True),
        (Known("complex", (0.0, 1.0)), Known("complex", (-0.0, 1.0)), False),
        (Known("decimal", "1"), Known("fraction", "1"), False),
    ],
)
def test_values_are_equal_if_type_and_bits_are(one: Any, other: Any, same: bool) -> None:
    assert (exact(one) == exact(other)) is same


def config(held: Node, **more: Node) -> New:
    node = New(Global("omegaconf.dictconfig", "DictConfig"), ())
    node.states = [dict_node(("_content", held), *more.items())]
    return node


def test_a_container_of_omegaconf_is_its_content_and_has_flags_around_it() -> None:
    node = config(config(7), _metadata="m", _parent=8, _flags_cache=9)
    assert through(node) == 7
    assert through(8) == 8
    assert wrapping(node) == ["_metadata", "m"]
    assert wrapping(8) == []


def test_a_container_of_omegaconf_in_itself_ends_somewhere() -> None:
    node = config(None)
    node.states = [dict_node(("_content", node))]
    assert through(node) is node


def test_a_bytearray_is_told_from_bytes() -> None:
    found = view(ByteArray(b"ab"))
    assert (found.form, found.value) == (ATOM, Known("bytearray", b"ab"))
    assert view(b"ab").value == b"ab"


def test_only_a_called_defaultdict_has_a_factory() -> None:
    name, entry = p.name("collections", "defaultdict"), p.text("a") + b"K\x01s"
    called = view(parse(p.pickle(p.call(name, p.name("builtins", "int")) + entry)).root)
    made = view(parse(p.pickle(p.new(name) + entry)).root)
    assert called.form == made.form == MAPPING
    assert called.pairs == made.pairs == [("a", 1)]
    assert [key for key, _ in called.extra] == [DEFAULT]
    assert list(made.extra) == []


OF_OLD_PYTHON = [
    pytest.param(
        p.call(p.name("fractions", "Fraction"), p.text("1/3")), fractions.Fraction(1, 3), id="1/3"
    ),
    pytest.param(
        p.call(p.name("fractions", "Fraction"), p.text("3")), fractions.Fraction(3), id="3"
    ),
]


@pytest.mark.parametrize(("body", "value"), OF_OLD_PYTHON)
def test_a_value_is_the_same_however_releases_of_python_write_it(body: bytes, value: Any) -> None:
    assert view(parse(p.pickle(body)).root) == view(parse(pickle.dumps(value, 4)).root)


def called(name: str, *args: bytes) -> bytes:
    return p.call(p.name("datetime", name), *args)


def seconds(value: int) -> bytes:
    return called("timedelta", b"K\x00", p.integer(value), b"K\x00")


DAY, CLOCK = p.bytes_of(b"\x07\xe8\x02\x1d"), p.bytes_of(b"\x01\x02\x03\x00\x00\x00")
MOMENT = p.bytes_of(b"\x07\xe8\x02\x1d\x01\x02\x03\x00\x00\x00")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        pytest.param(called("date", DAY), "2024-02-29", id="date"),
        pytest.param(called("time", CLOCK, b"N"), "01:02:03", id="time"),
        pytest.param(
            called("datetime", MOMENT, called("timezone", seconds(-1800))),
            "2024-02-29T01:02:03-00:30",
            id="west",
        ),
        pytest.param(
            called("datetime", MOMENT, called("timezone", seconds(3600), p.text("CET"))),
            "2024-02-29T01:02:03+01:00 CET",
            id="named",
        ),
    ],
)
def test_a_time_is_told_as_text(body: bytes, told: str) -> None:
    assert view(parse(p.pickle(body)).root).value.plain == told


NO_PICKLER_WRITES = {
    "a date of text": called("date", p.text("2024")),
    "a date of three bytes": called("date", p.bytes_of(b"\x07\xe8\x02")),
    "a time of seven bytes": called("time", p.bytes_of(bytes(7))),
    "a moment of nothing": called("datetime"),
    "a moment of eleven bytes": called("datetime", p.bytes_of(bytes(11))),
    "a zone of somebody's": called("datetime", MOMENT, p.call(p.name("zones", "Berlin"))),
    "a zone that is text": called("datetime", MOMENT, p.text("UTC")),
    "two zones": called("datetime", MOMENT, b"N", b"N"),
    "a zone with a state": called(
        "datetime", MOMENT, called("timezone", seconds(0)) + p.dict_of((p.text("a"), b"N")) + b"b"
    ),
    "a zone of no distance": called("datetime", MOMENT, called("timezone")),
    "a zone of a number": called("timezone", b"K\x01"),
    "a zone of another class": called("timezone", p.call(p.name("m", "delta"))),
    "a zone of half a distance": called("timezone", called("timedelta", b"K\x01")),
    "a zone whose name is a number": called("timezone", seconds(0), b"K\x01"),
    "a zone of three parts": called("timezone", seconds(0), p.text("a"), p.text("b")),
    "a path of a number": p.call(p.name("pathlib", "PosixPath"), b"K\x01"),
    "a fraction of a list": p.call(p.name("fractions", "Fraction"), b"]"),
}


@pytest.mark.parametrize("body", NO_PICKLER_WRITES.values(), ids=NO_PICKLER_WRITES)
def test_a_call_that_no_pickler_writes_stays_a_call(body: bytes) -> None:
    assert view(parse(p.pickle(body)).root).form == OBJECT


def test_a_zone_of_the_standard_library_is_no_text() -> None:
    zoneinfo = pytest.importorskip("zoneinfo")  # since Python 3.9
    moment = dt.datetime(2024, 2, 29, tzinfo=zoneinfo.ZoneInfo("UTC"))
    assert view(parse(pickle.dumps(moment, 4)).root).form == OBJECT
