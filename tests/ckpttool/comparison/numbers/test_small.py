"""Small tensors are compared many at once, and each has the numbers that it has alone."""

from __future__ import annotations

from math import inf, nan
from typing import Any, List, Sequence, Tuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ckpttool.comparison.numbers import compare as reading
from ckpttool.comparison.numbers import stretches
from ckpttool.comparison.numbers.compare import Pass, SideError
from ckpttool.comparison.numbers.runs import Runs
from ckpttool.comparison.numbers.stretches import Pair
from ckpttool.comparison.numbers.tally import Tally
from ckpttool.comparison.numbers.tolerance import Tolerance
from tests.builders import pairs
from tests.builders.tensors import cut_while_read, in_memory, in_one_file

QUICK = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
TYPES = sorted(pairs.PLAIN)
SUMS = ("norm_left", "norm_right", "norm_difference", "dot")


@pytest.fixture
def together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tensors of up to eleven elements are small, and two or three of them make a group."""
    monkeypatch.setattr(stretches, "SMALL", 12)
    monkeypatch.setattr(stretches, "GROUP", 24)


def compared(
    sides: Sequence[Sequence[bytes]], dtypes: Tuple[str, str], tolerance: Tolerance | None
) -> List[Tally]:
    left, right = (in_one_file(parts, dtype) for parts, dtype in zip(sides, dtypes))
    return Pass(tolerance, 1).run([Pair(*two) for two in zip(left, right)])


def alone(one: bytes, other: bytes, dtypes: Tuple[str, str], tolerance: Tolerance | None) -> Tally:
    """What the two are as tensors of a size of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stretches, "SMALL", 1)
        left, right = (np.frombuffer(side, "u1") for side in (one, other))
        return pairs.arrays(left, right, dtypes=dtypes, tolerance=tolerance)


def assert_alike(found: Tally, expected: Tally) -> None:
    one, other = vars(found), vars(expected)
    if not other["changed"]:
        assert found.identical == expected.identical
        return
    scale = max(other["norm_left"], other["norm_right"], 1e-300)
    for name, value in other.items():
        if name in SUMS:
            off = 1e-5 * (scale * scale if name == "dot" else scale)
            assert one[name] == pytest.approx(value, rel=1e-5, abs=off, nan_ok=True), name
        elif name != "equal":  # what is small is compared as a whole
            assert one[name] == value, name


def pieces_of(data: bytes, dtype: str, lengths: Sequence[int]) -> List[bytes]:
    width = pairs.PLAIN[dtype].width
    found, at = [], 0
    for length in lengths:
        found.append(data[at : at + length * width])
        at += length * width
    return found


@QUICK
@given(
    data=st.data(),
    dtype=st.sampled_from(TYPES),
    lengths=st.lists(st.integers(0, 14), min_size=1, max_size=8),
    tolerance=st.sampled_from([None, Tolerance(0.5), Tolerance(0, 0.1, True)]),
)
def test_any_bits_of_many_tensors_give_what_each_gives_alone(
    together: None,
    data: st.DataObject,
    dtype: str,
    lengths: List[int],
    tolerance: Tolerance | None,
) -> None:
    size = sum(lengths) * pairs.PLAIN[dtype].width
    left = pieces_of(data.draw(st.binary(min_size=size, max_size=size)), dtype, lengths)
    right = pieces_of(data.draw(st.binary(min_size=size, max_size=size)), dtype, lengths)
    same = data.draw(st.sets(st.integers(0, len(lengths) - 1)))
    right = [left[n] if n in same else part for n, part in enumerate(right)]
    tallies = compared((left, right), (dtype, dtype), tolerance)
    for one, other, tally in zip(left, right, tallies):
        assert_alike(tally, alone(one, other, (dtype, dtype), tolerance))


NUMBERS = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, nan, inf, -inf, 1e-45, 3e38, 448.0, 480.0]),
    st.floats(-4, 4, width=16),
)


@QUICK
@given(
    values=st.lists(st.lists(NUMBERS, min_size=1, max_size=9), min_size=1, max_size=6),
    dtypes=st.tuples(*[st.sampled_from(["float32", "float16", "float64", "bfloat16"])] * 2),
    spoilt=st.sets(st.integers(0, 5)),
)
def test_casts_of_many_tensors_are_those_of_each(
    together: None, values: List[List[float]], dtypes: Tuple[str, str], spoilt: set[int]
) -> None:
    sides: List[List[bytes]] = []
    for side, dtype in enumerate(dtypes):
        rows = []
        for number, row in enumerate(values):
            array = np.array(row, "f4") + np.float32(side and number in spoilt)
            rows.append(as_bytes(array, dtype))
        sides.append(rows)
    for one, other, tally in zip(*sides, compared(sides, dtypes, None)):
        assert_alike(tally, alone(one, other, dtypes, None))


