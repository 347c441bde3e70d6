"""The short form of names: readable, and never a name more or less."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ckpttool.findings.names import compress, expand, natural_order


def block_names(numbers: list[int], leaves: list[str]) -> list[str]:
    return [f"blocks.{n}.norm1.{leaf}" for n in numbers for leaf in leaves]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param(["norm.bias"], ["norm.bias"], id="one name is itself"),
        pytest.param(["a.weight", "a.bias"], ["a.{weight,bias}"], id="leaves in their order"),
        pytest.param(
            block_names([*range(7), *range(8, 24)], ["weight", "bias"]),
            ["blocks.{0-6,8-23}.norm1.{weight,bias}"],
            id="a hole shows in the range",
        ),
        pytest.param(
            [*block_names([0, 1, 2], ["weight"]), *block_names([0, 2], ["bias"])],
            ["blocks.{0-2}.norm1.weight", "blocks.{0,2}.norm1.bias"],
            id="a hole in one leaf keeps the leaves apart",
        ),
        pytest.param(
            ["layers.0.blocks.0.w", "layers.0.blocks.1.w", "layers.1.blocks.0.w"],
            ["layers.0.blocks.{0-1}.w", "layers.1.blocks.0.w"],
            id="two numbers, one combination missing",
        ),
        pytest.param(["b.10.w", "b.9.w"], ["b.{9-10}.w"], id="numbers in order of size"),
        pytest.param(["b.01.w", "b.1.w"], ["b.01.w", "b.1.w"], id="01 is not 1"),
        pytest.param(["a.x,y", "a.z"], ["a.x,y", "a.z"], id="a comma stays alone"),
        pytest.param(["a.{0-3}"], [r"a.\{0-3\}"], id="braces of a name are escaped"),
        pytest.param(["a.0-3", "a.b"], ["a.0-3", "a.b"], id="a name like a range stays alone"),
        pytest.param(["cls_token", "pos_embed"], ["cls_token", "pos_embed"], id="top level apart"),
    ],
)
def test_names_are_grouped(names: list[str], expected: list[str]) -> None:
    assert compress(names) == expected
    assert sorted(expand(expected)) == sorted(names)


odd_names = st.lists(
    st.sampled_from([".", "0", "1", "2", "10", "01", "a", "w", "{", "}", ",", "-", "\\", "\n"]),
    max_size=7,
).map("".join)


@settings(max_examples=150)
@given(st.lists(odd_names | st.text(max_size=5), max_size=25))
def test_the_short_form_expands_to_exactly_the_names(names: list[str]) -> None:
    expanded = expand(compress(names))
    assert set(expanded) == set(names)
    assert len(expanded) == len(set(names))


def test_the_same_names_give_the_same_form() -> None:
    names = block_names([3, 1, 2], ["weight", "bias"])
    assert compress(names) == compress(iter(names)) == ["blocks.{1-3}.norm1.{weight,bias}"]


@given(st.lists(odd_names | st.text(max_size=5), max_size=9))
def test_any_names_can_be_put_in_order_and_no_two_have_one_place(names: list[str]) -> None:
    places = sorted(natural_order(name) for name in set(names))
    assert all(one != other for one, other in zip(places, places[1:]))


def test_numbers_are_in_the_order_of_their_size() -> None:
    names = ["blocks", "blocks.9.a", "blocks.9.b", "blocks.10.a", "blocks.010.a", "blocks.x"]
    for order in (names, names[::-1]):
        assert sorted(order, key=natural_order) == names
