"""The numbers of a comparison: against the plain way, exactly, and the same from both sides."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ckpttool.comparison.numbers import compare as reading
from ckpttool.comparison.numbers import floats, general
from ckpttool.comparison.numbers import stretches as pieces
from ckpttool.comparison.numbers.compare import Pass, SideError
from ckpttool.comparison.numbers.stretches import Pair
from ckpttool.comparison.numbers.tally import Tally
from ckpttool.comparison.numbers.tolerance import Tolerance
from ckpttool.tensors.workers import Work
from tests.builders import pairs
from tests.builders.executors import EXECUTORS, executor
from tests.builders.tensors import cut_while_read, from_array, in_memory


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several blocks and tasks even for tiny tensors."""
    monkeypatch.setattr(floats, "BLOCK", 64)
    monkeypatch.setattr(floats, "_WIDENED_BLOCK", 16)
    monkeypatch.setattr(general, "BLOCK", 32)
    monkeypatch.setattr(reading, "BLOCK_BYTES", 256)
    monkeypatch.setattr(pieces, "_TASK", 1024)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int8", "int32", "uint16"])
@pytest.mark.parametrize("workers", [1, 3])
def test_the_numbers_are_those_of_the_plain_way(
    small_blocks: None, dtype: str, workers: int
) -> None:
    left, right = ((rng(seed).normal(0, 30, 999)).astype(dtype) for seed in (1, 2))
    tally = pairs.arrays(left, right, workers=workers)
    most, relative, rms = pairs.naive(left, right)
    assert tally.max_abs is not None
    assert tally.max_rel is not None
    assert tally.max_abs.value == most
    assert tally.max_rel.value == pytest.approx(relative, rel=1e-7)
    assert tally.rms == pytest.approx(rms, rel=1e-6)
    place = tally.max_abs.place
    assert (tally.max_abs.left, tally.max_abs.right) == (left[place], right[place])
    assert tally.changed == np.count_nonzero(left != right)
    cosine = np.dot(left.astype(float), right.astype(float)) / np.sqrt(
        np.square(left.astype(float)).sum() * np.square(right.astype(float)).sum()
    )
    assert tally.cosine == pytest.approx(cosine, abs=1e-6)


def test_one_thread_and_many_give_the_same(small_blocks: None) -> None:
    left, right = (rng(seed).normal(size=3000).astype("f4") for seed in (1, 2))
    assert vars(pairs.arrays(left, right)) == vars(pairs.arrays(left, right, workers=4))


@pytest.mark.parametrize(
    ("elements", "workers", "threads"), [(4, None, 1), (64, None, 2), (4, 2, 2)]
)
def test_small_tensors_are_compared_by_one_thread_unless_more_are_asked_for(
    monkeypatch: pytest.MonkeyPatch, elements: int, workers: int | None, threads: int
) -> None:
    monkeypatch.setattr(pieces, "_TASK", 64)
    monkeypatch.setattr(reading, "_SMALL", 64)
    monkeypatch.setattr(reading, "processors", lambda: 2)
    made: list[int | None] = []

    def noted(*args: Any, **options: Any) -> Work[Any, Any, Any]:
        made.append(options["workers"])
        return Work(*args, **options)

    monkeypatch.setattr(reading, "Work", noted)
    sides = [in_memory(bytes(4 * elements), "float32", (elements,)) for _ in range(2)]
    Pass(workers=workers).run([Pair(sides[0], sides[1])])
    assert made[0] == threads


def test_equal_parts_count_for_norms_and_are_not_computed_on(small_blocks: None) -> None:
    left = rng().normal(size=999).astype("f4")
    right = left.copy()
    right[500] += 1
    tally = pairs.arrays(left, right)
    assert tally.equal == [(0, 448), (512, 487)]
    assert tally.changed == 1
    assert tally.compared == 999
    assert tally.norm_left == pytest.approx(float(np.linalg.norm(left.astype(float))))
    assert tally.rms == pytest.approx(1 / math.sqrt(999), rel=1e-6)


