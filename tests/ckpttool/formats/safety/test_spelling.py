from __future__ import annotations

import pytest

from ckpttool.formats import pickles
from ckpttool.formats.safety.spelling import LONGEST, spelled
from tests.builders import pickles as p

OWN = p.name("m", "C")

SPELLED = {
    "m.C()": p.call(OWN),
    "m.C(1, 'a', b'\\x00', None, True, 1.5)": p.call(
        OWN, b"K\x01", p.text("a"), b"C\x01\x00", b"N", b"\x88", b"G?\xf8\0\0\0\0\0\0"
    ),
    "m.C([1], (2,), {'a': 3}, {4})": p.call(
        OWN, p.list_of(b"K\x01"), b"K\x02\x85", p.dict_of((p.text("a"), b"K\x03")), b"(K\x04\x91"
    ),
    "m.C(n.f)": p.call(OWN, p.name("n", "f")),
    "m.C(n.f())": p.call(OWN, p.call(p.name("n", "f"))),
    "m.C()(1)": p.call(p.call(OWN), b"K\x01"),
    "m.C.__new__(m.C, 1)": p.new(OWN, b"K\x01"),
    "m.C.__new__(m.C, **{'a': 1})": OWN + b")" + p.dict_of((p.text("a"), b"K\x01")) + b"\x92",
    "m.C().__setstate__({'a': 1})": p.call(OWN) + p.dict_of((p.text("a"), b"K\x01")) + b"b",
    "m.C(<storage>)": p.call(OWN, p.storage()),
    "m.C((((...))))": p.call(OWN, p.tuple_of(p.tuple_of(p.tuple_of(b"K\x01", b"K\x02")))),
    "m.C([0, 1, 2, 3, 4, 5, 6, 7, ...])": p.call(OWN, p.list_of(*map(p.integer, range(20)))),
}


@pytest.mark.parametrize("text", SPELLED)
def test_a_call_reads_as_in_python(text: str) -> None:
    root = pickles.parse(p.PROTO4 + SPELLED[text] + p.STOP).root
    if text == "m.C((((...))))":
        assert spelled(root).startswith("m.C(((")
    else:
        assert spelled(root) == text


@pytest.mark.parametrize(
    "argument",
    [
        p.text("x" * 10_000),
        p.tuple_of(*[p.text("x" * 100)] * 100),
        b"]q\x00h\x00a",
        b"N" + b"\x85" * 100_000,
    ],
    ids=["long text", "many texts", "a list in itself", "deep nesting"],
)
def test_a_call_is_cut_short(argument: bytes) -> None:
    root = pickles.parse(p.PROTO4 + p.call(OWN, argument) + p.STOP).root
    assert len(spelled(root)) <= LONGEST
