from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ckpttool.findings import rules
from ckpttool.findings.results import Coverage, GroupCoverage
from ckpttool.models.families.mae import MAE
from ckpttool.verification.checks import meaning
from tests.builders import evidence as built

if TYPE_CHECKING:
    from typing import Callable

    from ckpttool.findings.finding import Finding
    from tests.builders.evidence import Arrays

CHECKS = (
    meaning.check_layernorms,
    meaning.check_identical_blocks,
)


def findings(tensors: Any) -> list[Finding]:
    evidence = built.evidence(tensors)
    return [found for check in CHECKS for found in check(evidence)]


def copy_block(arrays: Arrays, source: str, target: str) -> None:
    for name in [name for name in arrays if name.startswith(f"{source}.")]:
        arrays[target + name[len(source) :]] = arrays[name].copy()


def test_trained_weights_have_no_finding() -> None:
    assert findings(built.trained()) == []


# --- LayerNorms ----------------------------------------------------------------------------


def test_layernorms_at_1_and_0_look_untrained() -> None:
    (found,) = findings(built.untrained())
    assert found.rule is rules.LAYERNORM_INITIAL
    assert "all 12 LayerNorm tensors" in found.message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("blocks.2.norm1.weight", 1.001),
        ("decoder_norm.bias", 1e-30),
        ("blocks.0.norm1.bias", float("nan")),
    ],
)
def test_one_element_of_one_layernorm_shows_training(name: str, value: float) -> None:
    arrays = built.untrained()
    arrays[name][0] = value
    assert findings(arrays) == []


def test_a_layernorm_that_was_not_read_proves_nothing() -> None:
    evidence = built.evidence(built.untrained())
    tensors = {
        name: found
        for name, found in evidence.values.tensors.items()
        if name != "decoder_norm.bias"
    }
    changed = evidence._replace(values=evidence.values._replace(tensors=tensors))
    assert list(meaning.check_layernorms(changed)) == []


def test_weights_without_layernorms_are_not_judged() -> None:
    assert findings({"head.weight": np.ones((2, 2), np.float32)}) == []


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("norm.weight", True),
        ("blocks.10.norm2.bias", True),
        ("decoder_norm.weight", True),
        ("fc_norm.bias", True),
        ("batchnorm.weight", False),
        ("norm.running_mean", False),
        ("blocks.0.mlp.fc1.bias", False),
    ],
)
def test_layernorms_are_known_by_their_names(name: str, wanted: bool) -> None:
    assert MAE.is_layernorm(name) is wanted


# --- blocks --------------------------------------------------------------------------------


def test_a_block_that_was_copied_is_named() -> None:
    arrays = built.trained()
    copy_block(arrays, "blocks.0", "blocks.2")
    (found,) = findings(arrays)
    assert found.rule is rules.IDENTICAL_BLOCKS
    assert set(found.tensors) == {
        name for name in arrays if name.startswith(("blocks.0.", "blocks.2."))
    }
    assert found.message == "blocks of the encoder hold the same weights: 0 = 2"


def test_both_sides_have_a_finding_of_their_own() -> None:
    arrays = built.trained()
    copy_block(arrays, "blocks.0", "blocks.1")
    copy_block(arrays, "blocks.0", "blocks.2")
    copy_block(arrays, "decoder_blocks.0", "decoder_blocks.1")
    assert [found.tensor for found in findings(arrays)] == [
        "blocks.{0-2}.norm1.{weight,bias}, blocks.{0-2}.mlp.fc1.{weight,bias}",
        "decoder_blocks.{0-1}.norm1.{weight,bias}, decoder_blocks.{0-1}.mlp.fc1.{weight,bias}",
    ]


def differs_by_one_bit(arrays: Arrays) -> None:
    arrays["blocks.1.mlp.fc1.weight"].view(np.uint32)[0, 0] ^= 1


def has_one_tensor_more(arrays: Arrays) -> None:
    arrays["blocks.1.extra"] = np.arange(3.0)


def has_vectors_only(arrays: Arrays) -> None:
    for number in (0, 1):
        del arrays[f"blocks.{number}.mlp.fc1.weight"]


@pytest.mark.parametrize("change", [differs_by_one_bit, has_one_tensor_more, has_vectors_only])
def test_blocks_that_are_not_quite_the_same_stay_quiet(change: Callable[[Arrays], None]) -> None:
    arrays = built.trained()
    copy_block(arrays, "blocks.0", "blocks.1")
    change(arrays)
    assert findings(arrays) == []


def test_a_block_that_was_not_read_wholly_is_not_compared() -> None:
    arrays = built.trained()
    copy_block(arrays, "blocks.0", "blocks.1")
    evidence = built.evidence(arrays)
    tensors = {
        name: found for name, found in evidence.values.tensors.items() if "fc1.bias" not in name
    }
    changed = evidence._replace(values=evidence.values._replace(tensors=tensors))
    assert list(meaning.check_identical_blocks(changed)) == []


# --- what follows from something else ------------------------------------------------------


@pytest.mark.parametrize("value", [float("nan"), 0.0])
def test_blocks_without_a_value_are_not_called_copies(value: float) -> None:
    arrays = built.trained()
    for name, array in arrays.items():
        if name.startswith("blocks."):
            array[:] = value
    assert not [found for found in findings(arrays) if found.rule is rules.IDENTICAL_BLOCKS]


def test_norms_of_another_model_are_not_called_layernorms() -> None:
    arrays = {"norm1.weight": np.ones(4, "f4"), "norm1.bias": np.zeros(4, "f4")}
    nothing = GroupCoverage(1, 0, ("cls_token",), (), 1, 0)
    another = Coverage("tiny", {"encoder": nothing}, tuple(arrays))
    assert list(meaning.check_layernorms(built.evidence(arrays, coverage=another))) == []
