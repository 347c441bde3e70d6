"""Names that differ only in what wrappers put into them are pairs; chance makes none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ckpttool.comparison.wrapped import without_wrappers
from tests.builders.layouts import WRAPPED, catalogue, decoder_names, encoder_names, tensor

if TYPE_CHECKING:
    from tests.builders.layouts import Wrapped

TEACHER = "a student and a teacher"
CASES = {label: case for label, case in WRAPPED.items() if label != TEACHER}
ENCODER = encoder_names(2)


def pairs(left: list[str], right: list[str]) -> dict[str, str]:
    """The pairs, after a look that the sides can be exchanged."""
    found = without_wrappers(catalogue(left), catalogue(right))
    back = without_wrappers(catalogue(right), catalogue(left))
    assert back == {other: name for name, other in found.items()}
    return found


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_wrapped_model_is_paired_with_the_model(case: Wrapped) -> None:
    found = pairs(case.names, case.model)
    assert sorted(found.values()) == sorted(set(case.model) - set(case.names))


def test_of_a_student_and_a_teacher_neither_is_paired() -> None:
    case = WRAPPED[TEACHER]
    assert pairs(case.names, case.model) == {}


def test_of_two_that_lead_to_the_same_names_the_one_that_makes_more_fit_is_taken() -> None:
    names = [f"student.{name}" for name in ENCODER] + [f"teacher.{name}" for name in ENCODER[2:]]
    assert set(pairs(names, ENCODER)) == {f"student.{name}" for name in ENCODER}


def test_two_files_each_behind_a_string_of_its_own_are_paired() -> None:
    left = [f"module.{name}" for name in ENCODER]
    right = [f"_orig_mod.model.{name}" for name in ENCODER[3:]]
    assert len(pairs(left, right)) == len(ENCODER) - 3


def test_a_single_tensor_behind_a_prefix_is_paired() -> None:
    assert pairs(["module.a.weight"], ["a.weight"]) == {"module.a.weight": "a.weight"}


@pytest.mark.parametrize(
    ("left", "right"),
    [
        pytest.param(["norm.weight"], [f"decoder.{name}" for name in decoder_names(1)], id="none"),
        pytest.param(
            ["norm.weight", "norm.bias"],
            [f"decoder.{name}" for name in encoder_names(2)],
            id="two-of-thirty",
        ),
        pytest.param(["encoder.weight"], ["decoder.weight"], id="two-strings"),
        pytest.param(
            [f"layer1.{n}.weight" for n in range(2)], ["layer2.0.weight", "fc.weight"], id="stages"
        ),
        pytest.param(["a.weight"], ["module.a.weight", "model.a.weight"], id="either"),
    ],
)
def test_names_that_fit_by_chance_are_no_pairs(left: list[str], right: list[str]) -> None:
    assert pairs(left, right) == {}


def test_an_adapter_is_not_the_layer_that_it_belongs_to() -> None:
    stem = "layers.0.q_proj"
    left = {
        f"{stem}.{inside}.weight": tensor(f"{stem}.{inside}.weight", shape)
        for inside, shape in (("base_layer", (4, 4)), ("lora_A", (1, 4)), ("lora_B", (4, 1)))
    }
    right = {f"{stem}.weight": tensor(f"{stem}.weight", (4, 4))}
    assert without_wrappers(left, right) == {f"{stem}.base_layer.weight": f"{stem}.weight"}
