from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ckpttool.findings import rules
from ckpttool.models.choosing import Judged
from ckpttool.models.families.mae import MAE
from ckpttool.models.family import Kind
from ckpttool.verification.checks import positions
from mae.large.pos_embed import get_2d_sincos_pos_embed
from tests.builders import evidence as built
from tests.builders.tensors import from_array

if TYPE_CHECKING:
    from ckpttool.findings.finding import Finding
    from ckpttool.tensors.catalogue import TensorInfo


def findings(tensors: Any, kind: Kind | None = None) -> list[Finding]:
    evidence = built.evidence(tensors)
    if kind is not None:
        evidence = evidence._replace(judged=Judged(MAE, built.TINY, "tiny", kind))
    return list(positions.check_position_tables(evidence))


def test_right_tables_have_no_finding() -> None:
    assert findings(built.trained()) == []


@pytest.mark.parametrize("value", [0.5, float("nan"), float("inf")])
def test_a_changed_table_is_found_with_its_place(value: float) -> None:
    arrays = built.trained()
    arrays["decoder_pos_embed"][0, 3, 1] += value
    (found,) = findings(arrays)
    assert (found.rule, found.tensor) == (rules.POS_EMBED, "decoder_pos_embed")
    assert "token 3, feature 1" in found.message
    assert found.found == ("0.5" if value == 0.5 else "inf")


def test_a_table_with_its_halves_swapped_is_found() -> None:
    arrays = built.trained()
    arrays["pos_embed"] = np.roll(arrays["pos_embed"], 4, axis=-1)
    assert [found.tensor for found in findings(arrays)] == ["pos_embed"]


def rounded(table: Any, dtype: str) -> TensorInfo:
    if dtype == "bfloat16":
        return built.as_bfloat16(table, "pos_embed")
    return from_array(table.astype(dtype), "pos_embed")


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [("float64", 1e-6), ("float32", 1e-6), ("float16", 2.0**-11), ("bfloat16", 2.0**-8)],
)
def test_rounding_to_the_dtype_is_allowed_and_no_more(dtype: str, tolerance: float) -> None:
    table = built.trained()["pos_embed"]
    exact = built.evidence({"pos_embed": rounded(table, dtype)})
    assert list(positions.check_position_tables(exact)) == []
    assert positions.position_tables(exact)["pos_embed"].tolerance == tolerance
    table[0, 0, 0] = 3 * tolerance  # the row of the class token is zero
    assert [found.rule for found in findings({"pos_embed": rounded(table, dtype)})] == [
        rules.POS_EMBED
    ]


def test_the_error_of_a_right_table_is_known_too() -> None:
    errors = positions.pos_embed_errors(built.evidence(built.trained()))
    assert list(errors) == ["pos_embed", "decoder_pos_embed"]
    assert all(0 < error < 1e-6 for error in errors.values())


@pytest.mark.parametrize(
    "table",
    [
        pytest.param(np.ones((1, 10, 8), np.float32), id="another grid"),
        pytest.param(np.ones((1, 5, 8), np.int64), id="integers"),
        pytest.param(np.ones((5, 8), np.float32), id="without the first axis"),
    ],
)
def test_a_table_of_another_shape_or_kind_is_left_to_other_checks(table: Any) -> None:
    assert findings({"pos_embed": table}) == []


def test_a_table_whose_bytes_were_not_kept_is_not_judged() -> None:
    evidence = built.evidence(built.trained())
    changed = evidence._replace(values=evidence.values._replace(kept={}))
    assert positions.pos_embed_errors(changed) == {}


def test_a_table_of_nan_follows_from_the_nan() -> None:
    arrays = built.trained()
    arrays["pos_embed"][0, 0, 0] = float("nan")
    (found,) = findings(arrays)
    assert (found.rule, rules.NAN.code in found.follows) == (rules.POS_EMBED, True)


def test_the_row_of_the_class_token_that_is_missing_is_said_to_be() -> None:
    # 16 rows beside a class token are read as 15 patches, 3 x 5
    table = get_2d_sincos_pos_embed(8, 4)[None].astype(np.float32)
    evidence = built.evidence({"pos_embed": table})
    read = evidence._replace(config=built.TINY._replace(img_size=(48, 80)))
    (found,) = positions.check_position_tables(read)
    assert found.message == ("the table is sin-cos at 4 x 4 without the row of the class token")
    assert found.advice.startswith("Make the first row zeros")


# --- what fine-tuning and other models leave -----------------------------------------------


def noisy(by: float) -> Any:
    arrays = built.trained()
    noise = np.random.default_rng(3).normal(0, by, arrays["pos_embed"].shape)
    return {"pos_embed": (arrays["pos_embed"] + noise).astype(np.float32)}


def learned() -> Any:
    return {"pos_embed": np.random.default_rng(3).normal(0, 0.02, (1, 5, 8)).astype(np.float32)}


@pytest.mark.parametrize("kind", [Kind.CLASSIFIER, Kind.BACKBONE])
def test_a_table_that_fine_tuning_trained_is_no_fault(kind: Kind) -> None:
    assert findings(noisy(0.01), kind) == []


@pytest.mark.parametrize("kind", [Kind.CORE, Kind.FULL])
def test_pretraining_leaves_the_table_as_it_was_computed(kind: Kind) -> None:
    (found,) = findings(noisy(0.01), kind)
    assert found.rule is rules.POS_EMBED
    assert "near sin-cos at 2 x 2 (correlation 0.999, off by up to 0.0" in found.message


@pytest.mark.parametrize("kind", [Kind.CLASSIFIER, Kind.BACKBONE, Kind.CORE])
def test_a_learned_table_is_that_of_another_model_and_not_called_damaged(kind: Kind) -> None:
    (found,) = findings(learned(), kind)
    assert found.rule is rules.LEARNED_POSITIONS
    assert "no sin-cos structure" in found.message
    assert "a supervised, DINO or DeiT ViT, not in an MAE" in found.message


def test_a_whole_mae_has_no_learned_table() -> None:
    (found,) = findings(learned(), Kind.FULL)
    assert found.rule is rules.POS_EMBED


def test_the_grid_is_that_of_the_model() -> None:
    evidence = built.evidence(built.trained())
    tall = evidence._replace(config=built.TINY._replace(img_size=(64, 16)))
    found = list(positions.check_position_tables(tall))
    assert [one.rule for one in found] == [rules.POS_EMBED] * 2
    assert "sin-cos at 2 x 2, where the model has 4 x 1 patches" in found[0].message
    assert positions.shown_grid(MAE, tall.config, tall.values) == (2, 2)
    assert positions.shown_grid(MAE, evidence.config, evidence.values) is None
