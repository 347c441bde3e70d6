"""Findings on numbers and on bytes name the tensor and the place in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

import numpy as np
import pytest

from ckpttool.tensors import places
from ckpttool.verification import not_finite
from ckpttool.verification.not_finite import FirstIndexes, first_not_finite
from ckpttool.verification.options import VerifyOptions
from ckpttool.verification.run import verify_file
from tests.builders import checkpoints as built
from tests.rule_cases.containers import one_bit_flipped

if TYPE_CHECKING:
    from pathlib import Path

    from ckpttool.findings.finding import Finding
    from ckpttool.tensors.catalogue import TensorInfo

# torch 2.0 warns of its own use of a class when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")


def spoilt(*at: tuple[str, tuple[int, ...], float]) -> Callable[[], object]:
    def content() -> object:
        state = built.state()
        for name, index, value in at:
            state[name][index] = value
        return {"model": state}

    return content


def found(path: str, code: str) -> list[Finding]:
    report = verify_file(path, VerifyOptions(forward=False))
    return [one for one in report.findings if one.rule.code == code]


def test_the_first_nan_and_the_first_infinity_are_told(tmp_path: Path) -> None:
    name = "blocks.1.mlp.fc1.weight"
    content = spoilt(
        (name, (1, 2), np.nan),
        (name, (3, 0), np.nan),
        (name, (0, 1), np.inf),
        ("norm.bias", (1,), np.nan),
    )
    path = built.saved(tmp_path, content)
    assert [
        (one.tensors, one.message.partition(", the first ")[2]) for one in found(path, "NUM001")
    ] == [
        ((name,), "at [1, 2]"),
        (("norm.bias",), "at [1]"),
    ]
    (infinite,) = found(path, "NUM002")
    assert infinite.message.endswith(", the first at [0, 1]")


def test_a_file_of_finite_numbers_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_look(*_: object) -> None:
        raise AssertionError("a tensor is read again")

    monkeypatch.setattr(not_finite, "first_index", no_look)
    assert found(built.saved(tmp_path, built.sound), "NUM001") == []


def test_of_many_tensors_only_the_first_are_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []

    def look(info: TensorInfo, holds: Callable[..., Any]) -> tuple[int, ...] | None:
        looks.append(info.name)
        return places.first_index(info, holds)

    monkeypatch.setattr(not_finite, "first_index", look)
    names = [name for name, one in built.state().items() if one.ndim == 1]
    assert len(names) > 8
    found(built.saved(tmp_path, spoilt(*[(name, (0,), np.nan) for name in names])), "NUM001")
    assert len(looks) == 8
    assert first_not_finite({}, {}) == {}
    assert FirstIndexes() == (None, None)


def test_a_checksum_names_the_tensor_whose_bytes_it_is_over(tmp_path: Path) -> None:
    (one,) = found(one_bit_flipped(tmp_path), "INT004")
    assert one.tensors == ("norm.weight",)
    assert one.message.startswith("the bytes of 1 tensor in ")
