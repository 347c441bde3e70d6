"""The sizes of a model are read off names and shapes; what they do not show is told."""

from __future__ import annotations

from typing import Any, Dict, Tuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ckpttool.models.families.mae_comparing import contradicts, fitted
from ckpttool.models.families.mae_sizes import read_sizes
from ckpttool.models.families.mae_words import described
from ckpttool.models.family import Hint, Kind, Reading
from mae.config import CONFIGS, MAEConfig, is_decoder_name

Shapes = Dict[str, Tuple[int, ...]]

BASE = CONFIGS["mae_vit_base_patch16"]
SMALL = MAEConfig(embed_dim=48, depth=4, num_heads=1, patch_size=8, img_size=64)


def encoder(config: MAEConfig) -> Shapes:
    return {name: shape for name, shape in config.shapes.items() if not is_decoder_name(name)}


def reading(shapes: Shapes, **hints: object) -> Reading:
    said = {name: Hint(value, f"{name} somewhere") for name, value in hints.items()}
    found = read_sizes(shapes, said)
    assert found is not None
    return found


@pytest.mark.parametrize("name", CONFIGS)
def test_a_published_size_is_known_by_its_name(name: str) -> None:
    config = CONFIGS[name]
    for shapes, kind in ((config.shapes, Kind.FULL), (encoder(config), Kind.CORE)):
        assert reading(shapes) == Reading(config, name, name, kind)


def made(fields: Dict[str, Any]) -> MAEConfig:
    return MAEConfig(**fields)


sizes = st.fixed_dictionaries(
    {
        "embed_dim": st.sampled_from([48, 64, 768]),
        "depth": st.integers(1, 5),
        "num_heads": st.just(1),
        "patch_size": st.sampled_from([4, 14, 16]),
        "in_chans": st.integers(1, 13),
        "mlp_ratio": st.sampled_from([1.0, 2.5, 4.0, 8 / 3]),
        "decoder_embed_dim": st.sampled_from([16, 24]),
        "decoder_depth": st.integers(1, 3),
        "decoder_mlp_ratio": st.sampled_from([None, 3.0]),
        "class_token": st.booleans(),
        "qkv_bias": st.booleans(),
    }
).map(made)


@settings(max_examples=60, deadline=None)
@given(sizes, st.integers(1, 9), st.data())
def test_the_shapes_of_any_size_are_read_back(
    config: MAEConfig, side: int, data: st.DataObject
) -> None:
    config = config._replace(img_size=side * config.patch_size)
    classes = data.draw(st.sampled_from([0, 7]))
    config = config._replace(num_classes=classes)
    if classes:
        config = config._replace(pooling=data.draw(st.sampled_from(["norm", "fc_norm"])))
    # a base of fewer blocks is told by what is said of it: shapes alone would be of a cut file
    found = reading(config.shapes, depth=config.depth, decoder_depth=config.decoder_depth)
    assert found.config.shapes == config.shapes
    assert found.kind is (Kind.CLASSIFIER if classes else Kind.FULL)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"img_size": 448}, "ViT-B/16 MAE at 448 px"),
        ({"in_chans": 1}, "ViT-B/16 MAE at 224 px, 1 channel"),
        ({"img_size": (192, 256)}, "ViT-B/16 MAE at 192 x 256 px"),
        (
            {"decoder_depth": 4, "decoder_embed_dim": 256},
            "ViT-B/16 MAE at 224 px, decoder 4 x 256",
        ),
        ({"class_token": False}, "ViT-B/16 MAE at 224 px, no class token"),
        ({"qkv_bias": False}, "ViT-B/16 MAE at 224 px, no bias in qkv"),
        ({"mlp_ratio": 2.0}, "ViT-B/16 MAE at 224 px, 1536 wide within the MLP"),
        ({"depth": 13}, "ViT/16 MAE of 13 blocks of width 768 at 224 px"),
    ],
)
def test_a_size_of_its_own_is_told_in_words(change: Dict[str, Any], text: str) -> None:
    config = BASE._replace(**change)
    said = {name: change[name] for name in ("qkv_bias",) if name in change}
    found = reading(config.shapes, img_size=change.get("img_size", 224), **said)
    assert (found.name, found.text) == (None, text)
    assert found.config.shapes == config.shapes


