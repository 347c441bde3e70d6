from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from ckpttool.models.interpolation import METHODS, Method, resized, weights

SIZES = [((4, 4), (6, 6)), ((4, 3), (3, 5)), ((7, 7), (3, 4)), ((2, 2), (5, 4)), ((1, 3), (2, 3))]
BICUBIC, BILINEAR, BICUBIC_AA, BILINEAR_AA, BY_SCALE, BICUBIC_ALIGNED, BILINEAR_ALIGNED = METHODS


def by_torch(values: Any, **how: Any) -> Any:
    given = torch.tensor(values).permute(2, 0, 1)[None]
    return torch.nn.functional.interpolate(given, **how)[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize(("source", "target"), SIZES)
@pytest.mark.parametrize(
    ("method", "how"),
    [
        (BICUBIC, {"mode": "bicubic"}),
        (BILINEAR, {"mode": "bilinear"}),
        (BICUBIC_AA, {"mode": "bicubic", "antialias": True}),
        (BILINEAR_AA, {"mode": "bilinear", "antialias": True}),
        (BICUBIC_ALIGNED, {"mode": "bicubic", "align_corners": True}),
        (BILINEAR_ALIGNED, {"mode": "bilinear", "align_corners": True}),
    ],
)
def test_the_numbers_are_those_of_torch(
    source: tuple[int, int], target: tuple[int, int], method: Method, how: dict[str, Any]
) -> None:
    values = np.random.default_rng(0).normal(size=(*source, 3))
    expected = by_torch(values, size=target, **{"align_corners": False, **how})
    np.testing.assert_allclose(resized(method, values, *target), expected, atol=1e-12)


def test_a_scale_that_is_given_counts_in_place_of_the_sizes() -> None:
    values = np.random.default_rng(0).normal(size=(4, 4, 3))
    expected = by_torch(values, scale_factor=(6.1 / 4, 5.1 / 4), mode="bicubic")
    np.testing.assert_allclose(resized(BY_SCALE, values, 6, 5), expected, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_the_weights_of_a_pixel_add_up_to_one(method: Method) -> None:
    np.testing.assert_allclose(weights(method, 5, 9).sum(axis=1), 1)


@pytest.mark.parametrize("method", [*METHODS[:4], *METHODS[5:]])
def test_the_same_size_changes_nothing(method: Method) -> None:
    np.testing.assert_allclose(weights(method, 5, 5), np.eye(5), atol=1e-15)
