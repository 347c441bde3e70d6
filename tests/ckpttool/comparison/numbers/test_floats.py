"""The quick way of comparing floats gives what the careful one gives, and tolerances are exact."""

from __future__ import annotations

from itertools import product
from math import inf as INF  # noqa: N812 (as NaN is spelled)
from math import nan as NAN  # noqa: N812
from typing import TYPE_CHECKING, Any, Callable, Dict

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ckpttool.comparison.numbers import compare as reading
from ckpttool.comparison.numbers import floats, outside, search, stretches
from ckpttool.comparison.numbers.tolerance import Tolerance
from tests.builders import pairs

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Torch's name to how many bytes an element has.
TYPES = {"float32": 4, "bfloat16": 2, "float16": 2, "float8_e4m3fn": 1, "float8_e5m2": 1}
TYPES.update({"float8_e4m3fnuz": 1, "float8_e5m2fnuz": 1})
ROUGH = ("norm_left", "norm_right", "norm_difference", "dot")


def both_ways(
    monkeypatch: pytest.MonkeyPatch, sides: Any, dtypes: tuple[str, str], **options: Any
) -> list[dict[str, Any]]:
    """What the tallies hold: the quick one's first."""
    quick = vars(pairs.arrays(*sides, dtypes=dtypes, **options))
    with monkeypatch.context() as patch:
        patch.setattr(floats, "_fits_float32", lambda _: False)
        return [quick, vars(pairs.arrays(*sides, dtypes=dtypes, **options))]


def assert_alike(quick: dict[str, Any], careful: dict[str, Any]) -> None:
    for name in ROUGH:
        scale = max(careful["norm_left"], careful["norm_right"], 1e-30)
        allowed = 3e-6 * (scale * scale if name == "dot" else scale)
        assert quick[name] == pytest.approx(careful[name], rel=3e-6, abs=allowed), name
    for name in set(careful) - set(ROUGH):
        assert quick[name] == careful[name], name


