from __future__ import annotations

from typing import Callable

import pytest

from ckpttool.models import known_neighbours
from ckpttool.models.neighbours import neighbour_of
from tests.builders import neighbours
from tests.builders.neighbours import Shapes

Build = Callable[[], Shapes]


@pytest.mark.parametrize(
    ("build", "name"), [pytest.param(*row, id=row[0].__name__) for row in neighbours.ALL]
)
@pytest.mark.parametrize("prefix", ["", "module.", "any.thing.at.all."])
def test_a_family_is_told_whatever_stands_before_its_names(
    build: Build, name: str, prefix: str
) -> None:
    found = neighbour_of(neighbours.under(prefix, build()))
    assert found is not None
    assert found.name == name
    assert found.prefix.startswith(prefix)
    assert len(found.signs) >= 2


def test_every_family_has_a_file_that_is_told_to_be_of_it() -> None:
    assert {name for _, name in neighbours.ALL} == {one.name for one in known_neighbours.KNOWN}


@pytest.mark.parametrize(
    "shapes",
    [
        pytest.param(neighbours.vit(), id="an MAE encoder"),
        pytest.param(neighbours.mae(), id="a full MAE"),
        pytest.param(neighbours.mae(channels=1), id="an MAE of gray images"),
        pytest.param(neighbours.mae(tokens=513), id="an MAE of 16 x 32 patches"),
        pytest.param({**neighbours.vit(), "head.weight": (1000, 8)}, id="a classifier"),
        pytest.param(neighbours.vit(more={"ls1.gamma": (8,)}), id="layer scales alone"),
        pytest.param(neighbours.vit(more={"attn.q_bias": (8,)}), id="a bias of the query alone"),
        pytest.param(neighbours.mae_of_mmsegmentation(), id="an MAE of mmsegmentation"),
        pytest.param({"cls_token": (1, 1, 8), "mask_token": (1, 8)}, id="two tokens"),
        pytest.param({"conv1.weight": (64, 3, 7, 7), "fc.weight": (10, 64)}, id="a convolution"),
        pytest.param({}, id="nothing"),
    ],
)
def test_a_chance_match_decides_nothing(shapes: Shapes) -> None:
    assert neighbour_of(shapes) is None


@pytest.mark.parametrize(
    "build", [pytest.param(build, id=build.__name__) for build, _ in neighbours.ALL]
)
def test_names_of_other_shapes_tell_nothing(build: Build) -> None:
    scalars: Shapes = dict.fromkeys(build(), ())
    found = neighbour_of(scalars)
    assert found is None or found.name in {"Swin", "DINO"}  # by names alone


def test_markers_under_different_prefixes_do_not_add_up() -> None:
    shapes = neighbours.beit()
    scattered = {
        f"part{number}.{name}": shape for number, (name, shape) in enumerate(shapes.items())
    }
    assert neighbour_of(scattered) is None


def test_of_a_student_and_a_teacher_it_is_the_teacher() -> None:
    found = neighbour_of(neighbours.dino_of_both())
    assert found is not None
    assert found.prefix == "teacher.backbone."


@pytest.mark.parametrize(
    ("build", "what"),
    [
        (
            neighbours.videomae,
            "a VideoMAE, 2 blocks of width 8, patches of 2 x 4 x 4",
        ),
        (neighbours.dinov2, "a DINOv2, 2 blocks of width 8, patches of 14 x 14"),
        (neighbours.dinov2_in_chunks, "a DINOv2, 2 blocks of width 8, patches of 14 x 14"),
        (
            neighbours.audiomae,
            "an AudioMAE, of spectrograms, 2 blocks of width 8, patches of 4 x 4 of 1 channel",
        ),
        (neighbours.resnet, "a ResNet"),
    ],
)
def test_its_sizes_are_read_where_they_can_be(build: Build, what: str) -> None:
    found = neighbour_of(build())
    assert found is not None
    assert found.what == what


def test_a_huge_model_of_poses_is_said_to_have_padded_kernels() -> None:
    padded = "as MAE's kernels of 14 become when padded"
    found = neighbour_of(neighbours.vitpose())
    assert found is not None
    assert padded not in found.what
    huge = {"backbone.patch_embed.proj.weight": (1280, 3, 16, 16)}
    found = neighbour_of({**neighbours.vitpose(), **huge})
    assert found is not None
    assert padded in found.what


def test_it_is_said_by_how_many_names_it_was_told() -> None:
    found = neighbour_of(neighbours.vitdet())
    assert found is not None
    assert found.told_by == (
        "by 5 names such as backbone.net.blocks.0.attn.rel_pos_h and "
        "backbone.net.patch_embed.proj.weight"
    )


def test_what_is_there_is_not_said_to_be_lacking() -> None:
    found = neighbour_of(neighbours.beit())
    assert found is not None
    assert found.lacks == "a position table and the decoder"
    found = neighbour_of({**neighbours.beit(), "pos_embed": (1, 5, 8)})
    assert found is not None
    assert found.lacks == "the decoder"


@pytest.mark.parametrize(
    "name",
    [
        "x{n}.blocks.{n}.attn.q_bias",
        "x.blocks.{n}.attn.q_bias",
        "a{n}.norm.weight",
        "blocks.99999999{n}.ls1.gamma",
        "\x1b[2J{n}.lm_head.weight",
    ],
)
def test_thousands_of_names_of_one_marker_tell_nothing(name: str) -> None:
    shapes: Shapes = {name.replace("{n}", str(n)): (2**60,) for n in range(20_000)}
    assert neighbour_of(shapes) is None


def test_a_prefix_of_a_million_parts_is_set_aside_like_any_other() -> None:
    prefix = "a." * 1_000_000
    found = neighbour_of(neighbours.under(prefix, neighbours.dino()))
    assert found is None or found.name == "DINO"
