from __future__ import annotations

import numpy as np
import pytest

from ckpttool.models.computed_tables import computed, interpolated
from ckpttool.models.families.mae import MAE
from ckpttool.models.family import Positions
from ckpttool.models.table_correlation import most_correlated
from mae.config import MAEConfig


def positions(rows: int, columns: int) -> Positions:
    config = MAEConfig(embed_dim=64, depth=1, num_heads=1, img_size=(rows * 16, columns * 16))
    found = MAE.tables["pos_embed"](config)
    assert found is not None
    return found


@pytest.mark.parametrize("grid", [(4, 4), (3, 5), (1, 300)])
def test_a_sin_cos_table_is_as_like_itself_as_can_be(grid: tuple[int, int]) -> None:
    place = positions(*grid)
    correlation, source = most_correlated(computed(place, *grid), place)
    assert correlation == pytest.approx(1)
    assert source == grid


@pytest.mark.parametrize(("source", "grid"), [((14, 14), (24, 24)), ((6, 8), (9, 12))])
def test_an_interpolated_one_is_like_that_of_its_source(
    source: tuple[int, int], grid: tuple[int, int]
) -> None:
    place = positions(*grid)
    table = interpolated(place, source, grid)
    noise = np.random.default_rng(0).normal(0, 0.1, table.shape)
    correlation, found = most_correlated(table + noise, place)
    assert 0.9 < correlation < 1
    assert found == source


def test_one_that_is_turned_over_is_like_none() -> None:
    place = positions(6, 6)
    assert most_correlated(-computed(place, 6, 6), place)[0] < 0.6


def test_one_that_does_not_vary_is_like_none() -> None:
    assert most_correlated(np.ones((17, 64)), positions(4, 4)) == (0.0, (4, 4))
