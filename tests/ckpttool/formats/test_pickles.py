from __future__ import annotations

import pickle
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError, MalformedError
from ckpttool.formats import pickles
from ckpttool.formats.objects.plain import tensor_bytes
from ckpttool.formats.pickles import interpreter, stack
from ckpttool.formats.pickles.calls import LONGEST_NAME
from ckpttool.formats.pickles.nodes import Call, Dict, Global, PersistentId, Set, near
from tests.builders import pickles as p


def plain(node: Any) -> Any:
    """What a node stands for, built with Python's own containers."""
    if isinstance(node, Dict):
        return {key: plain(value) for key, value in node.pairs()}
    if isinstance(node, (list, tuple)):
        return type(node)(plain(item) for item in node)
    if isinstance(node, Set):
        return set(node.items)
    return node


class Outer:
    """A class with one in it."""

    class Inner:
        """What old protocols name by getattr."""


HONEST = [
    None,
    True,
    False,
    0,
    255,
    65_535,
    -1,
    2**31 - 1,
    -(2**63),
    2**64,
    2**128 - 1,
    1.5,
    -0.0,
    "",
    "text",
    "\u00e9\u4e2d\U0001f600",
    b"",
    b"\x00\xff",
    [],
    [1, [2, [3]]],
    (),
    (1,),
    (1, 2),
    (1, 2, 3),
    (1, 2, 3, 4),
    {},
    {"a": 1, "b": [2]},
    {1: "x"},
    list(range(2000)),
]


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("value", HONEST, ids=repr)
def test_honest_data_is_read_as_pickle_reads_it(value: object, protocol: int) -> None:
    if isinstance(value, bytes) and protocol < 3:
        pytest.skip("bytes are a call of _codecs.encode in old protocols")
    data = pickle.dumps(value, protocol)
    read = pickles.parse(data)
    assert plain(read.root) == value
    assert read.end == len(data)


@pytest.mark.parametrize("protocol", [4, 5])
def test_sets_are_read(protocol: int) -> None:
    assert plain(pickles.parse(pickle.dumps({1, 2}, protocol)).root) == {1, 2}
    assert plain(pickles.parse(pickle.dumps(frozenset({1, 2}), protocol)).root) == {1, 2}


json_like = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**120), 2**120)
    | st.floats(allow_nan=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=20,
)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(json_like, st.integers(0, 5))
def test_any_plain_data_is_read_as_pickle_reads_it(value: object, protocol: int) -> None:
    assert plain(pickles.parse(pickle.dumps(value, protocol)).root) == value


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.binary(max_size=60))
def test_noise_gives_a_domain_error_or_a_pickle(noise: bytes) -> None:
    for data in (noise, p.PROTO2 + noise, p.PROTO4 + noise + p.STOP):
        try:
            pickles.parse(data)
        except CkpttoolError as error:
            assert error.rule is not None  # noqa: PT017 (either way is right; noise decides)


OTHERS_READ_ON = {
    "the protocol in mid-stream": p.PROTO2,
    "a frame inside a frame": b"\x95" + struct.pack("<Q", 30) + b"\x95" + bytes(8),
    "a frame that ends within an operation": b"\x95" + struct.pack("<Q", 1),
    "an integer of a thousand bytes": b"\x8b" + struct.pack("<I", 1025) + bytes(1025) + b"0",
    "a line of digits": b"I" + b"1" * 3100 + b"\n0",
    "an octal number": b"I010\n0",
    "a zero with a sign": b"I-0\n0",
    "a float with underscores": b"F1_0\n0",
    "a float that is too large": b"F1e999\n0",
    "a memo index larger than the pickle": b"Nr\xff\xff\xff\xff0",
}


