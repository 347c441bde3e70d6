"""The statistics of a file say what was measured, and why where nothing was."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ckpttool.findings.statistics import Statistics, TensorStatistics
from ckpttool.models import families
from ckpttool.models.places import place_of
from ckpttool.statistics import gather
from ckpttool.statistics.gather import Seen, statistics_of, statistics_of_sides
from ckpttool.tensors.values import start_values
from tests.builders import tensors as built

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ckpttool.tensors.catalogue import TensorInfo

NAN, INF = float("nan"), float("inf")
FAMILY = families.FAMILIES[0]


def seen(*infos: TensorInfo) -> list[Seen]:
    tensors = built.catalogue(list(infos))
    with start_values(tensors, (), measure=True) as run:
        values = run.result()
    return [
        Seen(name, info, place_of(name, FAMILY), values.tensors[name].measured)
        for name, info in tensors.items()
    ]


def of(*infos: TensorInfo) -> Statistics:
    return statistics_of(seen(*infos))


def one(array: NDArray[Any], name: str = "blocks.3.mlp.fc1.weight") -> TensorStatistics:
    return of(built.from_array(array, name)).tensors[0]


def test_a_tensor_is_told_with_its_place() -> None:
    found = one(np.array([[1, -3, 0, 2]], np.float32))
    name = "blocks.3.mlp.fc1.weight"
    assert found[:7] == (name, "float32", (1, 4), "encoder", 3, "mlp.fc1.weight", 4)
    assert (found.min, found.max, found.mean, found.zeros) == (-3, 2, 0, 1)
    assert found.std == found.rms == pytest.approx(math.sqrt(14 / 4))
    assert found.unmeasured is None
    assert found.histogram is not None
    assert (found.histogram.lo, found.histogram.hi, found.histogram.of) == (-3, 2, None)
    assert sum(found.histogram.counts) == 4


def test_a_histogram_of_a_sample_says_so() -> None:
    found = one(np.random.default_rng(0).normal(size=10_000).astype(np.float32)).histogram
    assert found is not None
    assert found.of == sum(found.counts)
    assert 3000 < found.of <= 4096


REASONS: dict[str, tuple[TensorInfo, str]] = {
    "empty": (built.from_array(np.empty((0, 3), np.float32), "it"), "it has no elements"),
    "NaN": (built.from_array(np.array([NAN, INF]), "it"), "no element is finite"),
    "complex": (
        built.in_memory(bytes(16), "complex64", (2,), name="it"),
        "complex numbers have no order; zeros, NaN and infinities are counted by parts",
    ),
    "packed": (
        built.in_memory(b"abc", "float4_e2m1", (6,), name="it"),
        "float4_e2m1 is not read as numbers",
    ),
    "beyond": (
        built.from_array(np.array([1.7e308, -1.7e308] * 9), "it"),
        "a sum is beyond float64",
    ),
}


@pytest.mark.parametrize("case", REASONS)
def test_what_is_not_measured_is_said(case: str) -> None:
    info, reason = REASONS[case]
    (found,) = of(info).tensors
    assert found.unmeasured == reason
    assert None in (found.mean, found.std)


def test_a_tensor_that_was_not_read_says_why() -> None:
    info = built.from_array(np.ones(3), "it")
    (found,) = statistics_of([Seen("it", info, place_of("it", None), None, "too large")]).tensors
    assert (found.unmeasured, found.elements) == ("too large", 3)
    assert (found.min, found.zeros) == (None, None)


def test_single_elements_and_booleans_are_measured() -> None:
    scalar = one(np.array(-2.5, np.float32))
    assert (scalar.shape, scalar.min, scalar.mean, scalar.std) == ((), -2.5, -2.5, 0)
    mask = one(np.array([True, False, False, True, True]))
    assert (mask.min, mask.max, mask.mean, mask.zeros) == (0, 1, 0.6, 2)


def test_blocks_share_their_bins_and_count_every_element() -> None:
    random = np.random.default_rng(0)
    names = ("norm.weight", "blocks.10.a", "blocks.2.a", "blocks.2.b", "decoder_blocks.0.a")
    infos = [
        built.from_array(random.normal(size=(200, 100)).astype(np.float32), name) for name in names
    ]
    blocks = of(*infos).blocks
    assert [(each.group, each.block) for each in blocks] == [
        ("encoder", None),
        ("encoder", 2),
        ("encoder", 10),
        ("decoder", 0),
    ]
    assert len({(each.histogram.lo, each.histogram.hi) for each in blocks}) == 1
    for each in blocks:
        told = each.histogram
        assert told.below + sum(told.counts) + told.above == pytest.approx(each.elements, rel=1e-3)
    assert (blocks[1].tensors, blocks[1].elements) == (2, 40_000)


def test_there_are_not_more_blocks_than_can_be_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gather, "MOST_BLOCKS", 2)
    found = of(*(built.from_array(np.ones(2), f"blocks.{at}.a") for at in range(5)))
    assert [each.block for each in found.blocks] == [0, 1]
    assert len(found.tensors) == 5


def test_two_files_have_the_same_bins() -> None:
    left = seen(built.from_array(np.linspace(-1, 1, 100), "blocks.0.a"))
    right = seen(built.from_array(np.linspace(0, 5, 100), "blocks.0.a"))
    one_side, other = statistics_of_sides((left, right))
    edges = {(each.tensors[0].histogram or (0,))[:2] for each in (one_side, other)}
    assert edges == {(-1.0, 5.0)}
    assert one_side.blocks[0].histogram[:2] == other.blocks[0].histogram[:2]
    assert (one_side.tensors[0].max, other.tensors[0].min) == (1, 0)


def test_a_file_without_numbers_has_no_blocks() -> None:
    assert statistics_of([]) == Statistics((), ())
    assert of(built.from_array(np.empty(0), "it")).blocks == ()
