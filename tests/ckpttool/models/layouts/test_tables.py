"""Every table is total and reversible, and says what real files say."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from ckpttool.models.families.mae import MAE
from ckpttool.models.layouts.facebook import FACEBOOK
from ckpttool.models.layouts.hf_vitmae import (
    HF_VITMAE,
    HF_VITMAE_MODEL,
    HF_VITMAE_MODEL_V5,
    HF_VITMAE_V5,
    HF_VITMAE_V5_SAVED,
)
from ckpttool.models.layouts.openmmlab import MMPRETRAIN, MMSEG
from ckpttool.models.layouts.renames import NUMBER, Claim, Dropped, Join, Layout, Rename, generalise
from tests.builders.layouts import decoder_names, encoder_names, spelled, vit_large_names
from tests.builders.repository import FIXTURES

TRANSFORMERS = json.loads((FIXTURES / "transformers-5.23.0" / "names.json").read_text())

each_layout = pytest.mark.parametrize("layout", MAE.layouts, ids=[one.name for one in MAE.layouts])


def test_the_full_vit_large_has_398_names() -> None:
    assert (len(set(encoder_names(24))), len(set(decoder_names(8)))) == (294, 104)


def claimed(layout: Layout, name: str) -> Claim | None:
    """Return what a table says of a name, with the number of the name's block."""
    pattern, number = generalise(name)
    claim = layout.claims.get(pattern)
    return claim and claim._replace(canonical=claim.canonical.replace(NUMBER, number))


@each_layout
def test_a_table_is_total(layout: Layout) -> None:
    assert [name for name in vit_large_names() if layout.names_of(name) is None] == []


@each_layout
def test_a_table_finds_its_way_back(layout: Layout) -> None:
    for name in vit_large_names():
        others = layout.names_of(name) or ()
        claims = [claimed(layout, other) for other in others]
        assert claims == [(name, part, len(others)) for part in range(len(others))]


@each_layout
def test_no_two_tensors_get_one_name(layout: Layout) -> None:
    names = Counter(spelled(layout, vit_large_names()))
    assert [name for name, count in names.items() if count > 1] == []


@each_layout
def test_a_name_that_is_canonical_too_means_the_same(layout: Layout) -> None:
    shared = {name: claimed(layout, name) for name in vit_large_names() if claimed(layout, name)}
    assert shared == {name: (name, 0, 1) for name in shared}


@each_layout
def test_only_the_decoder_is_ever_left_out(layout: Layout) -> None:
    dropped = {name for name in vit_large_names() if layout.names_of(name) == ()}
    assert dropped in (set(), set(decoder_names(8)))


@pytest.mark.parametrize(
    ("layout", "file"),
    [
        pytest.param(HF_VITMAE_V5, "ViTMAEForPreTraining.state_dict", id="in-memory"),
        pytest.param(HF_VITMAE_V5_SAVED, "ViTMAEForPreTraining.save_pretrained", id="saved"),
        pytest.param(HF_VITMAE_MODEL_V5, "ViTMAEModel.state_dict", id="model-in-memory"),
        pytest.param(HF_VITMAE_MODEL, "ViTMAEModel.save_pretrained", id="model-saved"),
    ],
)
def test_a_table_spells_exactly_the_names_of_transformers(layout: Layout, file: str) -> None:
    canonical = [*encoder_names(2), *decoder_names(1)]
    assert sorted(spelled(layout, canonical)) == sorted(TRANSFORMERS[file])


@pytest.mark.parametrize(
    ("layout", "canonical", "others"),
    [
        pytest.param(
            FACEBOOK,
            "blocks.23.attn.qkv.bias",
            ["blocks.23.attn.qkv.bias"],
            id="facebook",
        ),
        pytest.param(
            HF_VITMAE,
            "decoder_blocks.7.attn.qkv.weight",
            [
                f"decoder.decoder_layers.7.attention.attention.{part}.weight"
                for part in ("query", "key", "value")
            ],
            id="hub-decoder",
        ),
        pytest.param(
            HF_VITMAE,
            "blocks.10.mlp.fc2.weight",
            ["vit.encoder.layer.10.output.dense.weight"],
            id="hub-mlp",
        ),
        pytest.param(
            MMPRETRAIN, "blocks.0.mlp.fc1.bias", ["layers.0.ffn.layers.0.0.bias"], id="mm-mlp"
        ),
        pytest.param(MMPRETRAIN, "norm.weight", ["ln1.weight"], id="mm-final-norm"),
        pytest.param(MMPRETRAIN, "decoder_norm.bias", ["neck.ln1.bias"], id="mm-neck"),
        pytest.param(
            MMSEG, "blocks.3.attn.qkv.bias", ["layers.3.attn.attn.in_proj_bias"], id="mmseg-qkv"
        ),
        pytest.param(MMSEG, "mask_token", [], id="mmseg-drops-the-decoder"),
    ],
)
def test_a_name_is_spelled(layout: Layout, canonical: str, others: list[str]) -> None:
    assert list(layout.names_of(canonical) or ()) == others


@pytest.mark.parametrize(
    "name",
    [
        "blocks.{n}.norm1.weight",
        "blocks.07.norm1.weight",
        "blocks.-1.norm1.weight",
        "blocks.\u0661.norm1.weight",
        "blocks..norm1.weight",
        "blocks.1.norm1.weight ",
        "blocks.1.2.norm1.weight",
        "head.weight",
        "",
    ],
)
def test_a_name_that_only_looks_alike_is_not_claimed(name: str) -> None:
    assert claimed(FACEBOOK, name) is None
    assert FACEBOOK.names_of(name) is None


def test_the_first_number_is_the_block() -> None:
    assert generalise("layers.7.ffn.layers.0.0.bias") == ("layers.{n}.ffn.layers.0.0.bias", "7")


@pytest.mark.parametrize(
    "rules",
    [
        pytest.param((Rename("a", "x"), Rename("b", "x")), id="two-renames"),
        pytest.param((Rename("a", "x"), Join("b", ("y", "x"))), id="rename-and-join"),
        pytest.param((Rename("a", "x"), Dropped("a")), id="renamed-and-dropped"),
    ],
)
def test_a_table_that_cannot_be_reversed_is_refused(rules: tuple[Rename, ...]) -> None:
    with pytest.raises(ValueError, match="two rules"):
        Layout("twisted", rules)
