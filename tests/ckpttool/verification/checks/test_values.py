from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ckpttool.findings import rules
from ckpttool.findings.finding import causes_only
from ckpttool.findings.rules import Severity
from ckpttool.tensors.catalogue import Checksum
from ckpttool.verification.checks import initial
from ckpttool.verification.checks import values as numbers
from tests.builders import evidence as built
from tests.builders.tensors import endless_views, from_array, in_memory

if TYPE_CHECKING:
    from typing import Callable

    from ckpttool.findings.finding import Finding
    from ckpttool.verification.evidence import Evidence
    from tests.builders.evidence import Arrays

CHECKS = (
    numbers.check_not_finite,
    numbers.check_constant_weights,
    initial.check_initial,
    numbers.check_everything_was_read,
    numbers.check_checksums,
)


def findings(evidence: Evidence) -> list[Finding]:
    return [found for check in CHECKS for found in check(evidence)]


def changed(change: Callable[[Arrays], object]) -> list[Finding]:
    """The findings about sound weights after one change."""
    arrays = built.trained()
    change(arrays)
    return findings(built.evidence(arrays))


def put(name: str, index: Any, value: float) -> Callable[[Arrays], object]:
    def change(arrays: Arrays) -> None:
        arrays[name][index] = value

    return change


def test_trained_weights_have_no_finding() -> None:
    assert findings(built.evidence(built.trained())) == []


FC1 = "blocks.1.mlp.fc1.weight"


@pytest.mark.parametrize(
    ("change", "rule", "tensor"),
    [
        pytest.param(put(FC1, (2, 3), float("nan")), rules.NAN, FC1, id="NaN"),
        pytest.param(put(FC1, 0, float("-inf")), rules.INFINITE, FC1, id="infinity"),
        pytest.param(put(FC1, ..., 0), rules.ALL_ZERO, FC1, id="zero"),
        pytest.param(put(FC1, ..., -0.0), rules.ALL_ZERO, FC1, id="negative zero"),
        pytest.param(put(FC1, ..., 0.5), rules.CONSTANT, FC1, id="constant"),
        pytest.param(
            put("blocks.1.mlp.fc1.bias", ..., 0),
            rules.CONSTANT_VECTOR,
            "blocks.1.mlp.fc1.bias",
            id="constant bias",
        ),
        pytest.param(
            put("decoder_norm.weight", ..., 1),
            rules.CONSTANT_VECTOR,
            "decoder_norm.weight",
            id="one LayerNorm only",
        ),
    ],
)
def test_one_defect_is_one_finding(
    change: Callable[[Arrays], object], rule: rules.Rule, tensor: str
) -> None:
    found = changed(change)
    assert [(one.rule, one.tensor) for one in found] == [(rule, tensor)]
    assert found[0].severity is rule.severity


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(put(FC1, (slice(None), slice(0, 7)), 0), id="nearly all zero"),
        pytest.param(lambda arrays: arrays.update(ids=np.zeros((2, 3), int)), id="integers"),
        pytest.param(
            lambda arrays: arrays.update(scale=np.ones((1, 1), np.float32)), id="one element"
        ),
        pytest.param(lambda arrays: arrays.update(none=np.ones((0, 4), np.float32)), id="empty"),
        pytest.param(lambda arrays: arrays.update(z=np.ones((2, 2), np.complex64)), id="complex"),
    ],
)
def test_what_is_fine_stays_quiet(change: Callable[[Arrays], object]) -> None:
    assert changed(change) == []


def test_count_and_share_are_told() -> None:
    (found,) = changed(put(FC1, 0, float("nan")))
    assert found.message == "8 of 64 numbers (12.5 %): NaN"


def test_many_tensors_with_nan_end_in_one_finding() -> None:
    arrays = {f"blocks.{n}.w": np.full((2, 2), np.nan, np.float32) for n in range(30)}
    arrays.update({f"decoder_blocks.{n}.w": np.eye(2, dtype=np.float32) for n in range(31)})
    found = findings(built.evidence(arrays))
    assert [one.rule for one in found] == [rules.NAN] * 9
    assert (found[-1].tensor, found[-1].message) == (
        "blocks.{8-29}.w",
        "22 tensors more: 88 of 88 numbers (100 %): NaN",
    )


# --- most of the file ---------------------------------------------------------------------


def spoilt(value: float, kept: tuple[str, ...] = ("pos_embed", "decoder_pos_embed")) -> Arrays:
    """Sound weights with one value in all tensors but a few."""
    arrays = built.trained()
    for name, array in arrays.items():
        if name not in kept:
            array[...] = value
    return arrays