def as_bytes(array: Any, dtype: str) -> bytes:
    if dtype == "bfloat16":
        return bytes((array.view("u4") >> 16).astype("<u2").tobytes())
    with np.errstate(all="ignore"):
        return bytes(array.astype(dtype).tobytes())


def test_float8_beyond_its_largest_number_is_judged_for_each_tensor(together: None) -> None:
    """Every tensor may have been cast by another release."""
    wide = [np.array([1, 500], "<f4").tobytes()] * 3
    narrow = [bytes([0x38, 0x7E]), bytes([0x38, 0x7F]), bytes([0x38, 0x7D])]
    tallies = compared((wide, narrow), ("float32", "float8_e4m3fn"), None)
    assert [tally.rounds_right for tally in tallies] == [True, True, False]


def test_types_below_a_byte_are_counted_in_bytes(together: None) -> None:
    tallies = compared(([b"abc", b"de"], [b"abd", b"de"]), ("float4_e2m1",) * 2, None)
    assert [(tally.changed, tally.elements) for tally in tallies] == [(1, 3), (0, 2)]
    assert [tally.identical for tally in tallies] == [False, True]


def test_the_numbers_of_a_tensor_do_not_depend_on_its_neighbours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(4)
    sides = [[rng.normal(size=n).astype("<f4").tobytes() for n in range(1, 200)] for _ in "ab"]
    monkeypatch.setattr(stretches, "SMALL", 1000)
    every = compared(sides, ("float32", "float32"), None)
    for number in (0, 7, 100, 198):
        (one,) = compared(([sides[0][number]], [sides[1][number]]), ("float32", "float32"), None)
        assert vars(one) == vars(every[number])


def test_neighbours_are_read_at_once_and_equal_ones_without_computing(
    together: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(_: object) -> None:
        raise AssertionError("equal bytes are not computed on")

    monkeypatch.setattr(reading.Memory, "blocks", property(never))
    parts = [bytes([number]) * 4 for number in range(6)]
    sides = [in_one_file(parts, "float32") for _ in range(2)]
    sources: List[Any] = [side[0].extents[0].source for side in sides]
    tallies = Pass(None, 1).run([Pair(*two) for two in zip(*sides)])
    assert [tally.identical for tally in tallies] == [True] * 6
    assert [source.reads for source in sources] == [1, 1]


def test_small_and_large_tensors_come_in_their_order(together: None) -> None:
    lengths = [3, 40, 2, 0, 12, 11]
    parts = [np.arange(n, dtype="<f4").tobytes() for n in lengths]
    moved = [np.arange(1, n + 1, dtype="<f4").tobytes() for n in lengths]
    tallies = compared((parts, moved), ("float32", "float32"), None)
    assert [tally.changed for tally in tallies] == lengths


@pytest.mark.parametrize("side", [0, 1])
def test_the_small_tensor_that_cannot_be_read_is_named(together: None, side: int) -> None:
    whole = [in_memory(b"four", "uint8", (4,), name=name) for name in ("one", "two")]
    sides = [list(whole), list(whole)]
    sides[side][1] = cut_while_read("cut")
    with pytest.raises(SideError) as caught:
        Pass(None, 1).run([Pair(*two) for two in zip(*sides)])
    assert (caught.value.side, caught.value.error.tensor) == (side, "cut")


def test_a_file_cut_among_neighbours_is_told_by_the_first_that_is_gone(together: None) -> None:
    whole, cut = (in_one_file([b"ab", b"cd", b"ef"], "uint8") for _ in range(2))
    source: Any = cut[0].extents[0].source
    source.end = 3
    with pytest.raises(SideError) as caught:
        Pass(None, 1).run([Pair(*two) for two in zip(whole, cut)])
    assert (caught.value.side, caught.value.error.tensor) == (1, "t1")


def test_norms_of_runs_neither_overflow_nor_vanish() -> None:
    values = np.array([3e200, 4e200, 0, 0, 3, 4, 3e-200, 4e-200])
    with np.errstate(over="ignore"):
        found = Runs([2, 2, 2, 2]).norms(values)
    assert found == pytest.approx([5e200, 0, 5, 5e-200])