@pytest.mark.parametrize(
    ("left", "right", "dtypes", "most"),
    [
        pytest.param([2**63 - 1], [-(2**63)], ("int64", "int64"), 2**64 - 1, id="int64 extremes"),
        pytest.param([2**64 - 1], [0], ("uint64", "uint64"), 2**64 - 1, id="uint64 extremes"),
        pytest.param([2**64 - 1], [2**64 - 2], ("uint64", "uint64"), 1, id="uint64 neighbours"),
        pytest.param([2**64 - 1], [-(2**63)], ("uint64", "int64"), 3 * 2**63 - 1, id="both kinds"),
        pytest.param([-128], [127], ("int8", "int8"), 255, id="int8 extremes"),
        pytest.param([255], [-1], ("uint8", "int8"), 256, id="of two widths"),
    ],
)
def test_integers_are_subtracted_without_overflow(
    left: list[int], right: list[int], dtypes: tuple[str, str], most: int
) -> None:
    sides = [np.array(side, dtype) for side, dtype in zip((left, right), dtypes)]
    tally = pairs.arrays(sides[0], sides[1])
    assert tally.max_abs is not None
    assert tally.max_abs.value == most
    assert (tally.max_abs.left, tally.max_abs.right) == (left[0], right[0])


@pytest.mark.parametrize(
    ("dtype", "left", "right", "ulps"),
    [
        pytest.param("<f4", 1.0, float(np.nextafter(np.float32(1), np.float32(2))), 1, id="next"),
        pytest.param("<f4", 0.0, -0.0, 0, id="zeros"),
        pytest.param("<f4", 2.0**-149, -(2.0**-149), 2, id="around zero"),
        pytest.param("<f4", 3.4e38, -3.4e38, 2 * 0x7F7FC99E, id="across all"),
        pytest.param("<f8", 1.0, 1 + 2.0**-50, 4, id="float64"),
        pytest.param("<f8", 1.7e308, -1.7e308, 2 * 0x7FEE42D130773B76, id="across all float64"),
        pytest.param("<f2", 1.0, 1 + 2.0**-9, 2, id="float16"),
    ],
)
def test_ulps_are_counted(dtype: str, left: float, right: float, ulps: int) -> None:
    tally = pairs.arrays(np.array([left], dtype), np.array([right], dtype))
    assert tally.max_ulp == ulps


@pytest.mark.parametrize(
    "noise", [1e-7, 1e-3, 0.3, 9.0], ids=["no sign turned", "few", "some", "most"]
)
def test_the_largest_ulp_distance_is_that_of_all_pairs(
    monkeypatch: pytest.MonkeyPatch, small_blocks: None, noise: float
) -> None:
    left = (rng(1).normal(size=2000) * 10.0 ** rng(3).integers(-9, 9, 2000)).astype("f4")
    left[::7] = 0
    right = left + (noise * rng(2).normal(size=2000)).astype("f4") * abs(left)
    places = [side.view("i4").astype("i8") for side in (left, right)]
    ordered = [np.where(side < 0, -(side & 0x7FFFFFFF), side) for side in places]
    assert pairs.arrays(left, right).max_ulp == np.abs(ordered[0] - ordered[1]).max()


def test_bfloat16_and_float8_have_ulps_of_their_own() -> None:
    one, next_one = np.array([0x3F80], "<u2"), np.array([0x3F82], "<u2")
    assert pairs.arrays(one, next_one, dtypes=("bfloat16",) * 2).max_ulp == 2
    one, other = np.array([0x38], "u1"), np.array([0xB8], "u1")
    tally = pairs.arrays(one, other, dtypes=("float8_e4m3fn",) * 2)
    assert tally.max_ulp == 2 * 0x38
    assert tally.max_abs is not None
    assert tally.max_abs.value == 2.0


