"""Every number of a comparison against the plain way, in any element type, from any bits."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Callable, Dict

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ckpttool.comparison.numbers import compare as reading
from ckpttool.comparison.numbers import floats, search
from ckpttool.comparison.numbers import stretches as pieces
from tests.builders import pairs

if TYPE_CHECKING:
    from numpy.typing import NDArray

QUICK = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
TYPES = sorted(pairs.PLAIN)


@pytest.fixture(params=[4, 32], ids=["several runs a block", "one run a block"])
def small_blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several blocks and parts even for tiny tensors."""
    monkeypatch.setattr(search, "RUN", request.param)
    monkeypatch.setattr(floats, "BLOCK", 16)
    monkeypatch.setattr(floats, "_WIDENED_BLOCK", 16)
    monkeypatch.setattr(reading, "BLOCK_BYTES", 64)
    monkeypatch.setattr(pieces, "_TASK", 128)


def check(left: NDArray[Any], right: NDArray[Any], dtype: str) -> None:
    """Compare, and hold every number against the plain way."""
    tally = pairs.arrays(left, right, dtypes=(dtype, dtype))
    plain = pairs.reference(left, right, dtype)
    exactly = ("changed", "unlike", "max_ulp", "nan_left", "nan_right")
    for name in (*exactly, "infinite_left", "infinite_right"):
        if plain["changed"] or name == "changed":
            assert getattr(tally, name) == plain[name], name
    if not plain["changed"]:
        assert tally.identical
        return
    for name in ("max_abs", "max_rel"):
        peak = getattr(tally, name)
        found = None if peak is None else (peak.value, peak.place)
        rounded = dtype.startswith("complex") or ("int" in dtype and name == "max_rel")
        if found and rounded:  # moduli, and quotients of integers beyond float64
            assert found[0] == pytest.approx(plain[name][0]), name
        else:
            assert found == plain[name], name
    for name in ("norm_left", "norm_right", "norm_difference"):
        assert getattr(tally, name) == pytest.approx(plain[name], rel=2e-6), name
    if tally.cosine is not None:
        assert tally.cosine == pytest.approx(plain["cosine"], abs=2e-6)


@QUICK
@given(data=st.data(), dtype=st.sampled_from(TYPES))
def test_any_bits_of_any_type(small_blocks: None, data: st.DataObject, dtype: str) -> None:
    width = pairs.PLAIN[dtype].width
    size = data.draw(st.integers(1, 12)) * width
    left = data.draw(st.binary(min_size=size, max_size=size))
    other = data.draw(st.binary(min_size=size, max_size=size))
    kept = data.draw(st.integers(0, size // width)) * width
    right = left[:kept] + other[kept:]
    check(np.frombuffer(left, "u1"), np.frombuffer(right, "u1"), dtype)


ORDINARY = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.0, 1e-45, 1e-39, 3e4]),
    st.floats(-100, 100, width=32),
    st.floats(-(2.0**-10), 2.0**-10, width=32),
)
#: What becomes of a number on the other side.
TURNS: Dict[str, Callable[[Any], Any]] = {
    "kept": lambda value: value,
    "one step": lambda value: np.nextafter(value, np.float32(np.inf)),
    "turned": lambda value: -value,
    "turned, and one step": lambda value: -np.nextafter(value, np.float32(9)),
    "turned, and a little": lambda value: -value * np.float32(1.001),
    "zero": lambda _: np.float32(0),
    "twice": lambda value: 2 * value,
    "moved": lambda value: value + np.float32(0.01),
    "another": lambda _: np.float32(1.5),
}


@settings(QUICK, max_examples=400)
@given(
    values=st.lists(st.tuples(ORDINARY, st.sampled_from(sorted(TURNS))), min_size=1, max_size=40)
)
def test_ordinary_float32(small_blocks: None, values: list[tuple[float, str]]) -> None:
    left = np.array([value for value, _ in values], "f4")
    right = np.array([TURNS[turn](one) for one, (_, turn) in zip(left, values)], "f4")
    check(left, right, "float32")


FURTHEST = [
    pytest.param([2, 10, 1e-3, 1e-35], [2, 5, 1e-33, -1e-35], id="of one sign, others turned"),
    pytest.param([2, 100, 50], [2, 30, -1e-44], id="turned, and next to nothing"),
    pytest.param([2, 100, 50], [2, -1e-30, -50], id="turned, where another difference is larger"),
    pytest.param([1, 0, 101, 2e-30], [0.9, -100, 0.5, -1e-30], id="zero, and next to the largest"),
    pytest.param(
        [70, 49, 1e-3], [-30, -48.9, -1e-3], id="closer together, on either side of zero alike"
    ),
    pytest.param([1, 10, 1.1], [-1, 5, -1.1], id="a little further, and apart, than what is known"),
]


