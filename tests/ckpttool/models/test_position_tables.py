from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from ckpttool.models import position_tables as tables
from ckpttool.models.computed_tables import computed
from ckpttool.models.families.mae import MAE
from mae.config import MAEConfig
from mae.large.pos_embed import get_1d_positions, get_1d_sincos_pos_embed, get_2d_sincos_pos_embed

if TYPE_CHECKING:
    from ckpttool.findings.results import PositionTable
    from ckpttool.models.family import Positions

WIDTH = 64


def positions(rows: int, columns: int, *, class_token: bool = True) -> Positions:
    image = rows * 16, columns * 16
    config = MAEConfig(
        embed_dim=WIDTH, depth=1, num_heads=1, img_size=image, class_token=class_token
    )
    found = MAE.tables["pos_embed"](config)
    assert found is not None
    return found


def table(rows: int, columns: int) -> Any:
    return get_2d_sincos_pos_embed(WIDTH, (rows, columns), cls_token=True).astype(np.float32)


def recognised(stored: Any, rows: int, columns: int) -> PositionTable:
    return tables.recognise(stored, positions(rows, columns), 1e-6)


def interpolated(stored: Any, source: tuple[int, int], target: tuple[int, int], **how: Any) -> Any:
    """Resize the rows of patches as scripts for fine-tuning do it."""
    patches = torch.tensor(stored[1:]).reshape(1, *source, WIDTH).permute(0, 3, 1, 2)
    resized = torch.nn.functional.interpolate(patches, **{"size": target, **how})
    rows = resized.permute(0, 2, 3, 1).reshape(-1, WIDTH)
    return np.concatenate([stored[:1], rows.numpy()])


def noise(by: float, rows: int) -> Any:
    return np.random.default_rng(0).normal(0, by, (rows, WIDTH))


# --- computed ------------------------------------------------------------------------------


@pytest.mark.parametrize("grid", [(4, 4), (3, 5), (5, 3), (1, 7), (28, 28)])
def test_the_table_of_any_grid_is_sin_cos(grid: tuple[int, int]) -> None:
    np.testing.assert_array_equal(
        computed(positions(*grid), *grid).astype(np.float32), table(*grid)
    )
    found = recognised(table(*grid), *grid)
    assert (found.kind, found.grid) == (tables.SIN_COS, grid)
    assert found.text == f"sin-cos at {grid[0]} x {grid[1]}"
    assert found.residual < 1e-7


@pytest.mark.parametrize(
    ("assumed", "grid"), [((3, 4), (4, 3)), ((4, 4), (2, 8)), ((6, 8), (12, 4)), ((5, 7), (7, 5))]
)
def test_the_values_show_rows_and_columns(assumed: tuple[int, int], grid: tuple[int, int]) -> None:
    found = recognised(table(*grid), *assumed)
    assert (found.kind, found.grid) == (tables.SIN_COS, grid)
    assert tables.grid_shown(table(*grid), positions(*assumed), 1e-6) == grid


@pytest.mark.parametrize("mode", ["bicubic", "bilinear"])
def test_an_interpolated_table_shows_them_too(mode: str) -> None:
    stored = interpolated(table(4, 4), (4, 4), (3, 8), mode=mode)
    assert tables.grid_shown(stored, positions(4, 6), 1e-6) == (3, 8)
    found = recognised(stored, 4, 6)
    assert (found.kind, found.grid) == (tables.INTERPOLATED, (3, 8))


def test_a_table_of_the_patches_alone_shows_its_grid_as_well() -> None:
    stored = table(4, 4)[positions(4, 4).before :]
    assert positions(4, 4).before == 1
    assert tables.grid_shown(stored, positions(3, 5), 1e-6) == (4, 4)


@pytest.mark.parametrize("stored", [noise(0.02, 17), np.ones((17, WIDTH))], ids=["noise", "ones"])
def test_other_values_show_no_grid(stored: Any) -> None:
    assert tables.grid_shown(stored, positions(4, 4), 1e-6) is None


@pytest.mark.parametrize(("dtype", "name"), [(torch.bfloat16, "bfloat16"), (torch.half, "float16")])
def test_a_table_that_was_rounded_and_widened_again_is_right(dtype: Any, name: str) -> None:
    found = recognised(torch.tensor(table(4, 4)).to(dtype).float().numpy(), 4, 4)
    assert (found.kind, found.text) == (tables.SIN_COS, f"sin-cos at 4 x 4, rounded to {name}")