@pytest.mark.parametrize("breach", OTHERS_READ_ON.values(), ids=OTHERS_READ_ON.keys())
def test_what_others_pass_over_does_not_hide_what_comes_after_it(breach: bytes) -> None:
    call = p.call(p.name("os", "system"), p.text("true"))
    broken: list[pickles.Pickle] = []
    with pytest.raises(MalformedError) as caught:
        pickles.parse(p.PROTO4 + breach + call + p.STOP, base=100, broken=broken.append)
    assert caught.value.offset is not None
    assert 100 <= caught.value.offset < 100 + len(breach) + 10
    assert [str(call.function) for call in broken[0].calls] == ["os.system"]


CHANGES = {
    "state": b"}b",
    "an item": b"K\x01K\x02s",
    "an appended item": b"K\x01a",
    "an added item": b"(K\x01\x90",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
@pytest.mark.parametrize(
    "name",
    [p.name("m", "f"), p.call(p.name("builtins", "getattr"), p.name("m", "f"), p.text("x"))],
    ids=["a name", "an attribute of one"],
)
def test_a_change_to_what_a_name_stands_for_is_code(name: bytes, change: bytes) -> None:
    with pytest.raises(MalformedError) as caught:
        pickles.parse(p.PROTO4 + name + change + p.STOP)
    assert caught.value.rule is rules.UNKNOWN_CALL
    assert "m.f" in str(caught.value)


def test_truncation_at_every_byte_is_said() -> None:
    data = pickle.dumps({"model": [1, 2.5, "x" * 300, (1, 2, 3, 4)]}, 4)
    for end in range(len(data)):
        with pytest.raises(MalformedError) as caught:
            pickles.parse(data[:end])
        assert caught.value.rule in (rules.TRUNCATED, rules.PICKLE)


MALFORMED = {
    "empty stack": p.STOP,
    "two objects left": b"NN.",
    "open mark left": b"N(.",
    "no mark to close": b"Nt.",
    "underflow": b"\x85.",
    "underflow below a mark": b"N(\x86.",
    "unknown opcode": b"\xff",
    "protocol in mid-stream": b"N\x80\x02.",
    "protocol 6": b"\x80\x06N.",
    "frame inside a frame": b"\x80\x04\x95" + struct.pack("<Q", 12) + b"\x95" + bytes(8) + b"NN.",
    "operation across a frame's end": b"\x80\x04\x95" + struct.pack("<Q", 1) + b"K\x01.",
    "stop inside a frame": b"\x80\x04\x95" + struct.pack("<Q", 4) + b"N.NN",
    "extension code": b"\x82\x01.",
    "extension code 2": b"\x83\x01\x00.",
    "extension code 4": b"\x84\x01\x00\x00\x00.",
    "out-of-band buffer": b"\x97.",
    "read-only view": b"C\x01a\x98.",
    "read-only view of nothing": b"\x98.",
    "integer line no number": b"Iabc\n.",
    "integer line that C reads as octal": b"I010\n.",
    "integer line with underscores": b"I1_0\n.",
    "zero that C reads as False": b"I-0\n.",
    "float line no number": b"Fabc\n.",
    "float line with underscores": b"F1_0\n.",
    "float line with a space": b"F 1.0\n.",
    "float line that C finds too large": b"F-1e999\n.",
    "long line no number": b"Lx\n.",
    "string without quotes": b"Sabc\n.",
    "string with a broken escape": b"S'\\x1'\n.",
    "text not utf-8": b"X\x01\x00\x00\x00\xff.",
    "unicode with a broken escape": b"V\\u12\n.",
    "memo never filled": b"h\x05.",
    "memo index negative": b"Np-1\n.",
    "name not utf-8": b"c\xff\nx\n.",
    "name empty": b"c\n\n.",
    "name with an escape": b"cos\x1b\nsystem\n.",
    "name with NUL": b"cos\x00x\nsystem\n.",
    "stack global of numbers": b"K\x01K\x02\x93.",
    "call of a number": b"K\x01)R.",
    "call with a list": p.name("a", "b") + b"]R.",
    "build on a list": b"]Nb.",
    "append to a dict": b"}K\x01a.",
    "set item on a list": b"]K\x01K\x02s.",
    "odd items": b"}(K\x01u.",
    "add to a list": b"](K\x01\x90.",
    "add to a frozen set": b"(\x91(K\x01\x90.",
    "list as a key": b"}]K\x01s.",
    "dictionary as a key": b"}}K\x01s.",
    "set as a key": b"}\x8fK\x01s.",
    "bytearray as a key": b"}\x96" + bytes(8) + b"K\x01s.",
    "ordered dictionary as a key": b"}" + p.ordered_dict() + b"K\x01s.",
    "call that makes a set as a key": b"}" + p.call(p.name("__builtin__", "set")) + b"K\x01s.",
    "list in a tuple as a key": b"}]\x85K\x01s.",
    "list as a member": b"\x8f(]\x90.",
    "list as a member of a frozen set": b"(]\x91.",
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_broken_stream_is_refused_with_its_place(data: bytes) -> None:
    with pytest.raises(MalformedError) as caught:
        pickles.parse(data, member="data.pkl", base=100)
    assert caught.value.rule is rules.PICKLE
    assert caught.value.member == "data.pkl"
    assert caught.value.offset is not None
    assert 100 <= caught.value.offset < 100 + len(data)


TRUNCATED = {
    "nothing": b"",
    "no stop": b"N",
    "frame beyond the end": b"\x80\x04\x95" + struct.pack("<Q", 1000) + b"N.",
    "text of 4 GB": b"X\xff\xff\xff\xff.",
    "text of 2**64": b"\x8d" + b"\xff" * 8 + b".",
    "bytes of 2**64": b"\x8e" + b"\xff" * 8 + b".",
    "line without end": b"I123",
}


@pytest.mark.parametrize("protocol", [0, 1, 2, 4])
@pytest.mark.parametrize("value", [0.0, -0.0, 1.5, -1e300, float("inf"), float("-inf")], ids=repr)
def test_a_float_keeps_its_sign_in_every_protocol(value: float, protocol: int) -> None:
    assert repr(pickles.parse(pickle.dumps(value, protocol)).root) == repr(value)


@pytest.mark.parametrize(
    "line", [b"0", b"7", b"10", b"65535", b"00", b"07", b"+7", b"7 ", b"-0", b""]
)
def test_a_memo_index_is_the_number_that_its_line_spells(line: bytes) -> None:
    """What CPython reads is read as by it; what it reads otherwise than as decimal is refused."""
    data = b"\x80\x02K\x01" + b"p" + line + b"\n" + b"0g" + line + b"\n."
    if line.isdigit() and str(int(line)).encode() == line:
        assert pickles.parse(data).root == 1 == pickle.loads(data)
    else:
        with pytest.raises(MalformedError):
            pickles.parse(data)


@pytest.mark.parametrize("data", TRUNCATED.values(), ids=TRUNCATED.keys())
def test_a_length_beyond_the_end_is_refused_before_anything_is_allocated(data: bytes) -> None:
    with pytest.raises(pickles.TruncatedPickleError):
        pickles.parse(data)


FLOODS = {
    "empty dicts": b"}" * 100_000,
    "nested lists": b"]" * 150_000,
    "marks": b"(" * 150_000,
}


@pytest.mark.parametrize("data", FLOODS.values(), ids=FLOODS.keys())
def test_a_flood_meets_a_limit(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack, "MAX_NODE_BYTES", stack.MAX_NODE_BYTES // 20)
    with pytest.raises(MalformedError) as caught:
        pickles.parse(data + p.STOP)
    assert caught.value.rule is rules.LIMIT


def test_operations_without_end_meet_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreter, "MAX_OPERATIONS", 1_000)
    assert pickles.parse(b"N0" * 499 + b"N.").root is None
    with pytest.raises(MalformedError) as caught:
        pickles.parse(b"N0" * 500 + b"N.")
    assert caught.value.rule is rules.LIMIT


def test_text_and_arrays_are_charged_by_the_bytes_that_they_take() -> None:
    """A large pickle of arrays takes no more memory than its file, so it meets no limit."""
    array = b"B" + struct.pack("<I", 10_000_000) + bytes(10_000_000)
    root = pickles.parse(b"(" + array * 2 + b"t.").root
    assert list(map(len, root)) == [10_000_000] * 2


def test_many_nestings_and_a_billion_laughs_are_small_and_walked_once() -> None:
    laughs = b"]q\x00" + b"".join(
        b"](" + bytes([ord("h"), i]) * 10 + b"eq" + bytes([i + 1]) for i in range(60)
    )
    nested = b"N" + b"\x85" * 200_000
    root = pickles.parse(b"(" + laughs + nested + b"t.").root
    assert tensor_bytes([root]) == [0]


def test_a_cycle_is_walked_once() -> None:
    root = pickles.parse(b"]q\x00h\x00a.").root
    assert tensor_bytes([root]) == [0]


def test_what_holds_itself_is_looked_at_once() -> None:
    for data in (b"]q\x00h\x00a.", b"]q\x00(h\x00h\x00t)\x86a."):
        assert len(list(near([pickles.parse(data).root], 1_000))) < 10


def test_keys_are_looked_at_and_never_hashed() -> None:
    key = p.tuple_of(b"K\x01", p.call(p.name("m", "f")))
    ((first, _),) = pickles.parse(p.pickle(p.dict_of((key, b"N")))).root.pairs()
    assert first[0] == 1
    assert isinstance(first[1], Call)


def test_keys_that_share_a_long_tuple_meet_a_limit() -> None:
    long = b"(" + b"N" * 100_000 + b"tq\x00"
    with pytest.raises(MalformedError) as caught:
        pickles.parse(b"}(" + long + b"N" + b"h\x00N" * 1000 + b"u.")
    assert caught.value.rule is rules.LIMIT


def test_calls_are_described_and_not_made() -> None:
    body = p.call(p.name("os", "system"), p.text("touch /tmp/never"))
    read = pickles.parse(p.pickle(body))
    assert isinstance(read.root, Call)
    assert str(read.root.function) == "os.system"
    assert [str(reference) for reference in read.references] == ["os.system"]


def test_a_name_that_is_longer_than_any_real_one_meets_a_limit() -> None:
    assert pickles.parse(p.name("m", "f" * (LONGEST_NAME - 1)) + p.STOP).root.module == "m"
    with pytest.raises(MalformedError) as caught:
        pickles.parse(p.name("m", "f" * LONGEST_NAME) + p.STOP)
    assert caught.value.rule is rules.LIMIT


def test_what_is_put_into_an_object_in_parts_is_kept_in_its_order() -> None:
    made = p.call(p.name("m", "f")) + b"(K\x01\x90(K\x02\x90" + b"K\x03Ns" + b"K\x04Ns"
    read = pickles.parse(p.pickle(made)).root
    assert read.appended == [1, 2]
    assert list(read.mapped.pairs()) == [(3, None), (4, None)]


CALLS = {
    "reduce": p.name("m", "f") + b")R",
    "newobj": p.name("m", "f") + b")\x81",
    "newobj_ex": p.name("m", "f") + b")}\x92",
    "obj": b"(" + p.name("m", "f") + b"o",
    "inst": b"(im\nf\n",
    "stack global": p.text("m") + p.text("f") + b"\x93)R",
    "popped": p.name("m", "f") + b")R0N",
    "with state": p.name("m", "f") + b")R}b",
    "with items": p.name("m", "f") + b")R(K\x01e(K\x01K\x02u",
}


@pytest.mark.parametrize("body", CALLS.values(), ids=CALLS.keys())
def test_every_way_to_name_code_is_noted(body: bytes) -> None:
    read = pickles.parse(p.PROTO4 + body + p.STOP)
    assert [str(reference) for reference in read.references] == ["m.f"]


GETATTR = p.name("builtins", "getattr")

ATTRIBUTES = {
    "of a class": p.call(GETATTR, p.name("m", "Outer"), p.text("Inner")),
    "of a class of Python 2": p.call(
        p.name("__builtin__", "getattr"), p.name("m", "Outer"), p.text("Inner")
    ),
}


@pytest.mark.parametrize("body", ATTRIBUTES.values(), ids=ATTRIBUTES.keys())
def test_an_attribute_of_a_class_is_a_name(body: bytes) -> None:
    root = pickles.parse(p.pickle(body)).root
    assert isinstance(root, Global)
    assert str(root) == "m.Outer.Inner"


OTHER_ATTRIBUTES = {
    "of an object": p.call(GETATTR, p.call(p.name("m", "f")), p.text("x")),
    "by a name that walks on": p.call(GETATTR, p.name("m", "Outer"), p.text("a.b")),
}


@pytest.mark.parametrize("body", OTHER_ATTRIBUTES.values(), ids=OTHER_ATTRIBUTES.keys())
def test_any_other_attribute_is_a_call(body: bytes) -> None:
    read = pickles.parse(p.pickle(body))
    assert isinstance(read.root, Call)
    assert read.calls[-1] is read.root


def test_a_class_in_a_class_is_named_alike_by_every_protocol() -> None:
    for protocol in range(6):
        root = pickles.parse(pickle.dumps(Outer.Inner, protocol)).root
        assert str(root) == f"{__name__}.Outer.Inner"


def test_a_reference_knows_its_place() -> None:
    read = pickles.parse(p.pickle(b"N0" + p.name("m", "f")), base=1000)
    assert read.references[0].offset == 1004


def test_one_name_is_one_node() -> None:
    first, second = pickles.parse(p.pickle(p.name("m", "f") * 2 + b"\x86")).root
    assert isinstance(first, Global)
    assert first is second


def test_memo_numbers_with_gaps_are_kept() -> None:
    assert pickles.parse(b"K\x01r\x00\x01\x00\x000K\x02q\x00j\x00\x01\x00\x00\x86.").root == (2, 1)


@pytest.mark.parametrize("put", [b"r\x00\x00\x00\x80", b"p99999\n"], ids=["binary", "text"])
def test_a_memo_number_beyond_the_bytes_of_the_pickle_meets_a_limit(put: bytes) -> None:
    with pytest.raises(MalformedError) as caught:
        pickles.parse(b"N" + put + p.STOP)
    assert caught.value.rule is rules.LIMIT


@pytest.mark.parametrize("line", [b"0.5", b"-0.0", b"1e+22", b"1e-05", b"inf", b"-inf", b"1."])
def test_a_float_is_read_as_repr_writes_it(line: bytes) -> None:
    assert pickles.parse(b"F" + line + b"\n.").root == float(line)


def test_a_persistent_id_is_kept_as_it_stands() -> None:
    root = pickles.parse(b"Pname\n.").root
    assert isinstance(root, PersistentId)
    assert root.value == "name"


def test_python_2_text_becomes_text_and_its_bytes_stay_bytes() -> None:
    assert pickles.parse(b"U\x01a.").root == "a"
    assert pickles.parse(b"U\x01\xff.").root == b"\xff"
    assert pickles.parse(b"S'\\xff'\n.").root == b"\xff"


TOO_LONG = {
    "as CPython writes it": pickle.dumps(10**5000, 4),
    "of 1,025 bytes": b"\x8b" + struct.pack("<I", 1025) + bytes(1025) + b".",
    "in digits": b"I" + b"1" * 3100 + b"\n.",
}


@pytest.mark.parametrize("data", TOO_LONG.values(), ids=TOO_LONG.keys())
def test_an_integer_that_is_too_long_to_keep_is_beyond_a_limit_and_not_malformed(
    data: bytes,
) -> None:
    with pytest.raises(MalformedError) as caught:
        pickles.parse(data)
    assert caught.value.rule is rules.LIMIT
    assert caught.value.offset is not None
    assert pickles.parse(pickle.dumps(10**2000, 4)).root == 10**2000
