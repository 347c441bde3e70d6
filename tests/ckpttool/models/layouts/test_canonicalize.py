"""From a checkpoint's own names to the canonical ones, and what is said on the way."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from ckpttool.models.canonical import canonicalize
from ckpttool.models.families.mae import MAE
from ckpttool.models.layouts.hf_vitmae import HF_VITMAE, HF_VITMAE_V5_SAVED
from ckpttool.models.layouts.openmmlab import MMPRETRAIN
from ckpttool.tensors.dtypes import DTYPES
from tests.builders.layouts import catalogue, decoder_names, encoder_names, spelled, tensor
from tests.builders.repository import FIXTURES

if TYPE_CHECKING:
    from ckpttool.models.layouts.renames import Layout
    from ckpttool.tensors.catalogue import TensorInfo

TINY = [*encoder_names(2), *decoder_names(1)]
QKV = "blocks.0.attn.qkv.weight"
PARTS = tuple(
    f"vit.encoder.layer.0.attention.attention.{part}.weight" for part in ("query", "key", "value")
)
TRANSFORMERS = json.loads((FIXTURES / "transformers-5.23.0" / "names.json").read_text())


def hub_file(**replaced: TensorInfo | None) -> dict[str, TensorInfo]:
    """A tiny file of the hub; q, k or v of its first block replaced, or left out if ``None``."""
    tensors = catalogue(spelled(HF_VITMAE, TINY))
    for part, info in replaced.items():
        name = PARTS[("q", "k", "v").index(part)]
        del tensors[name]
        if info is not None:
            tensors[name] = info._replace(name=name)
    return tensors


@pytest.mark.parametrize("layout", MAE.layouts, ids=[one.name for one in MAE.layouts])
def test_every_layout_is_recognised_and_undone(layout: Layout) -> None:
    wanted = [name for name in TINY if layout.names_of(name)]
    found = canonicalize(catalogue(spelled(layout, TINY)))
    assert (found.layout, found.prefix) == (layout.name, "")
    assert list(found.tensors) == wanted
    assert [info.name for info in found.tensors.values()] == wanted
    assert (found.unclaimed, found.problems) == ((), ())


@pytest.mark.parametrize("file", [key for key in TRANSFORMERS if key != "transformers"])
def test_names_and_shapes_of_transformers_become_the_published_ones(file: str) -> None:
    tensors = {name: tensor(name, tuple(shape)) for name, shape in TRANSFORMERS[file].items()}
    found = canonicalize(tensors)
    wanted = encoder_names(2) if file.startswith("ViTMAEModel") else TINY
    assert sorted(found.tensors) == sorted(wanted)
    assert found.tensors["blocks.1.attn.qkv.weight"].shape == (48, 16)
    assert found.tensors["blocks.1.attn.qkv.bias"].shape == (48,)
    assert (found.unclaimed, found.problems) == ((), ())


def test_an_encoder_alone_of_either_saved_form_has_the_hubs_name() -> None:
    found = canonicalize(catalogue(spelled(HF_VITMAE_V5_SAVED, encoder_names(2))))
    assert found.layout == "hf-vitmae"


def test_a_decoder_alone_is_recognised() -> None:
    assert canonicalize(catalogue(decoder_names(1))).layout == "facebook"


def test_joining_puts_the_extents_one_after_the_other() -> None:
    tensors = hub_file()
    joined = canonicalize(tensors).tensors[QKV]
    assert (joined.shape, joined.strides, joined.dtype.name) == ((6, 2), None, "float32")
    assert joined.extents == tuple(tensors[part].extents[0] for part in PARTS)


def test_the_parts_are_joined_in_the_tables_order_not_the_files() -> None:
    tensors = hub_file()
    backwards = {name: tensors[name] for name in reversed(list(tensors))}
    assert (
        canonicalize(backwards).tensors[QKV].extents == canonicalize(tensors).tensors[QKV].extents
    )


def test_a_joined_tensor_stands_where_its_first_part_did() -> None:
    tensors = hub_file()
    # the value part first of all, the query part (the table's first) last
    order = [PARTS[2], *(name for name in tensors if name not in PARTS), PARTS[1], PARTS[0]]
    assert list(canonicalize({name: tensors[name] for name in order}).tensors)[-1] == QKV


def test_origins_are_the_checkpoints_own_names() -> None:
    found = canonicalize({f"module.{name}": info for name, info in hub_file().items()})
    assert found.origins[QKV] == tuple(f"module.{part}" for part in PARTS)
    assert found.origins["norm.bias"] == ("module.vit.layernorm.bias",)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.module.", "module.model.backbone."])
@pytest.mark.parametrize("layout", MAE.layouts, ids=[one.name for one in MAE.layouts])
def test_a_chain_of_prefixes_is_set_aside(layout: Layout, prefix: str) -> None:
    names = spelled(layout, TINY)
    found = canonicalize(catalogue(prefix + name for name in names))
    assert (found.layout, found.prefix) == (layout.name, prefix)
    assert list(found.tensors) == list(canonicalize(catalogue(names)).tensors)


def test_the_encoder_of_hugging_face_is_no_prefix() -> None:
    tensors = catalogue(name[len("vit.") :] for name in spelled(HF_VITMAE, encoder_names(1)))
    assert "encoder.layer.0.layernorm_before.weight" in tensors
    found = canonicalize(tensors)
    assert (found.layout, found.prefix) == ("hf-vitmae-model", "")


def test_a_prefix_is_taken_only_from_the_names_that_carry_it() -> None:
    names = spelled(MMPRETRAIN, TINY)
    own = [name if name.startswith("neck.") else f"backbone.{name}" for name in names]
    found = canonicalize(catalogue(own))
    assert (found.layout, found.prefix) == ("mmpretrain", "backbone.")
    assert sorted(found.tensors) == sorted(TINY)


def test_of_two_names_that_become_one_that_behind_the_prefix_is_taken() -> None:
    tensors = catalogue(["norm.weight", *(f"encoder.{name}" for name in encoder_names(1))])
    found = canonicalize(tensors)
    assert (found.layout, found.prefix) == ("facebook", "encoder.")
    assert found.origins["norm.weight"] == ("encoder.norm.weight",)
    assert found.origins["norm.weight (not taken)"] == ("norm.weight",)
    assert found.unclaimed == ("norm.weight (not taken)",)
    assert found.problems == (
        "1 tensor could be the model's too, and stands aside: norm.weight (for norm.weight,"
        " encoder.norm.weight was taken)",
    )


def test_a_teacher_beside_a_student_is_not_taken_apart() -> None:
    student = encoder_names(1)
    tensors = catalogue([*(f"encoder.{name}" for name in student), *student])
    found = canonicalize(tensors)
    assert (found.layout, found.prefix) == ("facebook", "")
    assert found.unclaimed == tuple(f"encoder.{name}" for name in student)
    assert list(found.tensors) == list(tensors)


def test_a_name_that_no_rule_claims_is_kept_and_listed() -> None:
    names = [f"module.{name}" for name in [*encoder_names(1), "head.weight"]]
    found = canonicalize(catalogue(names))
    assert found.unclaimed == ("head.weight",)
    assert found.origins["head.weight"] == ("module.head.weight",)
    assert found.tensors["head.weight"].name == "head.weight"


@pytest.mark.parametrize(
    "names",
    [
        pytest.param([], id="nothing"),
        pytest.param([f"model.layers.{n}.self_attn.q_proj.weight" for n in range(9)], id="llama"),
        pytest.param(
            ["patch_embed.proj.weight", "norm.weight"]
            + [f"layers.{n}.blocks.0.norm1.weight" for n in range(15)],
            id="swin-with-the-same-anchor",
        ),
        pytest.param(["xblocks.0.norm1.weight", "mymodule.cls_token"], id="look-alikes"),
    ],
)
def test_an_unknown_models_names_are_left_as_they_are(names: list[str]) -> None:
    tensors = catalogue(names)
    found = canonicalize(tensors)
    assert (found.layout, found.prefix, found.problems) == (None, "", ())
    assert (found.tensors, found.unclaimed) == (tensors, tuple(names))
    assert found.origins == {name: (name,) for name in names}


@pytest.mark.parametrize(
    ("replaced", "why"),
    [
        pytest.param({"k": None}, "it has 3 parts, and there is only", id="no-key"),
        pytest.param(
            {"v": tensor("")._replace(dtype=DTYPES["float16"])}, "differ in dtype", id="half-value"
        ),
        pytest.param({"v": tensor("", (2, 3))}, "differ in shape", id="wide-value"),
        pytest.param(
            {"q": tensor("", (4, 2)), "k": tensor("", (1, 2)), "v": tensor("", (1, 2))},
            "differ in shape",
            id="rows-that-add-up",
        ),
        pytest.param({"q": tensor("")._replace(strides=(1, 2))}, "strided", id="transposed"),
        pytest.param({"q": tensor("")._replace(big_endian=True)}, "byte order", id="big-endian"),
        pytest.param({part: tensor("", ()) for part in "qkv"}, "0 dimensions", id="scalars"),
        pytest.param(
            {part: tensor("", (1, 1))._replace(dtype=DTYPES["float4_e2m1"]) for part in "qkv"},
            "whole bytes",
            id="half-bytes",
        ),
    ],
)
def test_parts_that_do_not_join_stay_apart(
    replaced: dict[str, TensorInfo | None], why: str
) -> None:
    tensors = hub_file(**replaced)
    found = canonicalize(tensors)
    kept = [part for part in PARTS if part in tensors]
    assert QKV not in found.tensors
    assert [found.tensors[part] for part in kept] == [tensors[part] for part in kept]
    assert [found.origins[part] for part in kept] == [(part,) for part in kept]
    (problem,) = found.problems
    assert problem.startswith(QKV)
    assert why in problem


@pytest.mark.parametrize("name", ["norm.weight", QKV])
def test_a_stranger_with_a_canonical_name_stands_aside_and_is_told_of(name: str) -> None:
    stranger = tensor(name, (7, 7))
    tensors = {**hub_file(), name: stranger}
    found = canonicalize(tensors)
    assert found.tensors[f"{name} (not taken)"].shape == (7, 7)
    assert found.tensors[name].shape != (7, 7)
    assert found.unclaimed == (f"{name} (not taken)",)
    assert sorted(origin for own in found.origins.values() for origin in own) == sorted(tensors)
    (problem,) = found.problems
    assert name in problem
