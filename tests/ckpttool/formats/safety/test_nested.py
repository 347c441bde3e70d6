from __future__ import annotations

import io
import pickle
import struct

import pytest
import torch

from ckpttool.findings import rules
from ckpttool.findings.errors import MalformedError
from ckpttool.formats.safety import nested
from ckpttool.formats.safety.watch import Watch
from tests.builders import pickles as p
from tests.builders import torch_files as t

ATTACK = p.pickle(p.call(p.name("os", "system"), p.text("x")))
LOADS = p.name("pickle", "loads")
FROM_BYTES = p.name("torch.storage", "_load_from_bytes")


def blob(data: bytes) -> bytes:
    return b"B" + struct.pack("<I", len(data)) + data


def uses_of(body: bytes) -> list[tuple[str, str]]:
    with Watch() as watch:
        watch.parse(p.pickle(body), member="data.pkl")
    return [(use.use.value, use.name) for use in watch.uses]


def test_a_pickle_of_a_tensor_is_data() -> None:
    stream = io.BytesIO()
    pickle.dump({"w": torch.ones(2), "v": torch.zeros(3, dtype=torch.int64)}, stream)
    with Watch() as watch:
        watch.parse(stream.getvalue())
    assert watch.uses == ()
    assert "torch.FloatStorage" in map(str, watch.references)


HOSTILE = {
    "a pickle": p.call(LOADS, blob(ATTACK)),
    "a pickle as text": p.call(
        LOADS,
        p.call(p.name("_codecs", "encode"), p.text(ATTACK.decode("latin1")), p.text("latin1")),
    ),
    "a zip": p.call(FROM_BYTES, blob(t.torch_zip(ATTACK[2:-1]))),
    "a legacy stream": p.call(FROM_BYTES, blob(t.torch_legacy(ATTACK[2:-1]))),
    "the keys of a legacy stream": p.call(FROM_BYTES, blob(t.torch_legacy(keys=ATTACK))),
    "a pickle in a pickle": p.call(LOADS, blob(p.pickle(p.call(LOADS, blob(ATTACK))))),
    "a pickle that breaks off": p.call(LOADS, blob(ATTACK[:-1])),
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_bytes_hold_counts(body: bytes) -> None:
    assert ("attack", "os.system") in uses_of(body)


@pytest.mark.parametrize("data", [ATTACK, p.pickle(b"N")], ids=["hostile", "honest"])
def test_a_walk_to_a_reader_of_pickles_is_told_and_what_it_reads(data: bytes) -> None:
    walk = p.text("torch") + p.text("storage._load_from_bytes") + b"\x93"
    with Watch() as watch:
        watch.parse(p.PROTO4 + p.call(walk, blob(data)) + p.STOP)
    uses = [(use.use.value, use.name) for use in watch.uses]
    assert ("call", "torch.storage._load_from_bytes") in uses
    assert (("attack", "os.system") in uses) is (data is ATTACK)


def test_the_place_of_what_bytes_hold_is_told() -> None:
    with Watch() as watch:
        watch.parse(p.pickle(p.call(LOADS, blob(ATTACK))), member="data.pkl")
    place = f"data.pkl, in the bytes of the call at byte {2 + len(LOADS) + 2 + 5 + len(ATTACK)}"
    assert [use.member for use in watch.uses] == [place]


def test_honest_bytes_are_data() -> None:
    assert uses_of(p.call(LOADS, blob(pickle.dumps({"a": [1, 2]})))) == []
    assert uses_of(p.call(FROM_BYTES, blob(t.torch_zip()))) == []
    assert uses_of(p.call(FROM_BYTES, blob(t.torch_legacy()))) == []


UNREADABLE = {
    "noise": blob(b"\xff\xff"),
    "nothing": blob(b""),
    "a zip without a pickle": blob(t.torch_zip(members={"data.pkl": None})),
    "no bytes": p.call(p.name("m", "f")),
}


@pytest.mark.parametrize("argument", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_bytes_that_cannot_be_read_are_a_call(argument: bytes) -> None:
    uses = uses_of(p.call(FROM_BYTES, argument))
    assert ("call", "torch.storage._load_from_bytes") in uses


def test_bytes_are_looked_into_to_a_depth() -> None:
    body = ATTACK
    for _ in range(nested.MAX_DEPTH - 1):
        body = p.pickle(p.call(LOADS, blob(body)))
    assert ("attack", "os.system") in uses_of(p.call(LOADS, blob(body)))
    deeper = p.pickle(p.call(LOADS, blob(body)))
    uses = uses_of(p.call(LOADS, blob(deeper)))
    assert ("attack", "pickle.loads") in uses  # nobody knows what is in there


def test_bytes_that_are_handed_over_often_are_read_once_and_not_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nested, "MAX_BYTES", 20 * len(ATTACK))
    body = p.tuple_of(blob(ATTACK) + p.put(0), *[p.call(LOADS, p.get(0))] * 30)
    with Watch() as watch:
        watch.parse(p.pickle(body))
    counts = {use.name: use.times for use in watch.uses}
    assert counts["os.system"] == 1
    assert counts["pickle.loads"] == 10


def test_more_bytes_of_tensors_than_are_looked_into_are_no_call_of_unknown_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = pickle.dumps([torch.ones(9)] * 2)
    monkeypatch.setattr(nested, "MAX_BYTES", 10)
    with pytest.raises(MalformedError) as caught, Watch() as watch:
        watch.parse(data)
    assert (caught.value.rule, caught.value.uses) == (rules.LIMIT, ())


@pytest.mark.parametrize("bytes_first", [True, False])
def test_what_no_reader_would_take_counts_before_bytes_that_are_not_looked_into(
    bytes_first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nested, "MAX_BYTES", 10)
    bodies = [p.call(FROM_BYTES, blob(t.torch_zip())), p.call(p.name("builtins", "list"), b"N")]
    body = p.tuple_of(*(bodies if bytes_first else reversed(bodies)))
    with pytest.raises(MalformedError) as caught, Watch() as watch:
        watch.parse(p.pickle(body))
    assert caught.value.rule is (rules.LIMIT if bytes_first else rules.PICKLE)