@pytest.mark.parametrize(("left", "right"), FURTHEST)
def test_what_is_furthest_need_not_differ_most(
    small_blocks: None, left: list[float], right: list[float]
) -> None:
    check(np.array(left, "f4"), np.array(right, "f4"), "float32")


@pytest.mark.parametrize("turned", [False, True], ids=["right", "left"])
def test_either_side_may_have_what_is_furthest(small_blocks: None, turned: bool) -> None:
    """A number so far beyond the other side's that the step to it looks like one of one sign."""
    left, right = np.full(64, 1e-10, "f4"), np.full(64, 1.1e-10, "f4")
    left[-2:], right[-2:] = (1e-10, 1e-30), (3, -1)
    sides = (right, left) if turned else (left, right)
    check(sides[0], sides[1], "float32")


ROUNDED = [
    # 0.7490000042 and 0.7490000049, for which float32 has 0.749 and 0.74899995
    pytest.param([100, 1.6355284, 1.6089756], [90, 0.41051763, 0.40385288], id="relative"),
    # 1.00022629 and 1.00022632, for which float32 has 1.0002263 twice, less than the first one
    pytest.param([1.3342164, 1.3338156, 0.1], [0.33399007, 0.33358926, 1e-3], id="absolute"),
]


@pytest.mark.parametrize(("left", "right"), ROUNDED)
def test_the_largest_is_found_where_float32_says_that_another_is(
    small_blocks: None, left: list[float], right: list[float]
) -> None:
    check(np.array(left, "f4"), np.array(right, "f4"), "float32")


TIED = [
    pytest.param([0.5, 4, 4], [1, 4.5, 4.5], 0, id="exact, in every binade"),
    pytest.param([3e-9, 1e-9, 2e-9, 4], [1, 1, 1, 5], 3, id="rounded to it from below"),
    pytest.param([4, -3e-9, -9e-9], [5, 1, 1], 2, id="rounded to it from above, the later"),
    pytest.param([1, 9, 9, -1], [2, 8, 8, -2], 0, id="exact, and smaller than what is tied"),
]


@pytest.mark.parametrize(("left", "right", "place"), TIED)
def test_of_differences_that_float32_cannot_tell_apart_the_largest_counts(
    small_blocks: None, left: list[float], right: list[float], place: int
) -> None:
    sides = [np.array(side * 5, "f4") for side in (left, right)]
    check(sides[0], sides[1], "float32")
    peak = pairs.arrays(sides[0], sides[1]).max_abs
    assert peak is not None
    assert peak.place == place


LATER = [
    pytest.param((1, 0.4), (0.1, 0.02), id="in parts of one sign"),
    pytest.param((3e-9, 1), (1e-9, 1), id="of what float32 cannot tell apart"),
    pytest.param((1, 2), (1, 2), id="none, of what is as large"),
]


@pytest.mark.parametrize(("first", "later"), LATER)
def test_a_later_block_may_have_what_is_larger(
    small_blocks: None, first: tuple[float, float], later: tuple[float, float]
) -> None:
    both = np.array([first] * floats.BLOCK + [later] * floats.BLOCK, "f4").T.copy()
    check(both[0], both[1], "float32")
    both[:, 3] = (1e-30, -1e-30)  # in parts, nothing is larger than that
    check(both[0], both[1], "float32")


@pytest.mark.parametrize("noise", [1e-8, 1e-6, 1e-3, 0.1, 3.0])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 40.0])
@pytest.mark.parametrize("sided", [True, False], ids=["one sign", "both signs"])
def test_many_float32(noise: float, scale: float, sided: bool) -> None:
    rng = np.random.default_rng(5)
    left = rng.normal(size=20_000).astype("f4") * np.float32(scale)
    left[::97] = 0
    right = left + rng.normal(size=20_000).astype("f4") * np.float32(scale * noise)
    if sided:
        left, right = np.abs(left), np.abs(right)
    check(left, right, "float32")


@pytest.mark.parametrize("tiny", [0, 1], ids=["left", "right"])
def test_a_side_that_is_tiny_keeps_its_direction(tiny: int) -> None:
    rng = np.random.default_rng(6)
    sides = [rng.normal(size=3000).astype("f4"), rng.normal(size=3000).astype("f4")]
    sides[tiny] = sides[1 - tiny] * np.float32(1e-25)
    tally = pairs.arrays(*sides)
    assert tally.cosine == pytest.approx(1.0)
    assert min(tally.norm_left, tally.norm_right) == pytest.approx(math.sqrt(3000) * 1e-25, rel=0.1)


def test_equal_complex_numbers_that_are_half_infinite_have_no_norm(small_blocks: None) -> None:
    left = np.array([complex(math.inf, 5), complex(3, 4)] * 8 + [1], "c8")
    right = left.copy()
    right[-1] = 2
    for dtype in ("complex64", "complex128"):
        check(left.astype(dtype), right.astype(dtype), dtype)
