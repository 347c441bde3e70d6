"""Dictionaries: read as the real ones would be made, refused where readers would differ."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

import pytest
import torch

from ckpttool.findings import rules
from ckpttool.findings.errors import MalformedError
from ckpttool.findings.rules import Rule
from ckpttool.formats import open_checkpoint, pickles
from ckpttool.formats.pickles import dictionaries
from ckpttool.formats.pickles.dictionaries import count_of, pairs_of
from ckpttool.tensors.catalogue import Checkpoint
from tests.builders import pickles as p
from tests.builders import torch_files as t

Opener = Callable[[bytes], Checkpoint]

ORDERED = p.name("collections", "OrderedDict")
DEFAULT = p.name("collections", "defaultdict")
WRAPPED = p.dict_of((p.text("w"), p.tensor()))


@pytest.fixture
def opened(tmp_path: Path) -> Opener:
    def open_body(body: bytes) -> Checkpoint:
        path = tmp_path / "a.pth"
        path.write_bytes(t.torch_zip(body))
        return open_checkpoint(str(path))

    return open_body


CONTENTS = {
    "pairs of Python 2": p.call(ORDERED, p.list_of(p.pair("a", b"K\x01"), p.pair("b", b"N"))),
    "items": p.call(ORDERED) + b"(" + p.text("a") + b"K\x01" + p.text("b") + b"Nu",
    "another dictionary": p.call(ORDERED, p.dict_of((p.text("a"), b"K\x01"), (p.text("b"), b"N"))),
    "tuples": p.call(
        ORDERED, p.tuple_of(p.tuple_of(p.text("a"), b"K\x01"), p.tuple_of(p.text("b"), b"N"))
    ),
    "with a default": p.call(DEFAULT, p.name("builtins", "int"))
    + (b"(" + p.text("a") + b"K\x01" + p.text("b") + b"Nu"),
    "a list that grows after the call": p.list_of(p.pair("a", b"K\x01"), p.pair("b", b"N"))
    + (p.put(0) + b"0" + p.call(ORDERED, p.get(0)) + p.get(0) + p.pair("c", b"N") + b"a0"),
    "a pair that grows after the call": p.pair("b", b"N")
    + (p.put(0) + b"0" + p.call(ORDERED, p.list_of(p.pair("a", b"K\x01"), p.get(0))))
    + (p.get(0) + b"K\x07a0"),
    "a dictionary that grows after the call": p.dict_of(
        (p.text("a"), b"K\x01"), (p.text("b"), b"N")
    )
    + (p.put(0) + b"0" + p.call(ORDERED, p.get(0)) + p.get(0) + p.text("c") + b"Ns0"),
    "only __new__": p.new(ORDERED, p.list_of(p.pair("c", b"N")))
    + (b"(" + p.text("a") + b"K\x01" + p.text("b") + b"Nu"),
}


@pytest.mark.parametrize("body", CONTENTS.values(), ids=CONTENTS.keys())
def test_a_dictionary_holds_what_the_real_one_would(body: bytes) -> None:
    assert pairs_of(pickles.parse(p.pickle(body)).root) == [("a", 1), ("b", None)]


def test_a_call_of_another_name_is_no_dictionary() -> None:
    counter = p.call(p.name("collections", "Counter"), p.dict_of((p.text("a"), b"K\x01")))
    assert pairs_of(pickles.parse(p.pickle(counter)).root) is None


NO_PAIRS = {
    "a text": p.call(ORDERED, p.text("ab")),
    "texts of two": p.call(ORDERED, p.list_of(p.text("ab"))),
    "triples": p.call(ORDERED, p.list_of(p.list_of(b"N", b"N", b"N"))),
    "two arguments": p.call(ORDERED, b"]", b"]"),
    "three arguments with a default": p.call(DEFAULT, b"N", b"]", b"]"),
}


@pytest.mark.parametrize("body", NO_PAIRS.values(), ids=NO_PAIRS.keys())
def test_a_dictionary_of_no_pairs_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedError) as caught:
        pickles.parse(p.pickle(body))
    assert caught.value.rule is rules.PICKLE


def test_a_large_list_cannot_be_copied_without_end() -> None:
    pairs = p.list_of(*[p.list_of(b"N", b"N")] * 20_000)
    body = pairs + p.put(0) + (p.call(ORDERED, p.get(0)) + b"0") * 1_000
    with pytest.raises(MalformedError) as caught:
        pickles.parse(p.pickle(body))
    assert caught.value.rule is rules.LIMIT


def test_a_dictionary_of_more_entries_than_any_real_one_is_refused(
    opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dictionaries, "MAX_ENTRIES", 1)
    with pytest.raises(MalformedError) as caught:
        opened(p.dict_of((p.text("w"), p.tensor()), (p.text("x"), b"N")))
    assert caught.value.rule is rules.LIMIT


@pytest.mark.parametrize("body", CONTENTS.values(), ids=CONTENTS.keys())
def test_entries_are_counted_without_going_through_them(body: bytes) -> None:
    assert count_of(pickles.parse(p.pickle(body)).root) == 2


def test_what_is_no_dictionary_has_no_count() -> None:
    assert count_of([]) is None
    assert count_of(pickles.parse(p.pickle(p.call(p.name("m", "f")))).root) is None


HIDING = p.dict_of((p.text("items"), ORDERED))

AMBIGUOUS: dict[str, tuple[bytes, Rule]] = {
    "two wrappers of one name": (
        p.dict_of((p.text("model"), WRAPPED), (p.text("model"), WRAPPED)),
        rules.DUPLICATE_KEY,
    ),
    "a wrapper and a number": (
        p.dict_of((p.text("model"), WRAPPED), (p.text("model"), b"K\x01")),
        rules.DUPLICATE_KEY,
    ),
    "a number and a wrapper": (
        p.dict_of((p.text("model"), b"K\x01"), (p.text("model"), WRAPPED)),
        rules.DUPLICATE_KEY,
    ),
    "two wrappers deep down": (
        p.dict_of((p.text("a"), p.dict_of((p.text("model"), WRAPPED), (p.text("model"), WRAPPED)))),
        rules.DUPLICATE_KEY,
    ),
    "two entries beside the wrapper": (
        p.dict_of((p.text("model"), WRAPPED), (p.text("x"), b"K\x01"), (p.text("x"), b"N")),
        rules.DUPLICATE_KEY,
    ),
    "a tensor and a number": (
        p.dict_of((p.text("w"), p.tensor()), (p.text("w"), b"K\x05")),
        rules.DUPLICATE_KEY,
    ),
    "pairs and items": (
        p.call(ORDERED, p.list_of(p.pair("w", p.tensor()))) + p.text("w") + b"Ns",
        rules.DUPLICATE_KEY,
    ),
    "in a state dict that is not taken": (
        p.dict_of(
            (p.text("model"), WRAPPED),
            (p.text("ema"), p.dict_of((p.text("w"), p.tensor()), (p.text("w"), p.tensor()))),
        ),
        rules.DUPLICATE_KEY,
    ),
    "a method that an attribute hides": (
        p.call(ORDERED) + p.text("w") + p.tensor() + b"s" + HIDING + b"b",
        rules.PICKLE,
    ),
    "attributes as pairs": (
        p.call(ORDERED) + p.text("w") + p.tensor() + b"s" + p.list_of(p.pair("x", b"N")) + b"b",
        rules.PICKLE,
    ),
}


@pytest.mark.parametrize(("body", "rule"), AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
def test_what_readers_would_see_differently_is_refused(
    body: bytes, rule: Rule, opened: Opener
) -> None:
    with pytest.raises(MalformedError) as caught:
        opened(body)
    assert caught.value.rule is rule


def test_attributes_of_a_state_dict_stay_allowed(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    torch.save(torch.nn.Linear(2, 2).state_dict(), path)  # with its _metadata
    with open_checkpoint(str(path)) as checkpoint:
        assert list(checkpoint.tensors) == ["weight", "bias"]


def test_the_same_key_in_two_dictionaries_is_no_duplicate(opened: Opener) -> None:
    with opened(p.dict_of((p.text("model"), WRAPPED), (p.text("ema"), WRAPPED))) as checkpoint:
        assert [wrapper.key for wrapper in checkpoint.wrappers] == ["model", "ema"]