def test_angles_may_be_computed_in_float32() -> None:
    half = WIDTH // 4
    frequencies = (1.0 / 10000 ** (np.arange(half, dtype=np.float32) / half)).astype(np.float32)
    angles = np.arange(40, dtype=np.float32)[:, None] * frequencies
    axis = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
    rows, columns = np.divmod(np.arange(1600), 40)
    stored = np.concatenate([np.zeros((1, WIDTH)), np.concatenate([axis[columns], axis[rows]], 1)])
    found = recognised(stored.astype(np.float32), 40, 40)
    assert found.kind == tables.SIN_COS
    assert found.error > 3e-7  # rounding alone errs by 3e-8


def test_positions_are_read_off_their_encoding() -> None:
    coordinates = [0.0, 1.0, 2.5, 1000.0]
    encoded = get_1d_sincos_pos_embed(WIDTH, coordinates)
    np.testing.assert_allclose(get_1d_positions(encoded), coordinates)


# --- interpolated --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "name"),
    [
        ({"mode": "bicubic"}, "bicubically"),
        ({"mode": "bilinear"}, "bilinearly"),
        ({"mode": "bicubic", "antialias": True}, "bicubically with antialias"),
        ({"mode": "bilinear", "antialias": True}, "bilinearly with antialias"),
        ({"mode": "bicubic", "align_corners": True}, "bicubically with aligned corners"),
        ({"mode": "bilinear", "align_corners": True}, "bilinearly with aligned corners"),
        (
            {"mode": "bicubic", "size": None, "scale_factor": (5.1 / 6, 9.1 / 7)},
            "bicubically by a scale of 0.1 patches more",
        ),
    ],
)
def test_an_interpolated_table_is_known_by_its_source(how: dict[str, Any], name: str) -> None:
    found = recognised(interpolated(table(6, 7), (6, 7), (5, 9), **how), 5, 9)
    assert (found.kind, found.text) == (
        tables.INTERPOLATED,
        f"interpolated {name} from 6 x 7 to 5 x 9",
    )
    assert found.residual < 3e-6
    assert found.error > 0.1


@pytest.mark.parametrize("target", [(24, 24), (7, 7), (15, 15), (14, 20), (28, 28)])
def test_usual_sizes_come_from_224_pixels(target: tuple[int, int]) -> None:
    found = recognised(interpolated(table(14, 14), (14, 14), target, mode="bicubic"), *target)
    assert found.text == f"interpolated bicubically from 14 x 14 to {target[0]} x {target[1]}"


def test_an_interpolated_table_may_be_rounded() -> None:
    stored = interpolated(table(4, 4), (4, 4), (6, 6), mode="bicubic")
    found = recognised(torch.tensor(stored).bfloat16().float().numpy(), 6, 6)
    assert found.kind == tables.INTERPOLATED


