from __future__ import annotations

import hashlib
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckpttool.tensors import contents, sharing
from ckpttool.tensors.contents import same_contents
from ckpttool.tensors.values import start_values
from tests.builders import tensors as built

if TYPE_CHECKING:
    from typing import Mapping

    from ckpttool.tensors.catalogue import TensorInfo


def found(tensors: Mapping[str, TensorInfo], *, digests: bool = False) -> dict[str, bytes]:
    with start_values(tensors, (), digests=digests, workers=1) as run:
        return same_contents(tensors, run.result(), workers=1)


def tensors_of(*data: bytes) -> dict[str, TensorInfo]:
    infos = [
        built.in_memory(content, "uint8", (len(content),), name=str(number))
        for number, content in enumerate(data)
    ]
    return dict(built.catalogue(infos))


# long ones that begin alike, and differ or not behind that
pieces = st.tuples(st.sampled_from([b"", b"a", bytes(64), bytes(200)]), st.binary(max_size=2))


@given(st.lists(pieces.map(b"".join), max_size=8), st.booleans())
def test_two_tensors_have_equal_sums_exactly_if_they_hold_the_same(
    data: list[bytes], digests: bool
) -> None:
    sums = found(tensors_of(*data), digests=digests)
    for (one, first), (other, second) in combinations(enumerate(data), 2):
        told = str(one) in sums and sums[str(one)] == sums.get(str(other))
        assert told == (first == second)
    for name, told_sum in sums.items():
        assert told_sum == hashlib.sha256(data[int(name)]).digest()


def test_the_type_of_the_elements_does_not_matter() -> None:
    array = np.arange(40, dtype=np.float16)
    raw = array.tobytes()
    half = built.from_array(array, "half")
    sums = found({"half": half, "other": built.in_memory(raw, "bfloat16", (40,), name="other")})
    assert sums["half"] == sums["other"]


def test_views_that_are_beyond_the_cap_without_the_others_are_hashed_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sharing, "AMPLIFICATION_SLACK", 0)
    tensors = tensors_of(b"a" * 70, b"b" * 70, b"c" * 70)
    for number in range(4):
        infos = built.in_memory(bytes([7]), "uint8", (70,), (0,), name=f"wide{number}")
        tensors[infos.name] = infos
    sums = found(tensors)
    assert sums == dict.fromkeys(
        (f"wide{number}" for number in range(4)), hashlib.sha256(bytes([7]) * 70).digest()
    )


@pytest.mark.parametrize(
    ("data", "digests"),
    [
        pytest.param([bytes([number]) * 100 for number in range(20)], False, id="other beginnings"),
        pytest.param([bytes(100 + number) for number in range(20)], False, id="other sizes"),
        pytest.param([bytes(100)] * 20, True, id="all hashed before"),
    ],
)
def test_nothing_is_hashed_that_need_not_be(
    monkeypatch: pytest.MonkeyPatch, data: list[bytes], digests: bool
) -> None:
    tensors = tensors_of(*data)
    with start_values(tensors, (), digests=digests) as run:
        values = run.result()
    monkeypatch.delattr(contents, "start_values")
    assert bool(same_contents(tensors, values)) == digests
