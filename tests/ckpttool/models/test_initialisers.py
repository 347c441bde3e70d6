from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ckpttool.models.initialisers import FEWEST, Spread, initialiser, is_initial_bias, was_uniform
from tests.builders.initial import DRAWN

SHAPES = ((8, 8), (64, 64), (144, 48), (512, 768), (96, 3, 16, 16))


def spread(array: Any, rounding: float = 2.0**-23) -> Spread:
    numbers = np.asarray(array, np.float64)
    rms = float(np.sqrt(np.square(numbers).mean()))
    return Spread(float(numbers.min()), float(numbers.max()), rms, rounding)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("drawn", DRAWN)
def test_what_is_drawn_is_recognised(drawn: str, shape: tuple[int, ...]) -> None:
    for seed in range(3):
        array = DRAWN[drawn](np.random.default_rng(seed), shape)
        assert initialiser(shape, spread(array)) is not None


@pytest.mark.parametrize(
    ("drawn", "words"),
    [
        ("Xavier", "uniform within sqrt(6 / (fan_in + fan_out)), as Xavier's"),
        ("torch's default", "uniform within 1 / sqrt(fan_in), torch's default"),
        ("Kaiming", "uniform within sqrt(6 / fan_in), as Kaiming's"),
        ("normal 0.02", "normal with a deviation of 0.02"),
        ("normal by inputs", "normal with a deviation of 1 / sqrt(fan_in)"),
        ("cut off at two", "normal with a deviation of 0.02, cut off at two deviations"),
    ],
)
def test_each_is_called_by_its_name(drawn: str, words: str) -> None:
    array = DRAWN[drawn](np.random.default_rng(0), (512, 768))
    assert initialiser((512, 768), spread(array)) == words


def test_a_thousand_samples_are_all_recognised() -> None:
    random = np.random.default_rng(0)
    found = [
        initialiser((24, 16), spread(DRAWN[drawn](random, (24, 16))))
        for drawn in ("Xavier", "normal 0.02")
        for _ in range(500)
    ]
    assert None not in found


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_a_narrower_type_rounds_the_bound(dtype: str) -> None:
    array = DRAWN["Xavier"](np.random.default_rng(0), (512, 512)).astype(dtype)
    rounding = float(np.finfo(dtype).eps)
    assert initialiser((512, 512), spread(array, rounding)) is not None


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("one element beyond the bound", lambda array: np.where(array == array.max(), 0.2, array)),
        ("a smaller bound", lambda array: array * 0.995),
        ("half of it zero", lambda array: array * (np.arange(array.size) % 2).reshape(array.shape)),
        ("only one sign", np.abs),
    ],
)
def test_what_is_close_to_a_drawn_weight_is_not_one(what: str, change: Any) -> None:
    array = DRAWN["Xavier"](np.random.default_rng(0), (512, 512))
    assert initialiser((512, 512), spread(change(array))) is None, what


@pytest.mark.parametrize("deviation", [0.0203, 0.01, 0.05])
def test_heavy_tails_are_trained(deviation: float) -> None:
    array = np.random.default_rng(0).laplace(0, deviation / 2**0.5, (512, 512))
    assert initialiser((512, 512), spread(array)) is None


def test_some_training_leaves_a_weight_close_to_its_beginning() -> None:
    array = DRAWN["Xavier"](np.random.default_rng(0), (512, 512))
    one_step = spread(array + 1e-3 * np.sign(array))
    assert initialiser((512, 512), one_step) is None
    assert was_uniform((512, 512), one_step)
    assert not was_uniform((512, 512), spread(array * 3))


@pytest.mark.parametrize("shape", [(FEWEST - 1, 1), (FEWEST * 4,), (0, 8), (0, *[2**60] * 20)])
def test_of_few_numbers_and_of_vectors_nothing_is_said(shape: tuple[int, ...]) -> None:
    assert initialiser(shape, Spread(-0.1, 0.1, 0.1 / 3**0.5, 0.0)) is None


def test_a_bias_beside_a_weight_of_an_absurd_shape_is_judged() -> None:
    bias = Spread(-0.1, 0.1, 0.05, 0.0)
    for number in (8, 768):
        assert not is_initial_bias(number, (0, *[2**60] * 20), bias)


def test_biases_are_those_of_torch_and_of_flax() -> None:
    random = np.random.default_rng(0)
    assert is_initial_bias(768, (768, 64), spread(random.uniform(-1 / 8, 1 / 8, 768)))
    assert is_initial_bias(768, (768, 64), spread(random.normal(0, 1e-6, 768)))
    assert not is_initial_bias(768, (768, 64), spread(random.normal(0, 0.02, 768)))