def test_one_tensor_of_another_shape_contradicts_the_rest() -> None:
    for name in ("norm.weight", "cls_token", "blocks.3.norm1.weight", "blocks.0.mlp.fc1.bias"):
        shapes = {**BASE.shapes, name: (1, 1, 999)}
        assert reading(shapes).name == "mae_vit_base_patch16"


def test_blocks_that_are_missing_at_the_end_are_missed_by_a_known_size() -> None:
    cut = {n: s for n, s in BASE.shapes.items() if not n.startswith("blocks.11.")}
    assert reading(cut).config.depth == 12
    found = reading(cut, depth=11)  # a config.json says that there are no more
    assert found.config.depth == 11
    assert "11 blocks: depth somewhere" in found.assumed
    cut = {n: s for n, s in BASE.shapes.items() if not n.startswith("decoder_blocks.7.")}
    assert reading(cut).config.decoder_depth == 8
    found = reading(cut, decoder_depth=7)
    assert found.config.decoder_depth == 7
    assert "7 blocks in the decoder: decoder_depth somewhere" in found.assumed


def without(shapes: Shapes, *endings: str) -> Shapes:
    return {name: shape for name, shape in shapes.items() if not name.endswith(endings)}


def test_biases_that_are_missing_in_all_blocks_are_missed_by_a_known_size() -> None:
    cut = without(BASE.shapes, "attn.qkv.bias")
    assert reading(cut).config == BASE
    found = reading(cut, qkv_bias=False)  # a config.json says that there are none
    assert not found.config.qkv_bias
    assert "no bias in qkv: qkv_bias somewhere" in found.assumed
    assert not reading(without(SMALL.shapes, "attn.qkv.bias")).config.qkv_bias
    assert reading(without(SMALL.shapes, "attn.qkv.bias"), qkv_bias=True).config.qkv_bias


@pytest.mark.parametrize("side", ["blocks.", "decoder_blocks."])
def test_biases_that_only_one_side_has_are_missing_on_the_other(side: str) -> None:
    cut = {
        name: shape
        for name, shape in SMALL.shapes.items()
        if not (name.startswith(side) and name.endswith("qkv.bias"))
    }
    assert reading(cut).config.shapes == SMALL.shapes


def test_blocks_under_other_numbers_are_as_many_as_there_are() -> None:
    far = {name.replace("blocks.", "blocks.7", 1): shape for name, shape in SMALL.shapes.items()}
    assert reading(far).config.depth == SMALL.depth


def test_a_decoder_without_blocks_misses_them() -> None:
    cut = {name: s for name, s in SMALL.shapes.items() if not name.startswith("decoder_blocks.")}
    found = reading(cut)
    assert (found.kind, found.config.shapes) == (Kind.FULL, SMALL.shapes)
    assert "8 blocks in the decoder: assumed, there is none of them" in found.assumed
    demanded = {"decoder_depth": Hint(3, "as asked for", True)}
    assert read_sizes(cut, demanded).config.decoder_depth == 3  # type: ignore[union-attr]


def test_matrices_that_are_transposed_change_no_width() -> None:
    turned = {name: s[::-1] if len(s) == 2 else s for name, s in BASE.shapes.items()}
    assert reading(turned).name == "mae_vit_base_patch16"


@pytest.mark.parametrize("width", [0, (1 << 59) - 55, 1 << 60])
def test_a_width_that_no_model_has_is_no_width(width: int) -> None:
    shapes = {**encoder(SMALL), "decoder_embed.weight": (width, 0)}
    assert reading(shapes).config.decoder_embed_dim == 512


@pytest.mark.parametrize("shape", [(1, 1 << 40, 48), (1, 0, 48), ()])
def test_a_position_table_of_no_images_shows_no_size(shape: Tuple[int, ...]) -> None:
    found = reading({**encoder(SMALL), "pos_embed": shape})
    assert found.config.img_size == 224
    assert "images of 224 pixels: assumed, no position table shows it" in found.assumed


