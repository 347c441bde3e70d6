"""What a file is: one line for each kind, made of what was found."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Tuple

import pytest

from ckpttool.models.canonical import canonicalize
from ckpttool.models.choosing import choose
from ckpttool.models.coverage import cover
from ckpttool.models.diagnosis import diagnose, diagnose_header
from ckpttool.models.schema import schema_of
from ckpttool.tensors.catalogue import Checkpoint, Entry, Outside
from mae.config import CONFIGS, MAEConfig, is_decoder_name
from tests.builders import neighbours
from tests.builders.tensors import hollow

Shapes = Dict[str, Tuple[int, ...]]

BASE = CONFIGS["mae_vit_base_patch16"]
HEADS = {"decode_head.conv_seg.weight": (150, 512, 1, 1)}
USE = "for pre-training, reconstruction, and all that an encoder is for"


def encoder(config: MAEConfig) -> Shapes:
    return {name: shape for name, shape in config.shapes.items() if not is_decoder_name(name)}


def of(shapes: Shapes, **facts: Any) -> Checkpoint:
    tensors = {name: hollow(name, shape) for name, shape in shapes.items()}
    return Checkpoint("file.pth", "torch-zip", (), tensors, **facts)


CASES: List[Tuple[Shapes, str, str]] = [
    (
        encoder(BASE),
        "encoder",
        "the encoder of mae_vit_base_patch16: for features and fine-tuning; without a decoder "
        "(mae_visualize_vit_base.pth has one) it reconstructs no images",
    ),
    (BASE.shapes, "full", f"mae_vit_base_patch16, encoder and decoder: {USE}"),
    (
        BASE._replace(img_size=448, decoder_embed_dim=256, decoder_depth=4).shapes,
        "full",
        f"ViT-B/16 MAE at 448 px, decoder 4 x 256, encoder and decoder: {USE}",
    ),
    (
        BASE._replace(num_classes=1000, pooling="fc_norm").shapes,
        "classifier",
        "a classifier of 1,000 classes on the encoder of mae_vit_base_patch16 (mean of the "
        "patches, fc_norm): for these classes as it is; without its head, for features and "
        "fine-tuning",
    ),
    (
        BASE._replace(num_classes=1, probe=True).shapes,
        "classifier",
        "a linear probe of 1 class on the encoder of mae_vit_base_patch16 (class token, norm): "
        "for these classes as it is; without its head, for features and fine-tuning",
    ),
    (
        {**encoder(BASE), **HEADS},
        "backbone",
        "a detector or segmenter with the encoder of mae_vit_base_patch16 as its backbone: for "
        "the model that it belongs to; without its heads, for fine-tuning",
    ),
    (
        {"decoder_embed.weight": (512, 768), "mask_token": (1, 1, 512)},
        "part",
        "a part of a model of the family mae, without its encoder",
    ),
    (
        {"any.weight": (3, 3)},
        "unknown",
        "not known: the names are in none of the conventions of a known model",
    ),
    ({}, "empty", "no checkpoint of weights: there is no tensor in it"),
]


@pytest.mark.parametrize(("shapes", "kind", "text"), CASES, ids=[text[:40] for *_, text in CASES])
def test_a_file_is_told_in_one_line(shapes: Shapes, kind: str, text: str) -> None:
    checkpoint = of(shapes)
    found = diagnose_header(checkpoint, canonicalize(checkpoint.tensors))
    assert (found.kind, found.text) == (kind, text)
    assert found.next is None  # a header does not say whether the weights are sound


def test_it_is_told_by_how_many_names_and_shapes() -> None:
    shapes = {**BASE.shapes, "norm.weight": (5,), "extra.weight": (3,)}
    del shapes["cls_token"]
    checkpoint = of(shapes)
    found = diagnose_header(checkpoint, canonicalize(checkpoint.tensors))
    assert found.established == "by 252 of 254 names and shapes"


def test_a_training_checkpoint_and_averaged_weights_beside_are_told() -> None:
    entries = (Entry("epoch", "int", "30"), Entry("optimizer", "dict", "2 items"))
    average = Outside("model_ema", 150, 99, is_average=True)
    checkpoint = of(BASE.shapes, entries=entries, aside=(30, 0), outside=(average,))
    found = diagnose_header(checkpoint, canonicalize(checkpoint.tensors))
    assert found.text.endswith(
        "; in a training checkpoint (epoch 30); averaged weights (EMA) lie beside, under model_ema"
    )


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        (("predictor", "target_encoder"), True),
        (("predictor",), False),
        (("target_encoder",), False),
    ],
)
def test_a_predictor_beside_an_encoder_is_said_to_be_of_jepa(
    keys: Tuple[str, ...], told: bool
) -> None:
    outside = tuple(Outside(key, 150, 99, is_average="target" in key) for key in keys)
    checkpoint = of(encoder(BASE._replace(class_token=False)), outside=outside)
    found = diagnose_header(checkpoint, canonicalize(checkpoint.tensors))
    assert ("; a predictor lies beside, as JEPA has one and MAE has not" in found.text) is told


def test_what_the_values_show_counts_before_the_names() -> None:
    checkpoint = of(encoder(BASE))
    canonical = canonicalize(checkpoint.tensors)
    judged = choose(canonical)
    coverage = cover(canonical.tensors, schema_of(judged.family, judged.config, judged.name))
    found = diagnose(checkpoint, canonical, judged, coverage, unlike="a supervised ViT")
    assert found.kind == "other"
    assert found.text == "a supervised ViT with the names of the encoder of mae_vit_base_patch16"


def test_a_neighbour_with_the_names_of_an_encoder_is_told_as_what_it_is() -> None:
    shapes = encoder(BASE._replace(qkv_bias=False))
    del shapes["pos_embed"]
    for n in range(12):
        for leaf in ("attn.q_bias", "attn.v_bias", "gamma_1", "gamma_2"):
            shapes[f"blocks.{n}.{leaf}"] = (768,)
        shapes[f"blocks.{n}.attn.relative_position_bias_table"] = (732, 12)
    checkpoint = of(shapes)
    found = diagnose_header(checkpoint, canonicalize(checkpoint.tensors))
    assert (found.kind, found.model) == ("other", "BEiT")


@pytest.mark.parametrize("build", [neighbours.dino, neighbours.ibot])
def test_a_neighbour_that_holds_all_of_an_encoder_is_told_as_what_it_is(
    build: Callable[[], Shapes],
) -> None:
    checkpoint = of(build())
    found = diagnose_header(checkpoint, canonicalize(checkpoint.tensors))
    assert (found.kind, found.model) in {("other", "DINO"), ("other", "iBOT")}
    assert "2 blocks of width 8, patches of 4 x 4, with the names of the encoder of" in found.text
    assert "and shapes; by " in (found.established or "")
