"""Somebody's code as a schema: what it builds, without memory, and how its mistakes are told."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import List

import pytest
import torch

from ckpttool.findings.errors import UnsupportedError
from ckpttool.models.code.calls import call_in
from ckpttool.models.code.example import Example
from ckpttool.models.code.factories import Factory
from tests.builders import user_code
from tests.builders.user_code import MODULE, here

__all__ = ["here"]  # a fixture


def made(call: str) -> Factory:
    return Factory(call_in(f"{MODULE}:{call}"))


def test_a_class_and_a_function_are_factories(here: Path) -> None:
    held = made("Net").held
    assert held.tensors == made("build(width=8)").held.tensors
    assert held.tensors["layers.0.0.weight"].shape == (8, 8)
    assert held.tensors["layers.0.2.num_batches_tracked"].dtype.name == "int64"
    assert made("Net(16, depth=1)").held.tensors["layers.0.0.weight"].shape == (16, 16)


def test_the_state_dict_is_its_own_with_what_is_tied_and_what_is_not_saved(here: Path) -> None:
    held = made("Net").held
    assert held.tied == {"head.weight": "embed.weight"}
    assert {"head.weight", "embed.weight"} <= held.tensors.keys()
    assert held.optional == {"scale"}


def test_a_state_dict_is_as_good_as_a_module(here: Path) -> None:
    held = made("state").held
    assert {name: (one.shape, one.dtype.name) for name, one in held.tensors.items()} == {
        "a": ((3,), "float32"),
        "b": ((2, 2), "int64"),
    }


def test_what_is_built_is_on_the_meta_device(here: Path) -> None:
    assert set(made("on_meta").held.tensors) == {"weight", "bias"}


def test_a_model_of_any_size_takes_no_memory(here: Path) -> None:
    held = made("Net(width=200_000, depth=2)").held
    assert held.tensors["layers.1.0.weight"].shape == (200_000, 200_000)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ("fails", f"{MODULE}:fails failed: RuntimeError: nothing is built here"),
        ("build(widht=3)", "failed: TypeError: .*unexpected keyword argument 'widht'"),
        ("leaves", r"failed: it ended with sys.exit\(0\)"),
        ("number", "neither a torch.nn.Module nor a state dict"),
        ("empty", "the model has no tensor"),
        ("constant", "is nothing that can be called"),
        ("nothing", "cannot be imported: AttributeError: .*nothing"),
    ],
)
def test_a_mistake_of_the_code_is_told_in_its_words(here: Path, call: str, told: str) -> None:
    with pytest.raises(UnsupportedError, match=told) as caught:
        made(call)
    assert "not shown" not in str(caught.value)


def test_a_module_that_is_not_there_is_told_from_one_that_it_needs(here: Path) -> None:
    with pytest.raises(UnsupportedError, match=r"there is no module somebody\.els, neither here"):
        Factory(call_in("somebody.els:build"))
    with pytest.raises(UnsupportedError, match=r"somebody\.breaks cannot be imported: ModuleNot"):
        Factory(call_in("somebody.breaks:build"))


def test_what_the_code_prints_is_no_output(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made("Net")
    assert capsys.readouterr() == ("", "somebody's code speaks\n")


def test_the_path_of_modules_is_as_before(here: Path) -> None:
    before = list(sys.path)
    made("Net")
    assert sys.path == before


def test_too_many_parts_are_told_and_not_tried_again(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ckpttool.models.code.building.MOST_PARTS", 10)
    with pytest.raises(UnsupportedError, match="too many layers or experts"):
        made("Net")


def test_the_callers_random_numbers_are_as_before(here: Path) -> None:
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    made("Net")
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize(
    ("call", "arguments", "keywords"),
    [
        ("inputs", 1, []),
        ("more", 2, []),
        ("named(shift=3.0)", 0, ["ids", "shift"]),
        ("both", 1, ["shift"]),
    ],
)
def test_an_example_is_a_tensor_a_tuple_keywords_or_both(
    here: Path, call: str, arguments: int, keywords: List[str]
) -> None:
    found = Example(call_in(f"{MODULE}:{call}")).inputs()
    assert (len(found.arguments), list(found.keywords)) == (arguments, keywords)
    assert found.said == f"{MODULE}:{call.partition('(')[0]}"


def test_an_example_is_made_once(here: Path) -> None:
    example = Example(call_in(f"{MODULE}:inputs"))
    assert example.inputs() is example.inputs()


def test_the_builder_writes_what_the_model_has(here: Path) -> None:
    assert user_code.saved(here / "net.pth").endswith("net.pth")