def test_coordinates_may_be_stretched() -> None:
    axis = get_1d_sincos_pos_embed(WIDTH // 2, np.arange(8) / 2)
    rows, columns = np.divmod(np.arange(64), 8)
    stored = np.concatenate([np.zeros((1, WIDTH)), np.concatenate([axis[columns], axis[rows]], 1)])
    found = recognised(stored, 8, 8)
    assert (found.kind, found.text) == (tables.STRETCHED, "sin-cos at 4 x 4 stretched to 8 x 8")


# --- trained and learned -------------------------------------------------------------------


def test_training_from_the_sin_cos_table_leaves_one_that_is_near() -> None:
    found = recognised(table(14, 14) + noise(0.02, 197), 14, 14)
    assert found.kind == tables.TRAINED
    assert found.text.startswith("near sin-cos at 14 x 14 (correlation 0.99")


def test_training_from_an_interpolated_one_does_too() -> None:
    stored = interpolated(table(14, 14), (14, 14), (24, 24), mode="bicubic")
    found = recognised(stored + noise(0.05, 577), 24, 24)
    assert found.kind == tables.TRAINED
    assert found.text.startswith("near sin-cos interpolated from 14 x 14 to 24 x 24 (corr")


def smooth() -> Any:
    """Neighbours that are alike, as in a table that was learned from images."""
    random = np.random.default_rng(1)
    waves = np.cos(np.outer(np.arange(14), np.arange(6)) * 0.2)
    grid = np.einsum("yi,xj,ijd->yxd", waves, waves, random.normal(0, 0.02, (6, 6, WIDTH)))
    return np.concatenate([random.normal(0, 0.02, (1, WIDTH)), grid.reshape(196, WIDTH)])


@pytest.mark.parametrize("stored", [noise(0.02, 197), smooth()], ids=["noise", "smooth"])
def test_a_learned_table_has_no_such_structure(stored: Any) -> None:
    found = recognised(stored, 14, 14)
    assert found.kind == tables.LEARNED
    assert found.text.startswith("learned: no sin-cos structure (correlation 0.")


# --- what should not be --------------------------------------------------------------------


def changed(place: tuple[int, int], value: float) -> Any:
    stored = table(4, 4)
    stored[place] = value
    return stored


def in_order(order: Any) -> Any:
    return np.concatenate([table(4, 4)[:1], table(4, 4)[1:][order]])


def halves_swapped(stored: Any) -> Any:
    return np.roll(stored, WIDTH // 2, axis=1)


@pytest.mark.parametrize(
    ("stored", "kind", "text"),
    [
        (changed((3, 5), 0.5), "changed", "sin-cos at 4 x 4 but for 1 element of 1,088, by up to"),
        (changed((3, 5), np.nan), "changed", "by up to inf at token 3, feature 5"),
        (table(4, 4) * 0 + 0.3, "changed", "the same in every row of a patch"),
        (
            np.where(np.arange(17)[:, None] < 9, table(4, 4), 7),
            "changed",
            "not sin-cos at 4 x 4: 512 elements of 1,088",
        ),
        (changed((0, 5), 0.5), "class-token", "row of the class token is not zero (up to 0.5)"),
        (halves_swapped(table(4, 4)), "swapped", "sin-cos at 4 x 4 with x and y swapped"),
        (np.roll(table(4, 4), -1, axis=0), "moved", "with the class token's row as token 16"),
        (in_order(np.roll(np.arange(16), -3)), "moved", "sin-cos at 4 x 4, its patches moved by 3"),
        (in_order(np.arange(16)[::-1]), "moved", "sin-cos at 4 x 4, its patches in another order"),
        (in_order([0, *range(15)]), "moved", "rows of sin-cos at 4 x 4, some of them twice or mis"),
        (table(4, 5)[:17], "moved", "rows of sin-cos at 4 x 5, some of them twice or missing"),
    ],
)
def test_a_table_that_should_not_be_is_said_to_be_what_it_is(
    stored: Any, kind: str, text: str
) -> None:
    found = recognised(stored, 4, 4)
    assert found.kind == kind
    assert text in found.text


def test_columns_may_come_before_rows() -> None:
    stored = table(3, 5)
    by_columns = stored[1:].reshape(3, 5, WIDTH).transpose(1, 0, 2).reshape(15, WIDTH)
    found = recognised(np.concatenate([stored[:1], by_columns]), 3, 5)
    assert found.kind == tables.SWAPPED


def test_an_interpolated_table_may_be_swapped_or_changed() -> None:
    stored = interpolated(table(4, 4), (4, 4), (6, 6), mode="bicubic")
    found = recognised(halves_swapped(stored), 6, 6)
    assert found.kind == tables.SWAPPED
    assert "interpolated bicubically from 4 x 4 to 6 x 6 with x and y swapped" in found.text
    stored[7, 3] += 1
    found = recognised(stored, 6, 6)
    assert found.kind == tables.CHANGED
    assert "interpolated bicubically from 4 x 4 to 6 x 6 but for 1 element" in found.text


def test_the_row_of_the_class_token_may_be_missing() -> None:
    # 16 rows without it are read as one row of 15 patches, or 3 x 5
    found = recognised(table(4, 4)[1:], 3, 5)
    assert (found.kind, found.grid) == (tables.CLASS_TOKEN, (4, 4))
    assert found.text == "sin-cos at 4 x 4 without the row of the class token"


def test_a_model_without_class_token_has_no_row_for_it() -> None:
    found = tables.recognise(table(4, 4)[1:], positions(4, 4, class_token=False), 1e-6)
    assert found.kind == tables.SIN_COS
    found = tables.recognise(table(3, 5), positions(4, 4, class_token=False), 1e-6)
    assert found.kind != tables.SIN_COS


def test_one_long_row_of_patches_is_compared_quickly() -> None:
    found = recognised(noise(0.02, 100_004), 1, 100_003)
    assert found.kind == tables.LEARNED