def test_complex_numbers_differ_by_the_modulus() -> None:
    tally = pairs.arrays(np.array([1 + 1j, 0], "c8"), np.array([1 + 1j, 3 + 4j], "c8"))
    assert tally.max_abs is not None
    assert (tally.max_abs.value, tally.max_abs.place, tally.changed) == (5.0, 1, 1)
    assert tally.max_abs.right == 3 + 4j


@pytest.mark.parametrize("other", [2 + 1j, 1 + 2j], ids=["real", "imaginary"])
def test_either_part_makes_complex_numbers_differ(other: complex) -> None:
    tally = pairs.arrays(np.array([0, 1 + 1j], "c8"), np.array([0, other], "c8"))
    assert (tally.changed, tally.identical) == (1, False)


@pytest.mark.parametrize("real", ["f4", "f8", "i8", "u1"])
def test_a_real_number_is_a_complex_one_without_an_imaginary_part(real: str) -> None:
    left, right = np.array([1, 2, 3], real), np.array([1, 2 + 4j, 3], "c16")
    for sides in ((left, right), (right, left)):
        tally = pairs.arrays(*sides)
        assert tally.max_abs is not None
        assert (tally.changed, tally.max_abs.value, tally.max_abs.place) == (1, 4.0, 1)
        assert not tally.widened
        assert pairs.arrays(sides[0].real, sides[1].real.astype("c16")).widened


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30], ids=["tiny", "usual", "huge"])
def test_norms_neither_overflow_nor_vanish(scale: float) -> None:
    left, right = (rng(seed).normal(size=50).astype("f4") * np.float32(scale) for seed in (1, 2))
    tally = pairs.arrays(left, right)
    assert tally.rms == pytest.approx(pairs.naive(left, right)[2], rel=1e-6)
    assert tally.cosine is not None


NAN, INF = float("nan"), float("inf")


def test_what_is_not_finite_is_counted_apart() -> None:
    left = np.array([NAN, 1, INF, 1, NAN, INF, 1, INF], "f4")
    right = np.array([1, NAN, 1, INF, NAN, INF, 2, -INF], "f4")
    tally = pairs.arrays(left, right)
    assert (tally.nan_left, tally.nan_right) == (1, 1)
    assert (tally.infinite_left, tally.infinite_right) == (1, 1)
    assert tally.changed == 6
    assert tally.unlike == 5
    assert tally.max_abs is not None
    assert (tally.max_abs.value, tally.max_abs.place, tally.compared) == (1.0, 6, 1)


def test_the_place_of_a_largest_difference_of_nothing_holds_numbers() -> None:
    left, right = np.array([NAN, 0, 0], "f4"), np.array([1, 0, -0.0], "f4")
    for sides in ((left, right), (right, left)):
        tally = pairs.arrays(*sides)
        for peak in (tally.max_abs, tally.max_rel):
            assert peak is not None
            assert (peak.value, peak.place) == (0.0, 1)


def test_nan_is_nan_with_the_same_bits_or_if_asked() -> None:
    left, right = np.array([0x7FC00000], "<u4"), np.array([0x7FC00001], "<u4")
    same, other = ("float32", "float32"), Tolerance(equal_nan=True)
    assert pairs.arrays(left, left, dtypes=same).changed == 0
    assert pairs.arrays(left, right, dtypes=same).changed == 1
    assert pairs.arrays(left, right, dtypes=same, tolerance=other).changed == 0


def test_zeros_of_both_signs_differ_in_bits_and_by_nothing() -> None:
    left, right = np.array([0.0], "f4"), np.array([-0.0], "f4")
    tally = pairs.arrays(left, right, tolerance=Tolerance())
    assert (tally.changed, tally.outside, tally.unlike) == (1, 0, 0)


