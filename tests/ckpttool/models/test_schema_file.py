"""The file of a schema: stable and diffable when written, strict when read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ckpttool.findings.errors import MalformedError, UnsupportedError
from ckpttool.models.schema_file import KEY, described, parse, render
from ckpttool.tensors.catalogue import TensorInfo


def tensors(*names: str, dtype: str = "float32", shape: tuple[int, ...] = (4, 2)) -> Any:
    return {name: described(name, dtype, shape) for name in names}


def document(**groups: Any) -> dict[str, Any]:
    return {KEY: 1, "tensors": groups}


ENTRY = {"dtype": "float32", "shape": [4]}


def test_what_is_alike_stands_on_one_line() -> None:
    layers = [f"layers.{number}.up.weight" for number in range(32) if number != 7]
    lines = render(tensors(*layers)).splitlines()
    assert lines[3] == ('  "layers.{0-6,8-31}.up.weight": {"dtype": "float32", "shape": [4, 2]}')
    assert len(lines) == 6


def test_other_shapes_and_dtypes_stand_apart() -> None:
    text = render(
        {
            **tensors("a.0.w", "a.1.w"),
            **tensors("a.2.w", shape=(4, 3)),
            **tensors("a.3.w", dtype="bfloat16"),
        }
    )
    assert list(json.loads(text)["tensors"]) == ["a.2.w", "a.3.w", "a.{0-1}.w"]


def test_the_order_of_the_tensors_does_not_matter() -> None:
    names = [f"layers.{number}.{leaf}" for number in range(12) for leaf in ("weight", "bias")]
    assert render(tensors(*names)) == render(tensors(*reversed(names)))


@pytest.mark.parametrize(
    "name",
    ["plain", "", "a{b", "a}b", "a\\b", "{0-9}.w", "a,b", "01.w", "é\ud800", "a.{b,c}", 'quo"te\n'],
)
def test_any_name_comes_back(name: str) -> None:
    written = tensors(name, "layers.0.w", "layers.1.w", "layers.01.w")
    text = render(written)
    assert text.isascii()
    assert parse(json.loads(text)) == written


def test_a_range_is_read_back_tensor_by_tensor() -> None:
    read = parse(document(**{"layers.{0-1}.{weight,bias}": ENTRY}))
    assert list(read) == [
        "layers.0.weight",
        "layers.0.bias",
        "layers.1.weight",
        "layers.1.bias",
    ]
    assert {info.shape for info in read.values()} == {(4,)}
    assert all(type(info) is TensorInfo for info in read.values())


@pytest.mark.parametrize(
    "wrong",
    [
        {KEY: True, "tensors": {"a": ENTRY}},
        {KEY: 1},
        {KEY: 1, "tensors": {}},
        {KEY: 1, "tensors": [ENTRY]},
        {KEY: 1, "tensors": {"a": ENTRY}, "more": 1},
        document(a=[4]),
        document(a={**ENTRY, "more": 1}),
        document(a={"dtype": "float31", "shape": [4]}),
        document(a={"dtype": ["float32"], "shape": [4]}),
        document(a={"dtype": "float32", "shape": [True]}),
        document(a={"dtype": "float32", "shape": [-1]}),
        document(a={"dtype": "float32", "shape": [4.0]}),
        document(a={"dtype": "float32", "shape": 4}),
        document(a={"dtype": "float32", "shape": [1 << 62, 2]}),
        document(a={"dtype": "float32", "shape": [1 << 62, 4, 0]}),
        document(a={"dtype": "float32", "shape": [1] * 65}),
        document(**{"a.{0-1}": ENTRY, "a.1": ENTRY}),
        document(**{"a.{1,1}": ENTRY}),
        document(**{"a.{3-1}": ENTRY}),
        document(**{"a.{00-3}": ENTRY}),
        document(**{"a.{0": ENTRY}),
        document(**{"a}": ENTRY}),
        document(**{"a\\": ENTRY}),
    ],
)
def test_what_is_not_written_so_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(MalformedError):
        parse(wrong)


@pytest.mark.parametrize(
    "group",
    [
        "{0-999999999999999}",
        "{0-1000000}",
        "{0-9999}.{0-9999}.{0-9999}.{0-9999}",
        f"{{0-{'9' * 99}}}",
    ],
)
def test_a_short_text_for_many_names_is_refused_before_they_are_made(group: str) -> None:
    with pytest.raises(MalformedError):
        parse(document(**{group: ENTRY}))


def test_another_version_is_another_matter() -> None:
    with pytest.raises(UnsupportedError, match="version"):
        parse({KEY: 2, "anything": None})