@pytest.mark.parametrize(
    ("value", "rule", "message"),
    [
        (np.nan, rules.NAN, "22 of 24 tensors are entirely NaN: the run diverged"),
        (np.inf, rules.INFINITE, "22 of 24 tensors are entirely infinity"),
        (
            0,
            rules.ALL_ZERO,
            "22 of 24 tensors are zero everywhere: most of the model is not in this file",
        ),
    ],
)
def test_most_of_the_tensors_are_one_finding(value: float, rule: rules.Rule, message: str) -> None:
    found = causes_only(findings(built.evidence(spoilt(value))))
    assert [(one.rule, one.message, len(one.tensors)) for one in found] == [(rule, message, 22)]


def test_some_nan_in_most_tensors_is_not_called_entire() -> None:
    arrays = built.trained()
    for array in arrays.values():
        array[..., 0] = np.nan
    (found,) = findings(built.evidence(arrays))
    assert found.message == "24 of 24 tensors hold NaN"


def test_tensors_with_some_nan_are_counted_beside_those_of_nothing_else() -> None:
    arrays = spoilt(np.nan)
    arrays["blocks.0.norm1.bias"] = np.array([np.nan, *range(7)], np.float32)
    (found,) = findings(built.evidence(arrays))
    assert found.message == (
        "21 of 24 tensors are entirely NaN: the run diverged; 1 more holds some"
    )


def test_a_constant_among_nan_follows_from_it_and_alone_it_does_not() -> None:
    arrays = spoilt(np.nan)
    arrays[FC1][...] = 0.5
    arrays["blocks.0.norm1.bias"][...] = 0.0
    found = findings(built.evidence(arrays))
    assert [one.rule for one in found] == [rules.NAN, rules.CONSTANT, rules.CONSTANT_VECTOR]
    assert [one.rule for one in causes_only(found)] == [rules.NAN]

    arrays = built.trained()
    arrays["blocks.0.norm1.bias"][...] = np.nan
    arrays[FC1][...] = 0.5
    (nan, constant) = causes_only(findings(built.evidence(arrays)))
    assert (nan.rule, constant.rule) == (rules.NAN, rules.CONSTANT)


def test_zero_gains_and_biases_are_not_most_of_the_model() -> None:
    arrays = built.trained()
    for array in arrays.values():
        if array.ndim == 1:
            array[...] = 0
    assert {one.rule for one in findings(built.evidence(arrays))} == {rules.CONSTANT_VECTOR}


def test_zero_weights_share_a_finding() -> None:
    arrays = {f"blocks.{n}.w": np.zeros((2, 2), np.float32) for n in range(3)}
    (found,) = findings(built.evidence(arrays))
    assert (found.tensor, found.message) == ("blocks.{0-2}.w", "3 weights zero everywhere")


def test_initial_layernorms_are_not_told_twice() -> None:
    (found,) = findings(built.evidence(built.untrained()))
    assert found.rule is rules.CONSTANT_VECTOR
    assert found.tensor == "blocks.{0-2}.mlp.fc1.bias, decoder_blocks.{0-1}.mlp.fc1.bias"


def test_views_that_expand_too_far_are_an_error() -> None:
    tensors = {**endless_views(20, 1 << 20), "honest": from_array(np.arange(4.0), "honest")}
    (found,) = findings(built.evidence(tensors))
    assert (found.rule, found.tensor) == (
        rules.AMPLIFICATION,
        "view0, view1, view2, view3, "
        "view4, view5, view6, view7, view8, view9, view10, view11 and 8 more",
    )


def test_a_type_without_statistics_is_said_to_be_unexamined() -> None:
    (found,) = findings(built.evidence({"w": in_memory(b"abc", "float4_e2m1", (6,))}))
    assert (found.rule, found.tensor) == (rules.VALUES_NOT_READ, "w")


@pytest.mark.parametrize(("skipped", "reason"), [({}, "they were not read"), ({"a": "x"}, "x")])
def test_a_tensor_without_values_is_said_to_be_unexamined(
    skipped: dict[str, str], reason: str
) -> None:
    sound = built.evidence({"a": np.arange(4.0)})
    values = sound.values._replace(tensors={}, skipped=skipped)
    (found,) = findings(sound._replace(values=values))
    assert found.rule is rules.VALUES_NOT_READ
    assert found.message.endswith(reason)


@pytest.mark.parametrize(("crc32", "number"), [(0xED82CD11, 0), (0xED82CD12, 1)])
def test_a_wrong_checksum_is_an_error(crc32: int, number: int) -> None:
    info = in_memory(b"abcd", "uint8", (4,))  # the CRC-32 of "abcd" is ed82cd11
    checksum = Checksum("archive/data/0", info.extents[0], crc32)
    found = findings(built.evidence({"a": info}, checksums=[checksum]))
    assert [one.rule for one in found] == [rules.CHECKSUM] * number
    assert [(one.expected, one.found) for one in found] == [("ed82cd12", "ed82cd11")] * number