def some_bits(dtype: str, seed: int, count: int = 400) -> NDArray[Any]:
    """Numbers of a type as their bits: all magnitudes from 2 ** -4 to 2 ** 2, both signs."""
    values = np.random.default_rng(seed).normal(size=count).astype("f4")
    if dtype == "float16":
        return values.astype("f2").view("u1")
    width = TYPES[dtype]
    if width > 1:
        return values.view("u1").reshape(-1, 4)[:, 4 - width :].ravel()
    magnitudes = np.random.default_rng(seed).integers(0x20, 0x48, count).astype("u1")
    return np.where(values < 0, magnitudes | np.uint8(0x80), magnitudes)


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether the quick way took each block."""
    found: list[bool] = []
    add = floats.FloatBlocks.add

    def noted(self: floats.FloatBlocks, *args: Any) -> bool:
        found.append(add(self, *args))
        return found[-1]

    monkeypatch.setattr(floats.FloatBlocks, "add", noted)
    return found


TOLERANCES = [None, Tolerance(), Tolerance(0.25), Tolerance(0, 0.5), Tolerance(0.125, 0.25, True)]


@pytest.mark.parametrize("dtypes", list(product(TYPES, TYPES)), ids="-".join)
def test_the_quick_way_is_the_careful_one(
    monkeypatch: pytest.MonkeyPatch, taken: list[bool], dtypes: tuple[str, str]
) -> None:
    sides = [some_bits(dtype, seed) for seed, dtype in enumerate(dtypes)]
    for tolerance in TOLERANCES:
        del taken[:]
        assert_alike(*both_ways(monkeypatch, sides, dtypes, tolerance=tolerance))
        assert taken == [True, False]


def test_small_tensors_go_the_careful_way_at_once(
    monkeypatch: pytest.MonkeyPatch, taken: list[bool]
) -> None:
    monkeypatch.setattr(stretches, "SMALL", 400)
    for count, ways in ((399, []), (400, [True])):
        sides = [some_bits("float32", seed, count) for seed in (1, 2)]
        assert pairs.arrays(*sides, dtypes=("float32", "float32")).elements == count
        assert taken == ways


@pytest.mark.parametrize("dtype", sorted(TYPES))
def test_blocks_are_cut_alike_whatever_the_width(
    monkeypatch: pytest.MonkeyPatch, dtype: str
) -> None:
    whole = both_ways(monkeypatch, [some_bits(dtype, seed) for seed in (1, 2)], (dtype, dtype))[0]
    monkeypatch.setattr(floats, "BLOCK", 16)
    monkeypatch.setattr(floats, "_WIDENED_BLOCK", 16)
    monkeypatch.setattr(reading, "BLOCK_BYTES", 64)
    sides = [some_bits(dtype, seed) for seed in (1, 2)]
    assert_alike(vars(pairs.arrays(*sides, dtypes=(dtype, dtype))), whole)


@pytest.mark.parametrize("narrow", ["bfloat16", "float16"])
@pytest.mark.parametrize("spoilt", [False, True], ids=["all", "all but one"])
def test_a_rounded_copy_is_recognised_the_quick_way(
    taken: list[bool], narrow: str, spoilt: bool
) -> None:
    torch = pytest.importorskip("torch")
    values = np.random.default_rng(0).normal(size=3000).astype("f4")
    # halfway between two neighbours of either type: the even one is right
    values[:4] = [1 + 2.0**-8, 1 + 3 * 2.0**-8, 1 + 2.0**-11, 1 + 3 * 2.0**-11]
    kept = torch.from_numpy(values).to(getattr(torch, narrow)).view(torch.int16).numpy()
    kept[-1] ^= spoilt
    for sides, dtypes in (
        ((values, kept), ("float32", narrow)),
        ((kept, values), (narrow, "float32")),
    ):
        tally = pairs.arrays(*sides, dtypes=(dtypes[0], dtypes[1]))
        rounds = {dtypes[0]: tally.rounds_left, dtypes[1]: tally.rounds_right}
        assert rounds == {"float32": False, narrow: not spoilt}
        assert not tally.widened
    assert taken == [True, True]


@pytest.mark.parametrize("narrow", ["bfloat16", "float16"])
def test_a_widened_copy_is_recognised_the_quick_way(taken: list[bool], narrow: str) -> None:
    torch = pytest.importorskip("torch")
    kept = torch.randn(500).to(getattr(torch, narrow))
    sides = kept.view(torch.int16).numpy(), kept.float().numpy()
    assert pairs.arrays(*sides, dtypes=(narrow, "float32")).widened
    spoilt = sides[1].copy()
    spoilt[300] *= 1.5
    assert not pairs.arrays(sides[0], spoilt, dtypes=(narrow, "float32")).widened
    assert taken == [True, True]


def _spoilt(values: NDArray[Any], *odd: float) -> NDArray[Any]:
    found = values + np.float32(0.25)
    found[7 :: 400 // len(odd)] = odd
    return found


KINDS: Dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "moved alike": lambda v: v + np.float32(1e-4) * np.sign(v),
    "a step up or down": lambda v: v + np.float32(1e-4) * np.where(v.view("u4") % 2, 1, -1),
    "neighbours": lambda v: np.nextafter(v, np.float32(9)),
    "decayed": lambda v: v * np.float32(0.999),
    "one changed": lambda v: np.where(np.arange(len(v)) == 99, v + 1, v),
    "noise": lambda v: v + np.float32(0.1) * v[::-1],
    "turned": lambda v: -v,
    "turned or not": lambda v: np.where(v.view("u4") % 2, v, -v),
    "turned and halved": lambda v: v / -2,
    "zeros turned": lambda v: np.where(v == 0, -v, v + np.abs(v) / 8),
    "zeros turned and nothing else": lambda v: np.where(np.arange(len(v)) < 200, 0 * v, v),
    "zero of the other sign": lambda v: v * np.float32(-0.0),
    "constant": lambda v: np.full_like(v, 0.1),
    "zero": lambda v: v * 0,
    "twice": lambda v: 2 * v,
    "three times": lambda v: 3 * v,
    "next to nothing": lambda v: v * np.float32(1e-30),
    "subnormal": lambda v: v * np.float32(1e-40),
    "far beyond": lambda v: v * np.float32(1e37),
    "one NaN": lambda v: _spoilt(v, NAN),
    "infinities": lambda v: _spoilt(v, INF, -INF),
    "NaN alone": lambda v: v * NAN,
    "a NaN where nothing else differs": lambda v: np.where(np.arange(len(v)) == 3, NAN, v),
}
BASES: Dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "as they are": lambda v: v,
    "subnormal": lambda v: v * np.float32(1e-39),
    "tiny": lambda v: v * np.float32(1e-30),
    "huge": lambda v: v * np.float32(3e36),
    "constant": lambda v: np.full_like(v, 0.5),
    "with zeros": lambda v: np.where(v > 0, v, 0),
    "with NaN and infinities": lambda v: np.where(v > 1, INF, np.where(v < -1, NAN, v)),
}


@pytest.mark.parametrize("back", [False, True], ids=["there", "back"])
@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_change_goes_the_quick_way_and_gives_what_the_careful_one_gives(
    monkeypatch: pytest.MonkeyPatch, taken: list[bool], kind: str, base: str, back: bool
) -> None:
    monkeypatch.setattr(search, "RUN", 64)
    monkeypatch.setattr(floats, "BLOCK", 128)
    monkeypatch.setattr(reading, "BLOCK_BYTES", 512)
    with np.errstate(all="ignore"):
        one = BASES[base](some_bits("float32", 3).view("f4")).astype("f4")
        other = KINDS[kind](one).astype("f4")
        beyond = ~np.isfinite(one - other) & np.isfinite(one) & np.isfinite(other)
    sides = (other, one) if back else (one, other)
    quick, careful = both_ways(monkeypatch, sides, ("float32", "float32"))
    assert_alike(quick, careful)
    # differences beyond float32 are the one thing that is left to the careful way
    assert all(taken[: len(taken) // 2]) or beyond.any()


@pytest.mark.parametrize("narrow", ["bfloat16", "float16"])
@pytest.mark.parametrize("share", [0.0025, 0.3, 1.0], ids=["one", "some", "all"])
def test_what_is_not_finite_in_narrow_floats_is_set_aside(
    monkeypatch: pytest.MonkeyPatch, taken: list[bool], narrow: str, share: float
) -> None:
    one, other = (some_bits(narrow, seed).view("u2").copy() for seed in (1, 2))
    odd = np.random.default_rng(3).permutation(len(one))[: max(1, int(share * len(one)))]
    infinity = 0x7F80 if narrow == "bfloat16" else 0x7C00
    one[odd] = np.where(odd % 2, infinity, infinity + 1)
    assert_alike(*both_ways(monkeypatch, (one, other), (narrow, narrow)))
    assert taken == [True, False]


# --- tolerances ---------------------------------------------------------------------------

SINGLE = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.5, 1e-45, -1e-45, 1e-40, 1e-30, 3e4, 1e9]),
    st.floats(-4, 4, width=32),
)
QUICK = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def close_to(value: float) -> st.SearchStrategy[float]:
    near = [value, np.nextafter(value, 0), np.nextafter(value, np.inf), value * (1 + 2.0**-25)]
    return st.sampled_from([float(one) for one in near])


@QUICK
@given(
    data=st.data(),
    some=st.lists(st.tuples(SINGLE, SINGLE), min_size=1, max_size=20),
    relative=st.booleans(),
)
def test_what_is_outside_is_so_by_float64(
    data: st.DataObject, some: list[tuple[float, float]], relative: bool
) -> None:
    """Tolerances are drawn from the differences themselves: the worst that there are."""
    sides = [np.array(side, "f4") for side in zip(*some)]
    wide = [side.astype("f8") for side in sides]
    apart, large = np.abs(wide[0] - wide[1]), np.maximum(*map(np.abs, wide))
    place = data.draw(st.integers(0, len(some) - 1))
    absolute = data.draw(close_to(float(apart[place])) if not relative else st.just(0.0))
    parts = apart[place] / large[place] if large[place] and relative else 0.0
    tolerance = Tolerance(absolute, data.draw(close_to(float(parts))))
    difference = np.abs(sides[0] - sides[1])
    counter = outside.ToleranceCounter(np.empty((2, 32), np.float32), np.empty(32, np.bool_))
    expected = int((apart > tolerance.absolute + tolerance.relative * large).sum())
    assert counter.count((sides[0], sides[1]), difference, tolerance) == expected


@pytest.mark.parametrize(
    ("tolerance", "computed"),
    [
        pytest.param(Tolerance(10.0), 0, id="all inside"),
        pytest.param(Tolerance(1e-3), 0, id="all outside"),
        pytest.param(Tolerance(0.0, 2.0), 0, id="all inside, in parts"),
        pytest.param(Tolerance(0.5), 1, id="one that float32 cannot tell"),
    ],
)
def test_only_what_float32_cannot_tell_is_computed_again(
    monkeypatch: pytest.MonkeyPatch, tolerance: Tolerance, computed: int
) -> None:
    seen: list[int] = []
    exactly = outside._exactly

    def noted(
        sides: tuple[NDArray[Any], NDArray[Any]], places: NDArray[Any], rule: Tolerance
    ) -> int:
        seen.append(len(places))
        return exactly(sides, places, rule)

    monkeypatch.setattr(outside, "_exactly", noted)
    left = np.array([1, 1, 1, 1], "f4")
    right = np.array([1.25, 1.5, 1.75, 2], "f4")
    pairs.arrays(left, right, tolerance=tolerance)
    assert sum(seen) == computed