def test_blocks_that_the_arguments_in_the_file_count_and_that_are_not_there_are_missing() -> None:
    hints = {"depth": Hint(6, "args.depth in the file", own=True)}
    found = read_sizes(SMALL.shapes, hints)
    assert found is not None
    assert found.config.depth == 6
    # a config.json beside may be of another model, and a file may say anything
    assert reading(SMALL.shapes, depth=6).config.depth == 4
    for odd in (1 << 40, True, "6", None):
        found = read_sizes(SMALL.shapes, {"depth": Hint(odd, "args.depth in the file", own=True)})
        assert found is not None
        assert found.config.depth == 4


def test_fewer_blocks_than_usual_for_a_width_are_told() -> None:
    config = SMALL._replace(embed_dim=384, depth=9, patch_size=16, img_size=224)
    assert "9 blocks, where ViT-S has 12" in reading(config.shapes).assumed
    whole = reading(config._replace(depth=12).shapes).assumed
    assert not [line for line in whole if "where ViT-S" in line]


def test_a_block_that_is_missing_in_between_is_missed_by_any_size() -> None:
    cut = {n: s for n, s in SMALL.shapes.items() if not n.startswith("blocks.1.")}
    assert reading(cut).config.depth == 4


def test_a_class_token_that_is_missing_is_told_by_the_position_table() -> None:
    without = {name: shape for name, shape in SMALL.shapes.items() if name != "cls_token"}
    assert reading(without).config.class_token
    assert not reading(SMALL._replace(class_token=False).shapes).config.class_token


def test_the_heads_are_those_that_are_said() -> None:
    found = reading(SMALL.shapes, num_heads=3, decoder_num_heads=8)
    assert (found.config.num_heads, found.config.decoder_num_heads) == (3, 8)
    assert "3 heads: num_heads somewhere" in found.assumed
    found = reading(SMALL.shapes, num_heads=5)  # which do not divide the width
    assert found.config.num_heads == 1
    assert "1 head: assumed" in found.assumed


def test_nothing_that_is_said_changes_a_known_size() -> None:
    found = reading(BASE.shapes, num_heads=16, layer_norm_eps=1e-12, model="mae_vit_huge_patch14")
    assert found.config == BASE
    assert found.assumed == ()


def test_what_is_said_of_an_own_size_is_told() -> None:
    found = reading(SMALL.shapes, layer_norm_eps=1e-12, norm_pix_loss=True)
    assert (found.config.layer_norm_eps, found.config.norm_pix_loss) == (1e-12, True)
    assert "layer_norm_eps 1e-12: layer_norm_eps somewhere" in found.assumed


def test_a_grid_that_is_no_square_is_that_of_the_image_that_is_said() -> None:
    config = SMALL._replace(img_size=(96, 32))
    assert reading(config.shapes, img_size=(96, 32)).config.grid == (12, 4)
    assert reading(config.shapes, img_size=[96, 32]).config.grid == (12, 4)
    found = reading(config.shapes, img_size=64)  # an image of other patches is not this one
    assert found.config.grid == (6, 8)
    assert "a grid of 6 x 8 patches: assumed, of 48" in found.assumed


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"head.weight": (5, 48), "head.bias": (5,)}, Kind.CLASSIFIER),
        ({"head.weight": (5, 48)}, Kind.CORE),  # a head without a bias is another's
        ({"head.weight": (5, 99), "head.bias": (5,)}, Kind.CORE),
        ({"decode_head.conv_seg.weight": (5, 48, 1, 1)}, Kind.BACKBONE),
        ({"mask_token": (1, 1, 48)}, Kind.CORE),
        ({"decoder_norm.bias": (16,)}, Kind.FULL),  # a part of a decoder, whose rest is missing
    ],
)
def test_the_kind_of_a_file_is_told_by_what_lies_beside_its_encoder(
    change: Shapes, kind: Kind
) -> None:
    assert reading({**encoder(SMALL), **change}).kind is kind


def test_a_linear_probe_is_told_by_its_batch_norm() -> None:
    config = SMALL._replace(num_classes=5, probe=True)
    found = reading(config.shapes)
    assert (found.config.probe, found.config.num_classes) == (True, 5)


