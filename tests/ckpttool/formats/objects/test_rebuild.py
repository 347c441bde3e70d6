"""Rebuild calls: what becomes a tensor, what is listed as not read, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import pytest
import torch

from ckpttool import open_checkpoint
from ckpttool.findings import rules
from ckpttool.findings.errors import MalformedError
from ckpttool.findings.rules import Rule
from ckpttool.findings.uses import Use
from ckpttool.formats.state_dicts import catalogued as state_dicts
from ckpttool.tensors.catalogue import Checkpoint
from tests.builders import pickles as p
from tests.builders import torch_files as t

Opener = Callable[..., Checkpoint]

UTILS, V2 = "torch._utils", "_rebuild_tensor_v2"


@pytest.fixture
def opened(tmp_path: Path) -> Opener:
    """Writes a zip with ``w``, a plain tensor, and ``x``, the value given, and opens it."""

    def open_value(value: bytes, **members: Any) -> Checkpoint:
        path = tmp_path / "a.pth"
        body = p.dict_of((p.text("w"), p.tensor(p.storage("1"))), (p.text("x"), value))
        storages = {"0": t.FOUR_FLOATS, "1": t.FOUR_FLOATS}
        path.write_bytes(t.torch_zip(body, storages=storages, members=members))
        return open_checkpoint(str(path))

    return open_value


def with_state(state: bytes) -> bytes:
    """A parameter with attributes."""
    return p.call(p.name(UTILS, "_rebuild_parameter_with_state"), p.tensor(), b"\x89", b"}", state)


def from_type(
    state: bytes, module: str = "torch._tensor", function: tuple[str, str] = (UTILS, V2)
) -> bytes:
    """A tensor of a subclass, with attributes."""
    arguments = p.tensor()[len(p.name(UTILS, V2)) : -1]
    return p.call(
        p.name(module, "_rebuild_from_type_v2"),
        p.name(*function),
        p.name("mylib", "Tensor"),
        arguments,
        state,
    )


def attribute(name: str, value: bytes = b"K\x01") -> bytes:
    return p.dict_of((p.text(name), value))


MANY = p.dict_of(*[(p.text(f"a{i}"), b"N") for i in range(300)], (p.text("data"), b"N"))

GOOD = {
    "a parameter with an attribute": with_state(attribute("note")),
    "a parameter without attributes": with_state(b"N"),
    "a parameter with slots": with_state(p.tuple_of(b"N", attribute("note"))),
    "a subclass": from_type(attribute("note")),
    "a subclass of torch 1.8": from_type(attribute("note"), "torch.tensor"),
    "no metadata": p.tensor_v3("uint16", b"}", count=8),
}


@pytest.mark.parametrize("value", GOOD.values(), ids=GOOD.keys())
def test_a_tensor_with_ornaments_is_read(value: bytes, opened: Opener) -> None:
    with opened(value) as checkpoint:
        assert checkpoint.tensors["x"].nbytes == 16
        assert checkpoint.unread == ()


BAD = {
    "set by BUILD": p.tensor() + p.tuple_of(p.storage("1")) + b"b",
    "overwritten by an item": p.tensor() + b"K\x00K\x01s",
    "data among a parameter's attributes": with_state(attribute("data", p.tensor())),
    "data after many attributes": with_state(MANY),
    "data among the slots": with_state(p.tuple_of(b"N", attribute("data"))),
    "data in an ordered dictionary": with_state(p.ordered_dict()),
    "class among the attributes": with_state(attribute("__class__")),
    "a real part among the attributes": from_type(attribute("real", p.tensor())),
    "an attribute whose name is a number": with_state(p.dict_of((b"K\x01", b"N"))),
    "too few arguments": p.call(p.name(UTILS, "_rebuild_tensor_v2"), p.storage(), b"K\x00"),
    "too many arguments": p.call(
        p.name(UTILS, "_rebuild_tensor"), p.storage(), b"K\x00", b"K\x04\x85", b"K\x01\x85", b"N"
    ),
    "a gradient that is not a truth value": p.tensor(gradient=b"K\x01"),
    "metadata that is not a dictionary": p.tensor_v3("uint16", b"K\x01", count=8),
    "a parameter of nothing": p.call(
        p.name(UTILS, "_rebuild_parameter"), b"N", b"\x89", p.ordered_dict()
    ),
    "an element type of nobody": p.tensor_v3("evil"),
    "a function for an element type": p.tensor_v3("load"),
}


@pytest.mark.parametrize("value", BAD.values(), ids=BAD.keys())
def test_a_tensor_that_torch_would_change_or_refuse_is_refused(
    value: bytes, opened: Opener
) -> None:
    with pytest.raises(MalformedError) as caught:
        opened(value)
    assert caught.value.rule is rules.GEOMETRY
    assert caught.value.tensor == "x"


UNREAD = {
    "conjugated": (
        p.tensor_v3("complex64", attribute("conj", b"\x88"), count=2),
        "a lazily negated or conjugated tensor",
    ),
    "complex32": (p.tensor_v3("complex32"), "a tensor of complex32"),
    "bits8": (p.tensor_v3("bits8"), "a tensor of bits8"),
    "int4": (p.tensor_v3("int4"), "a tensor of int4"),
    "quint4x2": (p.tensor_v3("quint4x2"), "a tensor of quint4x2"),
    "a float of the future": (p.tensor_v3("float7_e3m3"), "a tensor of float7_e3m3"),
    "made by its class": (
        p.new(p.name("torch", "FloatTensor")) + p.tuple_of(p.storage()) + b"b",
        "a tensor made by its class",
    ),
    "called by its class": (
        p.call(p.name("torch", "FloatTensor"), p.list_of(b"K\x01")),
        "a tensor made by its class",
    ),
    "sparse": (
        p.call(p.name(UTILS, "_rebuild_sparse_tensor"), b"N", b")"),
        "a sparse tensor",
    ),
    "nested": (
        p.call(p.name("torch.nested._internal.nested_tensor", "_rebuild_njt"), b"}"),
        "a nested tensor",
    ),
    "a parameter made by its class": (
        p.new(p.name("torch.nn.parameter", "Parameter"), p.tensor()),
        "a tensor made by its class",
    ),
}


@pytest.mark.parametrize(("value", "reason"), UNREAD.values(), ids=UNREAD.keys())
def test_a_tensor_of_another_kind_is_listed_as_not_read(
    value: bytes, reason: str, opened: Opener
) -> None:
    with opened(value) as checkpoint:
        assert checkpoint.unread == (("x", reason),)
        assert list(checkpoint.tensors) == ["w"]


def wrapped(times: int) -> bytes:
    """A tensor in so many parameters, one in the other."""
    value = p.tensor()
    for _ in range(times):
        value = p.call(p.name(UTILS, "_rebuild_parameter"), value, b"\x89", b"N")
    return value


SIXTY_FIVE = p.tuple_of(*[b"K\x01"] * 65)

ENDLESS = {
    "dimensions": p.tensor(shape=SIXTY_FIVE, strides=SIXTY_FIVE),
    "wrappings": wrapped(8),
    "attributes": with_state(p.dict_of(*[(p.text(f"a{i}"), b"N") for i in range(1_001)])),
}


@pytest.mark.parametrize("value", ENDLESS.values(), ids=ENDLESS.keys())
def test_what_many_tensors_could_share_is_bounded(value: bytes, opened: Opener) -> None:
    with pytest.raises(MalformedError) as caught:
        opened(value)
    assert caught.value.rule is rules.LIMIT


def test_a_tensor_with_as_much_as_a_real_one_may_have_is_read(opened: Opener) -> None:
    with opened(wrapped(7)) as checkpoint:
        assert checkpoint.tensors["x"].shape == (4,)


def test_a_call_with_a_long_argument_is_not_searched_to_its_end(opened: Opener) -> None:
    # the storage lies behind more than any rebuild call of torch has before it
    value = p.call(p.name("mylib", "f"), p.storage(), *[b"K\x01"] * 1_000)
    with opened(value) as checkpoint:
        assert [entry.kind for entry in checkpoint.entries] == ["mylib.f"]


@pytest.mark.parametrize("limit", ["MAX_TENSORS", "MAX_ALL_TENSORS"])
def test_more_tensors_than_any_real_file_has_are_refused(
    limit: str, opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_dicts, limit, 1)
    with pytest.raises(MalformedError) as caught:
        opened(p.tensor())
    assert caught.value.rule is rules.LIMIT


BROKEN_BESIDE = {
    "reaching outside": (p.tensor(shape=b"K\x05\x85"), rules.GEOMETRY),
    "without its storage": (p.tensor(p.storage("2")), rules.MISSING_STORAGE),
    "of another size": (p.tensor(p.storage(count=3)), rules.STORAGE_SIZE),
}


@pytest.mark.parametrize(("value", "rule"), BROKEN_BESIDE.values(), ids=BROKEN_BESIDE.keys())
def test_a_broken_tensor_beside_the_state_dict_is_refused(
    value: bytes, rule: Rule, opened: Opener
) -> None:
    with pytest.raises(MalformedError) as caught:
        opened(p.dict_of((p.text("state"), value), (p.text("param_groups"), b"]")))
    assert caught.value.rule is rule
    assert "beside the state dict" in str(caught.value)


BESIDE = {
    "of another kind": p.tensor_v3("complex32"),
    "of a stranger": from_type(b"N", function=("mylib", "make")),
    "whole": p.tensor(),
}


@pytest.mark.parametrize("value", BESIDE.values(), ids=BESIDE.keys())
def test_a_tensor_beside_the_state_dict_may_be_anything_that_loads(
    value: bytes, opened: Opener
) -> None:
    with opened(p.dict_of((p.text("state"), value), (p.text("param_groups"), b"]"))) as checkpoint:
        assert list(checkpoint.tensors) == ["w"]


FOREIGN = {
    "a function within torch's": from_type(b"N", function=("mylib", "make")),
    "a call within a parameter": p.call(
        p.name(UTILS, "_rebuild_parameter"), p.call(p.name("mylib", "make")), b"\x89", b"N"
    ),
}


@pytest.mark.parametrize("value", FOREIGN.values(), ids=FOREIGN.keys())
def test_a_tensor_made_by_code_of_somebody_else_is_not_read(value: bytes, opened: Opener) -> None:
    with opened(value) as checkpoint:
        assert checkpoint.unread == (("x", "made by a call of mylib.make, which is not run"),)
        assert (Use.CALL, "mylib.make") in [(use.use, use.name) for use in checkpoint.uses]


def test_a_tensor_whose_storage_a_call_makes_is_not_read(opened: Opener) -> None:
    held = p.call(p.name("torch.storage", "_load_from_bytes"), b"C\x02N.")
    with opened(p.tensor(held)) as checkpoint:
        assert checkpoint.unread == (("x", "a tensor whose storage another call makes"),)


@pytest.mark.parametrize(
    ("dtype", "unread"), [pytest.param("uint16", 1, id="wide"), pytest.param("bool", 0, id="byte")]
)
def test_an_order_of_bytes_that_torch_does_not_turn_is_not_read(
    dtype: str, unread: int, opened: Opener
) -> None:
    with opened(p.tensor_v3(dtype), byteorder=b"big") as checkpoint:
        assert len(checkpoint.unread) == unread
        assert checkpoint.tensors["w"].big_endian


@pytest.mark.parametrize(
    "empty",
    [torch.zeros(0, 4)[:, 1:3], torch.zeros(3, 0, 1, 7)[1:2], torch.zeros(4, 4)[4:]],
    ids=lambda one: str(tuple(one.shape)),
)
def test_a_slice_without_elements_begins_anywhere(empty: torch.Tensor, tmp_path: Path) -> None:
    torch.save({"empty": empty, "one": torch.ones(1)}, tmp_path / "model.pth")
    with open_checkpoint(tmp_path / "model.pth") as checkpoint:
        assert checkpoint.tensors["empty"].shape == tuple(empty.shape)
        assert checkpoint.tensors["empty"].torch().shape == empty.shape
