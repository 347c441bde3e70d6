from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ckpttool.findings import rules
from ckpttool.findings.results import ForwardSummary
from ckpttool.models.forward import not_run
from ckpttool.verification.checks.forward_pass import check_forward
from tests.builders.evidence import covering, evidence, sane_forward

SANE = sane_forward()
FEATURES = SANE.outputs["features"]
PRED = SANE.outputs["pred"]


def codes(forward: ForwardSummary) -> list[str]:
    looked_at = evidence({"a": np.arange(4.0)}, forward=forward)
    return [found.rule.code for found in check_forward(looked_at)]


def test_a_sane_pass_has_no_finding() -> None:
    assert codes(SANE) == []


def test_a_pass_that_was_not_run_is_told_with_its_reason() -> None:
    (found,) = check_forward(evidence({"a": np.arange(4.0)}, forward=not_run("asked not to")))
    assert found.rule is rules.FORWARD_NOT_RUN
    assert "asked not to" in found.message


@pytest.mark.parametrize(
    ("forward", "code"),
    [
        pytest.param(
            SANE._replace(outputs={"features": FEATURES._replace(shape=(2, 3, 8)), "pred": PRED}),
            "MOD004",
            id="another shape",
        ),
        pytest.param(SANE._replace(outputs={"features": FEATURES}), "MOD004", id="no output"),
        pytest.param(
            SANE._replace(outputs={"features": FEATURES._replace(finite=False), "pred": PRED}),
            "MOD005",
            id="features not finite",
        ),
        pytest.param(SANE._replace(loss=float("nan")), "MOD005", id="loss not finite"),
        pytest.param(SANE._replace(difference=0.0), "MOD006", id="same features"),
        pytest.param(SANE._replace(difference=1e-6), "MOD006", id="same but for rounding"),
    ],
)
def test_one_defect_is_one_finding(forward: ForwardSummary, code: str) -> None:
    assert codes(forward) == [code]


@pytest.mark.parametrize("difference", [1e-4, None], ids=["small", "not compared"])
def test_features_that_differ_a_little_stay_quiet(difference: float | None) -> None:
    assert codes(SANE._replace(difference=difference)) == []


NAN, ONES = np.full((2, 2), np.nan, "f4"), np.ones((2, 2), "f4")
PATCHES = "patch_embed.proj.weight"
SPOILT = SANE._replace(outputs={"features": FEATURES._replace(finite=False), "pred": PRED})


@pytest.mark.parametrize(
    ("name", "array", "forward", "follows"),
    [
        pytest.param("w", NAN, SPOILT, ("NUM001",), id="NaN"),
        pytest.param("w", -np.inf * ONES, SPOILT, ("NUM002",), id="infinity"),
        pytest.param("outside", NAN, SPOILT, (), id="NaN where the model does not look"),
        pytest.param("w", 3e38 * ONES, SPOILT, (), id="large numbers"),
        pytest.param(PATCHES, 0 * ONES, SANE._replace(difference=0.0), ("NUM003",), id="zero"),
        pytest.param(PATCHES, ONES, SANE._replace(difference=0.0), ("NUM004",), id="constant"),
        pytest.param("w", 0 * ONES, SANE._replace(difference=0.0), (), id="zero elsewhere"),
    ],
)
def test_what_the_weights_say_already_is_known(
    name: str, array: Any, forward: ForwardSummary, follows: tuple[str, ...]
) -> None:
    arrays = {name: array, "other": np.arange(4.0)}
    (found,) = check_forward(evidence(arrays, forward=forward, coverage=covering(["outside"])))
    assert found.follows == follows