# --- what the model has no place for ----------------------------------------------------


def beside_the_model(**more: Any) -> list[Finding]:
    """The findings about sound weights with honest buffers, and others, beside them."""
    beside = {**built.honest_buffers(), **more}
    arrays = {**built.trained(), **beside}
    return findings(built.evidence(arrays, coverage=built.covering(beside)))


def test_of_buffers_and_of_layers_that_begin_at_zero_nothing_but_notes_are_said() -> None:
    found = {one.rule: one for one in beside_the_model()}
    assert {one.severity for one in found.values()} == {Severity.NOTE}
    assert set(found) == {rules.ALL_ZERO, rules.CONSTANT, rules.CONSTANT_VECTOR, rules.INFINITE}
    assert found[rules.ALL_ZERO].tensors == (
        "blocks.0.attn.bias_mask",
        "blocks.0.lora_B.weight",
        "blocks.0.adaLN_modulation.weight",
        "zero_conv.weight",
    )
    assert found[rules.CONSTANT].tensors == ("anchors",)
    assert found[rules.INFINITE].tensors == ("blocks.0.attn.causal", "blocks.1.attn.causal")
    assert "initialised" not in found[rules.CONSTANT_VECTOR].message


def test_a_weight_of_the_model_is_an_error_beside_them() -> None:
    arrays = {**built.trained(), **built.honest_buffers()}
    arrays[FC1][:] = 0
    found = findings(built.evidence(arrays, coverage=built.covering(built.honest_buffers())))
    errors = [one for one in found if one.severity is Severity.ERROR]
    assert [(one.rule, one.tensors) for one in errors] == [(rules.ALL_ZERO, (FC1,))]


def test_a_block_beyond_the_models_depth_is_made_of_weights() -> None:
    deeper = "blocks.7.mlp.fc1.weight"
    (zero,) = [
        one
        for one in beside_the_model(**{deeper: np.zeros((8, 8), np.float32)})
        if one.severity is Severity.ERROR
    ]
    assert (zero.rule, zero.tensors) == (rules.ALL_ZERO, (deeper,))


@pytest.mark.parametrize(
    ("array", "rule"),
    [
        pytest.param(np.array([[0, -np.inf], [np.nan, 0]]), rules.NAN, id="NaN in a mask"),
        pytest.param(np.array([[0, -np.inf], [1, 0]]), rules.INFINITE, id="two numbers"),
        pytest.param(np.full((2, 2), -np.inf), rules.INFINITE, id="infinity alone"),
    ],
)
def test_what_is_no_mask_is_a_warning(array: Any, rule: rules.Rule) -> None:
    found = [one for one in beside_the_model(x=array.astype("f4")) if one.tensors == ("x",)]
    assert (rule, Severity.WARNING) in {(one.rule, one.severity) for one in found}


def test_nothing_that_the_model_has_no_place_for_is_an_error() -> None:
    beside = {
        "head.last_layer.weight_g": np.ones((64, 1)),
        "head.frozen.weight": np.ones((8, 8)),
        "ema.decay": np.full((2, 2), np.nan),
        "queue": np.zeros((8, 8)),
        **{f"log.{n}": np.full((2, 2), np.nan) for n in range(100)},
    }
    found = beside_the_model(**{name: array.astype("f4") for name, array in beside.items()})
    assert Severity.ERROR not in {one.severity for one in found}
    (nan,) = [one for one in found if one.rule is rules.NAN]
    assert (len(nan.tensors), nan.severity) == (101, Severity.WARNING)
    assert nan.message == (
        "101 tensors that the model has no place for: 404 of 404 numbers (100 %): NaN"
    )


@pytest.mark.parametrize("shape", [(1, 1, 8), (8, 1, 1), (1, 8)])
def test_a_vector_is_one_in_whatever_shape(shape: tuple[int, ...]) -> None:
    (found,) = changed(lambda arrays: arrays.update(token=np.zeros(shape, np.float32)))
    assert (found.rule, found.severity) == (rules.CONSTANT_VECTOR, Severity.NOTE)


@pytest.mark.parametrize(
    ("name", "value", "initial"),
    [
        ("blocks.1.mlp.fc1.bias", 0, True),
        ("blocks.1.norm1.weight", 1, True),
        ("blocks.1.norm1.weight", 0, False),
        ("blocks.1.mlp.fc1.bias", 0.5, False),
    ],
)
def test_only_the_value_that_the_model_begins_with_is_called_initial(
    name: str, value: float, initial: bool
) -> None:
    (found,) = changed(put(name, ..., value))
    assert ("as initialised" in found.message) is initial