@pytest.mark.parametrize("lost", ["0.running_mean", "0.running_var", "1.weight", "1.bias"])
def test_a_linear_probe_is_one_whatever_it_lacks(lost: str) -> None:
    config = SMALL._replace(num_classes=5, probe=True)
    assert reading(without(config.shapes, lost)).config == reading(config.shapes).config


def test_a_head_behind_a_dropout_is_no_probe() -> None:
    shapes = {**encoder(SMALL), "head.1.weight": (5, 48), "head.1.bias": (5,)}
    assert reading(shapes).kind is Kind.CORE


def test_a_detector_may_have_a_backbone_without_relative_positions() -> None:
    shapes = without(encoder(SMALL), "cls_token", "norm.weight", "norm.bias")
    found = reading({**shapes, "roi_heads.box_predictor.cls_score.weight": (81, 48)})
    assert found.kind is Kind.BACKBONE
    assert (found.config.class_token, found.config.class_row) == (False, True)
    assert (found.config.pooling, found.text) == (
        "none",
        "ViT/8 MAE of 4 blocks of width 48 at 64 px",
    )
    assert reading(shapes).config.class_token  # alone it is an encoder that lacks them


def test_a_backbone_has_the_heads_that_its_relative_positions_show() -> None:
    config = SMALL._replace(
        num_heads=3, num_classes=1, class_token=False, pooling="none", rel_pos=(15, 15, 7, 15)
    )
    shapes = {name: s for name, s in config.shapes.items() if not name.startswith("head")}
    found = reading(shapes)
    assert (found.kind, found.config.num_heads) == (Kind.BACKBONE, 3)
    assert found.config.rel_pos == (15, 15, 7, 15)


@pytest.mark.parametrize(
    "shapes",
    [
        {},
        {"cls_token": (1, 1, 48)},
        {"blocks.0.norm1.weight": ()},
        {"blocks.0.norm1.weight": (0,)},
        {"blocks.0.norm1.weight": (1 << 60,)},
        {f"blocks.{n}.norm1.weight": (8,) for n in range(2_000)},
    ],
)
def test_of_what_is_no_encoder_nothing_is_read(shapes: Shapes) -> None:
    assert read_sizes(shapes, {}) is None


def test_numbers_that_are_far_off_make_no_model_deeper() -> None:
    shapes = {**SMALL.shapes, "blocks.999999.norm1.weight": (48,)}
    assert reading(shapes).config.depth == 4
    shapes = {**SMALL.shapes, f"blocks.{'9' * 5_000}.norm1.weight": (48,)}
    assert reading(shapes).config.depth == 4


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        ({}, False),
        ({"depth": 13}, False),  # one may be missing
        ({"depth": 11}, True),
        ({"embed_dim": 1024}, True),
        ({"img_size": 448}, True),
        ({"img_size": 230}, False),  # the same patches
        ({"decoder_depth": 9}, False),
        ({"decoder_depth": 7}, True),
        ({"decoder_embed_dim": 256}, True),
        ({"num_heads": 8}, False),  # no shape shows them
    ],
)
def test_a_demand_contradicts_where_shapes_do(change: Dict[str, Any], differs: bool) -> None:
    assert contradicts(BASE._replace(**change), reading(BASE.shapes)) is differs


def test_of_an_encoder_alone_no_decoder_contradicts() -> None:
    assert not contradicts(BASE._replace(decoder_embed_dim=256), reading(encoder(BASE)))


def test_a_demanded_size_keeps_the_head_that_the_file_has() -> None:
    classifier = BASE._replace(num_classes=10, pooling="fc_norm")
    assert fitted(BASE, reading(classifier.shapes)) == classifier


def test_an_unknown_width_is_told_by_its_numbers() -> None:
    assert described(SMALL, with_decoder=False) == "ViT/8 MAE of 4 blocks of width 48 at 64 px"
    one = described(SMALL._replace(depth=1), with_decoder=False)
    assert one == "ViT/8 MAE of 1 block of width 48 at 64 px"
