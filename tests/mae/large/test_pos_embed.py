"""The position table against stored numbers and against the formula, one element at a time."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest

from mae.large.pos_embed import get_1d_sincos_pos_embed, get_2d_sincos_pos_embed

# Of ViT-Large's table (197, 1024), computed with 50 decimal digits and rounded.
PINNED = {
    (1, 0): 0.0,
    (1, 256): 1.0,
    (2, 0): 0.8414709848078965,
    (2, 1): 0.8218561900175317,
    (2, 256): 0.5403023058681398,
    (2, 512): 0.0,
    (2, 768): 1.0,
    (15, 0): 0.0,
    (15, 512): 0.8414709848078965,
    (100, 100): 0.027380773929257772,
    (196, 255): 0.0013476223990689495,
    (196, 1023): 0.9999990919565225,
}


@pytest.mark.parametrize("place", PINNED, ids=str)
def test_the_large_table_has_the_pinned_numbers(place: tuple[int, int]) -> None:
    table = get_2d_sincos_pos_embed(1024, 14, cls_token=True)
    assert table[place] == pytest.approx(PINNED[place], rel=1e-12, abs=1e-15)


def test_every_element_follows_the_formula() -> None:
    table = get_1d_sincos_pos_embed(6, [0, 1, 5])
    for row, position in enumerate([0, 1, 5]):
        for i in range(3):
            angle = position / 10000 ** (2 * i / 6)
            assert table[row, i] == pytest.approx(math.sin(angle), abs=1e-15)
            assert table[row, 3 + i] == pytest.approx(math.cos(angle), abs=1e-15)


def test_the_first_half_encodes_the_horizontal_coordinate() -> None:
    table = get_2d_sincos_pos_embed(8, 3).reshape(3, 3, 8)  # row, column, width
    along = get_1d_sincos_pos_embed(4, np.arange(3))
    for k in range(3):
        np.testing.assert_array_equal(table[k, :, :4], along)
        np.testing.assert_array_equal(table[:, k, 4:], along)


def test_the_class_token_has_a_row_of_zeros() -> None:
    table = get_2d_sincos_pos_embed(8, 3, cls_token=True)
    assert table.shape == (10, 8)
    assert not table[0].any()
    np.testing.assert_array_equal(table[1:], get_2d_sincos_pos_embed(8, 3, cls_token=False))


def test_tables_are_computed_in_double_precision() -> None:
    assert get_2d_sincos_pos_embed(8, 3).dtype == np.float64
    assert get_1d_sincos_pos_embed(8, np.arange(3, dtype=np.float32)).dtype == np.float64


@pytest.mark.parametrize("width", [0, 6, -4], ids=str)
def test_a_width_that_two_coordinates_cannot_share_is_refused(width: int) -> None:
    with pytest.raises(ValueError, match="multiple of 4"):
        get_2d_sincos_pos_embed(width, 3)


@pytest.mark.parametrize("width", [0, 3], ids=str)
def test_a_width_that_sine_and_cosine_cannot_share_is_refused(width: int) -> None:
    with pytest.raises(ValueError, match="even"):
        get_1d_sincos_pos_embed(width, [1])


def test_the_table_needs_no_torch() -> None:
    code = "import sys; sys.modules['torch'] = None; from mae.large import pos_embed"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
