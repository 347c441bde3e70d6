"""Which model a file is judged by: the one that it is, or the one that is asked for."""

from __future__ import annotations

from typing import Any, Dict

import pytest

from ckpttool.findings.errors import UsageError
from ckpttool.models.canonical import canonicalize
from ckpttool.models.choosing import Judged, Said, choose
from ckpttool.models.families import AUTO, check_sizes
from mae.config import CONFIGS, MAEConfig
from tests.builders.tensors import hollow

BASE = CONFIGS["mae_vit_base_patch16"]


def judged(config: MAEConfig, model: str = AUTO, said: Said = Said(), **sizes: object) -> Judged:  # noqa: B008 (a constant)
    tensors = {name: hollow(name, shape) for name, shape in config.shapes.items()}
    return choose(canonicalize(tensors), model, sizes, said)


def test_a_file_is_judged_by_the_size_that_it_is() -> None:
    for name, config in CONFIGS.items():
        found = judged(config)
        assert (found.name, found.config, found.demanded) == (name, config, None)


@pytest.mark.parametrize(
    ("model", "sizes", "demanded", "instead"),
    [
        ("mae_vit_base_patch16", {}, None, ""),
        (AUTO, {"img_size": 224, "depth": 12}, None, ""),
        ("mae_vit_large_patch16", {}, "mae_vit_large_patch16", "say --model mae_vit_base_patch16"),
        (
            AUTO,
            {"img_size": (448, 224), "in_chans": 3},
            "mae_vit_base_patch16 with img_size 448 x 224, in_chans 3",
            "leave out --img-size",
        ),
        (
            "mae_vit_large_patch16",
            {"decoder_depth": 4},
            "mae_vit_large_patch16 with decoder_depth 4",
            "say --model mae_vit_base_patch16 and leave out --decoder-depth",
        ),
    ],
)
def test_what_was_asked_for_and_is_not_there_is_told(
    model: str, sizes: Dict[str, Any], demanded: str | None, instead: str
) -> None:
    found = judged(BASE, model, **sizes)
    assert (found.demanded, found.instead) == (demanded, instead)
    assert found.config.shapes == BASE.shapes  # type: ignore[attr-defined]


@pytest.mark.parametrize("model", [AUTO, "mae_vit_base_patch16"])
def test_sizes_that_no_block_shows_are_a_guess_unless_they_were_asked_for(model: str) -> None:
    shapes = {name: shape for name, shape in BASE.shapes.items() if "blocks" not in name}
    tensors = {name: hollow(name, shape) for name, shape in shapes.items()}
    found = choose(canonicalize(tensors), model)
    assert (found.kind, found.guessed) == (None, model == AUTO)
    assert not judged(BASE, model).guessed


def test_arguments_of_the_run_count_before_a_config() -> None:
    config = BASE._replace(embed_dim=48, num_heads=6)
    said = Said({"num_attention_heads": 3}, {"args.num_heads": 6})
    found = judged(config, said=said)
    assert found.config == config._replace(decoder_num_heads=16)
    assert "6 heads: args.num_heads in the file" in found.assumed
    found = judged(config, said=Said({"num_attention_heads": 3}))
    assert "3 heads: num_attention_heads in config.json" in found.assumed


def test_a_file_of_no_known_names_is_judged_by_the_default() -> None:
    found = choose(canonicalize({"conv1.weight": hollow("conv1.weight", (3, 3))}))
    assert (found.kind, found.name) == (None, "mae_vit_large_patch16")


@pytest.mark.parametrize(
    "sizes",
    [
        {"width": 3},
        {"img_size": 0},
        {"img_size": (1, 2, 3)},
        {"img_size": "224"},
        {"in_chans": True},
        {"in_chans": 1.0},
        {"in_chans": (3,)},
        {"depth": 1001},  # beyond that a model of nothing would fill the memory
        {"decoder_depth": 1001},
        {"norm_pix_loss": 1},
    ],
)
def test_a_size_that_is_none_is_refused(sizes: Dict[str, object]) -> None:
    with pytest.raises(UsageError):
        check_sizes(sizes)


def test_sizes_that_are_some_are_taken() -> None:
    check_sizes({"img_size": (448, 224), "in_chans": 4, "norm_pix_loss": True, "depth": 1000})
