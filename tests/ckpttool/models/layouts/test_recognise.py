"""What stands before and inside names is found, and what else is there stays as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Iterable

import pytest

from ckpttool.models.canonical import canonicalize
from ckpttool.models.layouts.hf_vitmae import HF_VITMAE
from tests.builders.kinds import not_merged
from tests.builders.layouts import (
    OTHER_MODELS,
    WRAPPED,
    catalogue,
    decoder_names,
    encoder_names,
    spelled,
)

if TYPE_CHECKING:
    from ckpttool.models.canonical import Canonical
    from tests.builders.layouts import Wrapped

TINY = [*encoder_names(2), *decoder_names(1)]


def recognised(names: list[str]) -> Canonical:
    """The tensors of a file that has these names."""
    return canonicalize(catalogue(names))


def removed(found: Canonical) -> list[tuple[str, int]]:
    """What was taken out, from how many names; inside of names, with a dot before it."""
    return [(f".{one.text}" if one.inside else one.text, one.names) for one in found.removed]


@pytest.mark.parametrize("case", WRAPPED.values(), ids=WRAPPED)
def test_what_wrappers_put_into_names_is_found_and_counted(case: Wrapped) -> None:
    found = recognised(case.names)
    assert removed(found) == case.removed
    assert found.prefix == case.prefix
    assert sorted(found.unclaimed) == sorted(case.beside)
    assert sorted(set(found.tensors) - set(found.unclaimed)) == sorted(case.model)
    assert found.problems == ()
    assert sorted(own for owns in found.origins.values() for own in owns) == sorted(case.names)


@pytest.mark.parametrize("names", OTHER_MODELS.values(), ids=OTHER_MODELS)
def test_the_names_of_other_models_stay_as_they_are(names: list[str]) -> None:
    found = recognised(names)
    assert (found.layout, found.prefix, found.removed) == (None, "", ())
    assert list(found.tensors) == names


FORK = [
    name.replace(".mlp.", ".") if stem is None else name.replace(stem, part)
    for name in encoder_names(2)
    for stem in (".attn.qkv." if ".attn.qkv." in name else None,)
    for part in ([f".attn.{one}_proj." for one in "qkv"] if stem else [""])
]


def test_modules_that_a_fork_calls_otherwise_are_recognised_and_named() -> None:
    found = recognised(FORK)
    assert found.layout == (
        "facebook with attn.q_proj+k_proj+v_proj for attn.qkv, fc1 for mlp.fc1, fc2 for mlp.fc2"
    )
    assert list(found.tensors) == encoder_names(2)
    assert found.tensors["blocks.1.attn.qkv.weight"].shape == (6, 2)
    assert (found.unclaimed, found.problems) == ((), ())


def test_a_fork_may_be_wrapped_as_any_other() -> None:
    found = recognised([name.replace("blocks.", "net.blocks._orig_mod.") for name in FORK])
    assert (found.layout or "").startswith("facebook with attn.q_proj")
    assert removed(found) == [("net.", 36 - 4), ("._orig_mod.", 36 - 4)]


def test_a_name_with_a_prefix_is_counted_once_where_its_parts_do_not_join() -> None:
    names = [f"net.{name}" for name in FORK if name != "blocks.1.attn.k_proj.bias"]
    found = recognised(names)
    assert len(found.problems) == 1
    assert removed(found) == [("net.", len(names))]


def test_adapters_of_a_forks_query_and_value_are_left_beside_it() -> None:
    names = []
    for name in FORK:
        stem, _, leaf = name.rpartition(".")
        adapted = stem.endswith(("q_proj", "v_proj"))
        names.append(f"{stem}.base_layer.{leaf}" if adapted else name)
        if adapted and leaf == "weight":
            names += [f"{stem}.lora_{side}.default.weight" for side in "AB"]
    found = recognised(names)
    assert removed(found) == [(".base_layer.", 8)]
    assert (len(found.unclaimed), found.problems) == (8, ())


@pytest.mark.parametrize("order", [sorted, list, lambda names: sorted(names)[::-1]])
def test_of_a_head_that_peft_trained_it_is_the_trained_one(
    order: Callable[[Iterable[str]], list[str]],
) -> None:
    found = recognised(order(not_merged()))
    trained = "base_model.model.classifier.modules_to_save.default.weight"
    assert found.origins["head.weight"] == (trained,)
    assert sum("original_module" in name for name in found.unclaimed) == 2


def test_a_block_of_one_convention_among_names_of_another_is_said() -> None:
    names = [name.replace(".norm1.", ".ln1.").replace(".norm2.", ".ln2.") for name in TINY]
    found = recognised(names)
    assert found.layout == "facebook with ln1 for norm1, ln2 for norm2"
    assert list(found.tensors) == TINY


def test_a_module_that_stands_aside_is_no_departure() -> None:
    found = recognised([*TINY, "blocks.0.ln1.weight"])
    assert (found.layout, found.unclaimed) == ("facebook", ("blocks.0.ln1.weight",))
    assert len(found.problems) == 1


def test_biases_of_query_and_value_without_the_keys_stay_apart() -> None:
    names = [
        part
        for name in encoder_names(2)
        for part in (
            [name.replace("qkv.bias", f"{one}_bias") for one in "qv"]
            if name.endswith("qkv.bias")
            else [name]
        )
    ]
    found = recognised(names)
    apart = tuple(f"blocks.{n}.attn.{one}_bias" for n in range(2) for one in "qv")
    assert (found.apart, found.unclaimed, found.problems) == (apart, (), ())
    assert list(found.tensors) == names
    assert found.layout == ("facebook with attn.q_bias+v_bias for attn.qkv.bias (the key has none)")


def test_one_part_of_a_forks_tensor_is_not_taken_for_it() -> None:
    names = [name.replace(".qkv.", ".v.") for name in encoder_names(2)]
    found = recognised([*names, "blocks.0.attn.qk.weight", "blocks.1.attn.qk.weight"])
    assert (found.layout, found.problems) == ("facebook", ())
    assert "blocks.0.attn.v.weight" in found.unclaimed


def test_a_classifier_beside_an_encoder_of_hugging_face_is_a_head() -> None:
    names = [*spelled(HF_VITMAE, encoder_names(2)), "classifier.weight", "classifier.bias"]
    found = recognised(names)
    assert (found.layout, found.prefix) == ("hf-vitmae", "")
    assert found.unclaimed == ()
    assert found.origins["head.weight"] == ("classifier.weight",)


def test_that_another_prefix_fits_too_is_said() -> None:
    case = WRAPPED["a student and a teacher"]
    assert [tuple(one) for one in recognised(case.names).rivals] == [("teacher.backbone.", 30)]
    assert recognised(WRAPPED["a module of Lightning"].names).rivals == ()


def test_a_bare_model_is_taken_before_a_copy_of_it_behind_a_prefix() -> None:
    found = recognised([*(f"ema.{name}" for name in TINY), *TINY])
    assert (found.prefix, found.removed) == ("", ())
    assert [tuple(one) for one in found.rivals] == [("ema.", len(TINY))]


def test_the_larger_of_two_models_is_taken_whatever_comes_first() -> None:
    names = [f"predictor.{name}" for name in encoder_names(1)]
    found = recognised([*names, *(f"encoder.{name}" for name in encoder_names(3))])
    assert found.prefix == "encoder."


@pytest.mark.parametrize("models", [2, 100])
def test_of_a_list_of_models_nothing_is_lost(models: int) -> None:
    names = [f"models.{number}.{name}" for number in range(models) for name in encoder_names(1)]
    found = recognised(names)
    assert len(found.tensors) == len(names)
    assert found.prefix == ("models.0." if models == 2 else "")


@pytest.mark.parametrize("character", ["\n", "{n}", "\x1b[2J", "::error::", "#"])
def test_names_with_strange_characters_stay_as_they_are(character: str) -> None:
    strange = [f"{character}.0.x", f"blocks.{character}.norm1.weight", f"blocks.0.{character}"]
    found = recognised([*TINY, *strange])
    assert found.unclaimed == tuple(strange)
    assert list(found.tensors) == [*TINY, *strange]


@pytest.mark.parametrize(
    "names",
    [
        pytest.param([f"p{n}.blocks.0.norm1.weight" for n in range(30_000)], id="prefixes"),
        pytest.param([f"blocks.0.w{n}.norm1.weight" for n in range(30_000)], id="wrappers"),
        pytest.param([f"x.{n}.blocks.{n}.norm1.weight" for n in range(30_000)], id="numbers"),
        pytest.param([f"{'a.' * 50_000}blocks.{n}.norm1.weight" for n in range(9)], id="dots"),
        pytest.param([f"blocks.{'9' * 5_000}{n}.norm1.weight" for n in range(9)], id="digits"),
    ],
)
def test_hostile_names_are_all_kept(names: list[str]) -> None:
    found = recognised([*TINY, *names])
    assert len(found.tensors) == len(TINY) + len(names)