@pytest.mark.parametrize(
    ("atol", "rtol", "outside"), [(0.5, 0, 1), (1, 0, 0), (0, 0.1, 2), (0, 0.5, 0), (0.9, 0.1, 0)]
)
def test_tolerances_add_up_and_take_the_larger_number(
    atol: float, rtol: float, outside: int
) -> None:
    left, right = np.array([1, 2, 4], "f4"), np.array([1.5, 3, 4], "f4")
    for sides in ((left, right), (right, left)):
        assert pairs.arrays(*sides, tolerance=Tolerance(atol, rtol)).outside == outside


CASTS = [
    pytest.param("f4", "f2", (False, False, True), id="float32 to float16"),
    pytest.param("f8", "f4", (False, False, True), id="float64 to float32"),
    pytest.param("f2", "f4", (True, True, True), id="float16 to float32"),
    pytest.param("i4", "f8", (True, False, True), id="int32 to float64"),
    pytest.param("i8", "i4", (True, False, False), id="int64 to int32"),
]


@pytest.mark.parametrize(("source", "target", "expected"), CASTS)
def test_a_cast_is_recognised(
    small_blocks: None, source: str, target: str, expected: tuple[bool, ...]
) -> None:
    left = rng().normal(0, 100, 200).astype(source)
    tally = pairs.arrays(left, left.astype(target))
    assert (tally.widened, tally.rounds_left, tally.rounds_right) == expected


def test_large_integers_are_not_taken_for_their_rounding() -> None:
    left = np.array([2**53 + 1], "i8")
    assert not pairs.arrays(left, left.astype("f8")).widened


@pytest.mark.parametrize("name", ["bfloat16", "float8_e4m3fn", "float8_e5m2"])
def test_rounding_to_narrow_floats_is_torchs(name: str) -> None:
    torch = pytest.importorskip("torch")
    if not hasattr(torch, name):
        pytest.skip(f"this torch has no {name}")
    values = rng().normal(0, 50, 500).astype("f4")
    values[:40] *= np.float32(1e-3)
    kept = torch.from_numpy(values).to(getattr(torch, name))
    narrow = kept.view(torch.int16 if name == "bfloat16" else torch.uint8).numpy()
    tally = pairs.arrays(values, narrow, dtypes=("float32", name))
    assert tally.rounds_right
    assert not tally.widened


@pytest.mark.parametrize("furthest", [2000.0, INF])
@pytest.mark.parametrize(
    ("beyond", "cast"),
    [
        pytest.param((0x7E, 0x7E), True, id="the largest number"),
        pytest.param((0x7F, 0x7F), True, id="NaN"),
        pytest.param((0x7E, 0x7F), False, id="now this, now that"),
        pytest.param((0x7D, 0x7D), False, id="a smaller number"),
    ],
)
def test_beyond_the_largest_float8_is_what_either_torch_makes_of_it(
    beyond: tuple[int, int], cast: bool, furthest: float
) -> None:
    wide = np.array([1, 460, -1000, furthest], "f4")
    narrow = np.array([0x38, 0x7E, beyond[0] | 0x80, beyond[1]], "u1")
    tally = pairs.arrays(wide, narrow, dtypes=("float32", "float8_e4m3fn"))
    assert tally.rounds_right == cast


def test_types_below_a_byte_are_compared_as_bytes() -> None:
    tally = pairs.arrays(
        np.array([1, 2, 3], "u1"), np.array([1, 2, 4], "u1"), dtypes=("float4_e2m1",) * 2
    )
    assert (tally.changed, tally.elements, tally.max_abs) == (1, 3, None)


def test_a_transposed_tensor_is_compared_by_elements() -> None:
    values = np.arange(6, dtype="<f4").reshape(2, 3)
    straight = in_memory(values.tobytes(), "float32", (2, 3))
    turned = in_memory(values.T.copy().tobytes(), "float32", (2, 3), (1, 2))
    (tally,) = Pass().run([Pair(straight, turned)])
    assert tally.identical


