"""What is gone from numbered names is told by layers and experts, and nothing else is claimed."""

from __future__ import annotations

from typing import Callable, List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckpttool.findings.holes import holes_of, missing_in_words, places_in_words

LAYERS, EXPERTS = 30, 64
MODEL = [
    "model.embed_tokens.weight",
    *(
        f"model.layers.{layer}.{part}.weight"
        for layer in range(LAYERS)
        for part in ("input_layernorm", "self_attn.q_proj", "mlp.gate")
    ),
    *(
        f"model.layers.{layer}.mlp.experts.{expert}.{part}"
        for layer in range(1, LAYERS)
        for expert in range(EXPERTS)
        for part in ("down_proj.weight", "up_proj.weight", "up_proj.scale")
    ),
    *(f"visual.h.{number}.ln.{part}" for number in range(4) for part in ("weight", "bias")),
    "lm_head.weight",
    "model.norm.weight",
]

Which = Callable[[str], bool]


def gone(which: Which) -> List[str]:
    return [name for name in MODEL if which(name)]


@pytest.mark.parametrize(
    ("which", "words"),
    [
        (lambda name: ".layers.17." in name, "layer 17 of model.layers is missing whole"),
        (
            lambda name: ".layers.17." in name or name == "lm_head.weight",
            "layer 17 of model.layers is missing whole (195 tensors); and lm_head.weight",
        ),
        (
            lambda name: name.startswith(("model.layers.0.", "visual.h.3.")),
            "layer 0 of model.layers is missing whole (3 tensors); "
            "item 3 of visual.h is missing whole (2 tensors)",
        ),
        (
            lambda name: name.startswith(("model.layers.4.", "model.layers.5.", "model.layers.9.")),
            "3 of 30 layers of model.layers are missing whole (layers 4-5, 9)",
        ),
        (
            lambda name: (
                name in (f"model.layers.3.mlp.experts.{one}.down_proj.weight" for one in (5, 9))
            ),
            "2 of 64 experts of model.layers.3.mlp.experts lack down_proj.weight (experts 5, 9)",
        ),
        (
            lambda name: ".3.mlp.experts.5." in name,
            "expert 5 of model.layers.3.mlp.experts is missing whole",
        ),
        (
            lambda name: ".mlp.experts.5." in name,
            "29 of 1,856 experts of model.layers.{1-29}.mlp.experts are missing whole",
        ),
        (
            lambda name: ".3.mlp.experts." in name,
            "1 of 30 layers of model.layers lacks mlp.experts (layer 3)",
        ),
        (
            lambda name: name.endswith(".scale"),
            "all 1,856 experts of model.layers.{1-29}.mlp.experts lack up_proj.scale",
        ),
        (
            lambda name: ".7.self_attn." in name or ".7.mlp.gate." in name,
            "1 of 30 layers of model.layers lacks self_attn.q_proj.weight, mlp.gate.weight "
            "(layer 7)",
        ),
        (
            lambda name: name.endswith("mlp.gate.weight"),
            "all 30 layers of model.layers lack mlp.gate.weight",
        ),
        (lambda name: name.startswith("visual."), "visual is missing whole"),
        (lambda name: name in ("lm_head.weight", "model.norm.weight"), ""),
        (lambda name: name == "", ""),
    ],
)
def test_what_is_missing_is_said_in_words(which: Which, words: str) -> None:
    assert missing_in_words(gone(which), MODEL) == words


@pytest.mark.parametrize(
    ("which", "words"),
    [
        (lambda name: ".layers.17." in name, "all of layer 17 of model.layers"),
        (
            lambda name: name.startswith(("visual.h.0.", "visual.h.2.")),
            "2 of 4 items of visual.h, all of each (items 0, 2)",
        ),
        (
            lambda name: (
                name in ("model.layers.3.mlp.gate.weight", "model.layers.8.mlp.gate.weight")
            ),
            "mlp.gate.weight in 2 of 30 layers of model.layers (layers 3, 8)",
        ),
        (lambda name: name.startswith("visual."), "all of visual"),
        (lambda name: name == "lm_head.weight", ""),
    ],
)
def test_where_names_lie_is_said_in_words(which: Which, words: str) -> None:
    assert places_in_words(gone(which), MODEL) == words


def test_numbers_that_count_unlike_things_are_no_units() -> None:
    halves = ("0.attention.q", "0.norm", "1.mlp.wi", "1.norm")
    names = [f"block.{block}.layer.{half}" for block in range(6) for half in halves]
    # the halves of a block differ, and so the block is what lacks a part
    assert missing_in_words(["block.4.layer.0.attention.q"], names) == (
        "1 of 6 blocks of block lacks layer.0.attention.q (block 4)"
    )
    assert missing_in_words(["block.4.layer.0.norm"], names) == (
        "1 of 2 layers of block.4.layer lacks norm (layer 0)"
    )


def test_a_number_alone_is_no_stack() -> None:
    names = ["head.1.weight", "head.1.bias", "body.weight"]
    assert missing_in_words(["head.1.bias"], names) == ""
    assert missing_in_words(["body.weight"], names) == ""


@pytest.mark.parametrize(
    "names",
    [
        [f"{'a.' * 150}{number}" for number in range(1000)],
        [f"{'x' * 300}.{number}.weight" for number in range(1000)],
        [".".join(map(str, range(number, number + 9))) for number in range(1000)],
        ["..0..", "", ".", "..0", "0.weight", "1.weight"],
        [f"a\n.{number}.b" for number in range(9)],
        ["a.\u0661.b", "a.\u0662.b", "a.007.b", "a.99999999999999999999.b"],
    ],
)
def test_names_of_no_model_are_not_put_into_words(names: List[str]) -> None:
    assert missing_in_words(names[::2], names) == ""


def test_more_beginnings_than_any_model_has_are_not_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ckpttool.findings.holes._MOST_BEGINNINGS", 100)
    names = [f"a.{number}.b.{number}.c" for number in range(200)]
    assert missing_in_words(names, names) == ""
    assert missing_in_words(names[:1], names) != ""


PARTS = st.sampled_from(["a", "b", "layers", "0", "1", "2", "10", "", "w"])
NAMES = st.lists(st.lists(PARTS, min_size=1, max_size=6).map(".".join), unique=True, max_size=40)


@given(NAMES)
def test_every_name_is_counted_once(names: List[str]) -> None:
    some = [name for number, name in enumerate(names) if (number * 7) % 3]
    holes, alone = holes_of(some, names)
    assert sum(hole.names for hole in holes) + len(alone) == len(some)
    assert all(0 <= hole.units <= hole.all_units for hole in holes)
    words = missing_in_words(some, names)
    assert bool(words) is bool(holes)
