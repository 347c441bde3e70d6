"""Mean, deviation, zeros and samples are what numpy says of all elements in float64."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ckpttool.tensors import measures
from ckpttool.tensors.dtypes import DTYPES
from ckpttool.tensors.measures import (
    Measured,
    Measures,
    limit_for,
    measured_each,
    stride_for,
)
from ckpttool.tensors.numpy_arrays import numbers
from ckpttool.tensors.values import start_values
from tests.builders import tensors as built

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAN, INF = float("nan"), float("inf")
TYPES = [name for name, dtype in DTYPES.items() if dtype.has_numbers]
REAL = [name for name in TYPES if DTYPES[name].kind != "complex"]


def measure(dtype: str, raw: bytes, cuts: list[int], stride: int = 1) -> Measured:
    """What is measured of elements that are cut into pieces, each measured by itself."""
    kind = DTYPES[dtype]
    total = Measures(kind, stride)
    edges = [0, *sorted(cut * kind.itemsize for cut in cuts), len(raw)]
    with np.errstate(all="ignore"):
        for start, stop in zip(edges, edges[1:]):
            piece = Measures(kind, stride)
            piece.add_at(start // kind.itemsize, memoryview(raw[start:stop]))
            total.merge(piece)
    return total.measured


def expected(dtype: str, raw: bytes) -> tuple[NDArray[Any], int, int]:
    """The finite elements in float64, and how many are NaN and infinite."""
    with np.errstate(all="ignore"):
        values = numbers(DTYPES[dtype], memoryview(raw))
        assert values is not None
        wide = values.astype(np.longdouble)
    return wide[np.isfinite(wide)], int(np.isnan(wide).sum()), int(np.isinf(wide).sum())


def check(found: Measured, dtype: str, raw: bytes) -> None:
    finite, nan, infinite = expected(dtype, raw)
    assert (found.nan, found.infinite) == (nan, infinite)
    assert found.zeros == int((finite == 0).sum())
    if not finite.size:
        assert (found.mean, found.std, found.minimum) == (None, None, None)
        return
    scale = float(np.sqrt((finite * finite).mean()))
    if scale >= 1e300:  # a sum of these is beyond float64, and no number is better than a wrong one
        return
    assert found.mean is not None
    assert found.std is not None
    assert found.mean == pytest.approx(float(finite.mean()), abs=2e-7 * scale, rel=1e-12)
    std = float(np.sqrt(((finite - finite.mean()) ** 2).mean()))
    assert found.std == pytest.approx(std, rel=1e-5, abs=1e-14 * scale)
    assert found.minimum is not None
    assert found.maximum is not None
    assert float(found.minimum) == float(finite.min())
    assert float(found.maximum) == float(finite.max())


@settings(deadline=None)
@given(st.data())
def test_any_bits_of_any_type_are_measured_as_numpy_does(data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from(REAL))
    number = data.draw(st.integers(0, 40))
    size = number * DTYPES[dtype].itemsize
    raw = data.draw(st.binary(min_size=size, max_size=size))
    if dtype == "bool":
        raw = bytes(byte & 1 for byte in raw)
    cuts = data.draw(st.lists(st.integers(0, number), max_size=3))
    check(measure(dtype, raw, cuts), dtype, raw)


@pytest.mark.parametrize("dtype", REAL)
@pytest.mark.parametrize(
    ("center", "spread"), [(0.0, 1.0), (1.0, 1e-3), (30.0, 20.0)], ids=["around 0", "off", "wide"]
)
def test_many_numbers_are_measured_as_numpy_does(dtype: str, center: float, spread: float) -> None:
    random = np.random.default_rng(0)
    if DTYPES[dtype].kind == "float" and DTYPES[dtype].numpy:
        raw = random.normal(center, spread, 70_001).astype(DTYPES[dtype].numpy).tobytes()
    else:
        raw = random.integers(0, 256, 70_001 * DTYPES[dtype].itemsize, np.uint8).tobytes()
    if dtype == "bool":
        raw = bytes(byte & 1 for byte in raw)
    for cuts in ([], [1, 2, 40_000]):
        check(measure(dtype, raw, cuts), dtype, raw)


@pytest.mark.parametrize(
    "content",
    [
        [1e30, -1e30, 3e38],
        [1e-42, 2e-44, 0.0, -1e-45],
        [NAN, INF, -INF, 0.0, -0.0, 5.0],
        [1.0, 1.0, 1.0],
        [16_777_216.0, 16_777_217.0, 16_777_218.0] * 1000,
        [1000.0, 1000.001] * 600,
    ],
    ids=["squares overflow", "subnormal", "odd", "constant", "far from zero", "digits cancel"],
)
def test_numbers_that_float32_cannot_square_are_measured(content: list[float]) -> None:
    raw = np.array(content, np.float32).tobytes()
    check(measure("float32", raw, []), "float32", raw)


@pytest.mark.parametrize(
    "content", [[1e300, 3e300, -2e300], [1e-310, 3e-310, -2e-310]], ids=["huge", "subnormal"]
)
def test_numbers_that_float64_cannot_square_are_measured(content: list[float]) -> None:
    found = measure("float64", np.array(content).tobytes(), [1])
    assert found.mean == pytest.approx(sum(content) / 3)
    scale = max(content)
    assert found.std == pytest.approx(float(np.std(np.array(content) / scale)) * scale)


def test_a_constant_deviates_by_nothing() -> None:
    raw = np.full(3000, 0.1, np.float32).tobytes()
    assert measure("float32", raw, [17]).std == 0.0


def test_what_is_beyond_float64_is_said_to_be_no_number() -> None:
    found = measure("float64", np.array([1.7e308, -1.7e308] * 9).tobytes(), [])
    assert (found.mean, found.std) == (0.0, None)


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_parts_of_complex_numbers_are_only_counted(dtype: str) -> None:
    raw = np.array([0, 1 + 0j, complex(NAN, INF)], DTYPES[dtype].numpy).tobytes()
    found = measure(dtype, raw, [])
    assert (found.minimum, found.mean, found.std, found.rms) == (None, None, None, None)
    assert (found.zeros, found.nan, found.infinite, found.sample.size) == (3, 1, 1, 0)


# --- samples -------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.integers(1, 200), st.integers(1, 20), st.lists(st.integers(0, 200), max_size=4))
def test_a_sample_does_not_depend_on_where_the_tensor_is_cut(
    number: int, stride: int, cuts: list[int]
) -> None:
    array = np.arange(number, dtype=np.float32)
    found = measure("float32", array.tobytes(), [min(cut, number) for cut in cuts], stride)
    assert found.sample.tolist() == array[::stride].tolist()


@pytest.mark.parametrize(
    "shape", [(3072, 1024), (768, 768), (1024, 3, 16, 16), (4097,), (1,), (0,)]
)
def test_a_sample_has_of_all_columns(shape: tuple[int, ...]) -> None:
    elements = int(np.prod(shape))
    stride = stride_for(elements, 4096)
    chosen = np.arange(0, elements, stride)
    assert len(chosen) <= 4096
    assert len(set((chosen % shape[-1]).tolist())) == min(shape[-1], len(chosen)) if elements else 1


def test_samples_of_very_many_tensors_stay_small() -> None:
    assert limit_for(294) == 4096
    assert limit_for(100_000) * 100_000 <= 1 << 22
    assert limit_for(10_000_000) == 1


# --- in the pass ---------------------------------------------------------------------------


def arrays() -> dict[str, NDArray[Any]]:
    random = np.random.default_rng(1)
    small = [random.normal(size=size).astype(np.float32) for size in (3, 3, 700, 700, 1023, 1)]
    return {
        "big": random.normal(size=(300, 1000)).astype(np.float32),
        "half": random.normal(1, 0.1, 5000).astype(np.float16),
        "ids": np.arange(-3, 9000),
        "odd": np.array([NAN, 0, INF, -2.5], np.float32),
        "huge": np.array([1e30, -1e30], np.float32),
        "empty": np.empty(0, np.float32),
        "mask": np.array([True, False, True]),
        **{f"small.{at}": one for at, one in enumerate(small)},
    }


def measured(workers: int = 1) -> dict[str, Measured]:
    infos = built.catalogue([built.from_array(one, name) for name, one in arrays().items()])
    with start_values(infos, (), workers=workers, measure=True) as run:
        values = run.result()
    assert values.measured
    return {name: one.measured for name, one in values.tensors.items() if one.measured}


def test_the_pass_measures_every_tensor() -> None:
    found = measured()
    for name, array in arrays().items():
        check(found[name], array.dtype.name, array.tobytes())


def test_the_pass_measures_the_same_with_any_number_of_workers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ckpttool.tensors.examining.CHUNK", 1 << 14)
    one, many = measured(1), measured(3)
    assert {name: repr(each) for name, each in one.items()} == {
        name: repr(each) for name, each in many.items()
    }


def test_nothing_is_measured_that_was_not_asked_for() -> None:
    infos = built.catalogue([built.from_array(np.ones(3), "it")])
    with start_values(infos, ()) as run:
        assert run.result().tensors["it"].measured is None
        assert not run.result().measured


@pytest.mark.parametrize("dtype", TYPES)
def test_small_tensors_are_measured_together_as_alone(dtype: str) -> None:
    random = np.random.default_rng(2)
    raw = random.integers(0, 256, 6 * 9 * DTYPES[dtype].itemsize, np.uint8).tobytes()
    if dtype == "bool":
        raw = bytes(byte & 1 for byte in raw)
    length = len(raw) // 6
    with np.errstate(all="ignore"):
        _, found = measured_each(DTYPES[dtype], memoryview(raw), 6, measures.limit_for(6))
    for at, one in enumerate(found):
        alone = measure(dtype, raw[at * length : (at + 1) * length], [])
        assert one._replace(mean=None, std=None, sample=alone.sample) == alone._replace(
            mean=None, std=None
        )
        assert one.sample.tolist() == alone.sample.tolist()
        assert one.mean == (None if alone.mean is None else pytest.approx(alone.mean, rel=1e-9))
        assert one.std == (None if alone.std is None else pytest.approx(alone.std, rel=1e-9))