def test_a_transposed_tensor_may_be_larger_than_a_block() -> None:
    """It is gathered in pieces of more than one block."""
    side = math.isqrt(pieces.BLOCK_BYTES // 4) + 8
    values = rng(1).normal(size=(side, side)).astype("<f4")
    straight = in_memory(values.tobytes(), "float32", (side, side))
    turned = in_memory(values.T.tobytes(), "float32", (side, side), (1, side))
    (tally,) = Pass(workers=1).run([Pair(straight, turned)])
    assert (tally.identical, tally.elements) == (True, side * side)


def test_pairs_of_the_same_bytes_are_read_once() -> None:
    one, other = (in_memory(bytes(16), "float32", (4,)) for _ in range(2))
    read: list[int] = []
    tallies = Pass(progress=read.append).run([Pair(one, other), Pair(one, other)])
    assert len(tallies) == 2
    assert sum(read) == 32


def test_the_side_that_fails_is_named() -> None:
    whole, cut = in_memory(b"four", "uint8", (4,)), cut_while_read()
    for sides, place in (((whole, cut), 1), ((cut, whole), 0)):
        with pytest.raises(SideError) as caught:
            Pass().run([Pair(*sides)])
        assert caught.value.side == place


@pytest.mark.parametrize("name", EXECUTORS)
def test_an_executor_of_the_caller_changes_nothing(small_blocks: None, name: str) -> None:
    left, right = (rng(seed).normal(size=3000).astype("f4") for seed in (1, 2))
    right[1000:2000] = left[1000:2000]
    pair = Pair(from_array(left), from_array(right))
    with executor(name) as given:
        (found,) = Pass(executor=given).run([pair])
    assert vars(found) == vars(pairs.arrays(left, right))


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("place", range(3))
def test_the_side_that_fails_is_named_by_any_thread(
    small_blocks: None, place: int, workers: int
) -> None:
    whole, cut = in_memory(bytes(1024), "uint8", (1024,)), cut_while_read()
    cut = cut._replace(shape=(1024,), extents=(cut.extents[0]._replace(length=1024),))
    sides = [Pair(whole, whole._replace(name=str(number))) for number in range(3)]
    sides[place] = Pair(whole, cut)
    with pytest.raises(SideError) as caught:
        Pass(workers=workers)._run(sides)
    assert (caught.value.side, caught.value.error.tensor) == (1, "weight")


# --- symmetry ----------------------------------------------------------------------------

SWAPPED = {
    "nan_left": "nan_right",
    "infinite_left": "infinite_right",
    "norm_left": "norm_right",
    "rounds_left": "rounds_right",
}
SWAPPED.update({right: left for left, right in list(SWAPPED.items())})

NUMBERS = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, NAN, INF, -INF, 1e-45, 3e38, -3e38]), st.floats(width=32)
)


def turned(tally: Tally) -> dict[str, Any]:
    """What the tally of the sides exchanged has to be."""
    found = {SWAPPED.get(name, name): value for name, value in vars(tally).items()}
    for name in ("max_abs", "max_rel"):
        peak = found[name]
        if peak is not None:
            found[name] = peak._replace(left=peak.right, right=peak.left)
    return found


@settings(max_examples=150, deadline=None)
@given(
    pairs=st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=12),
    dtypes=st.tuples(*[st.sampled_from(["f4", "f8", "f2"])] * 2),
    tolerance=st.sampled_from([None, Tolerance(), Tolerance(0.1, 0.1, True)]),
)
def test_exchanging_the_sides_exchanges_the_result(
    pairs: list[tuple[float, float]], dtypes: tuple[str, str], tolerance: Tolerance | None
) -> None:
    from tests.builders.pairs import arrays

    with np.errstate(all="ignore"):
        left, right = (np.array(side).astype(d) for side, d in zip(zip(*pairs), dtypes))
    there, back = (arrays(*sides, tolerance=tolerance) for sides in ((left, right), (right, left)))
    assert turned(there) == vars(back)
