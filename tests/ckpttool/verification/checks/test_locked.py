"""What was locked is compared by name, and any change is an error that names the tensors."""

from __future__ import annotations

import math
from typing import Any, Callable

import pytest

from ckpttool.findings import rules
from ckpttool.findings.results import Coverage, ForwardSummary
from ckpttool.verification.checks.locked import check_lock, summary
from ckpttool.verification.evidence import Evidence
from ckpttool.verification.lock.content import (
    Lock,
    LockedCheckpoint,
    LockedFile,
    LockedForward,
    LockedTensor,
    distance,
)
from ckpttool.verification.weights import Weights
from tests.builders import evidence as built
from tests.builders import locks

Change = Callable[[LockedCheckpoint], LockedCheckpoint]

FORWARD = ForwardSummary(
    "run", scope="encoder", outputs={"features": locks.output()}, kept=locks.forward().kept
)


def looked_at(**fields: Any) -> Evidence:
    """A sound model after its examination, as the lock below has it."""
    whole = built.evidence(built.trained(), forward=FORWARD)
    digests = {name: found.digest for name, found in whole.values.tensors.items()}
    weights = Weights(whole.canonical.tensors, digests, None)
    return whole._replace(coverage=Coverage("tiny", {}, ()), **{"weights": weights, **fields})


def locked_of(evidence: Evidence) -> LockedCheckpoint:
    digests = evidence.values.tensors
    return LockedCheckpoint(
        "memory",
        locks.FINGERPRINT,
        "tiny",
        (LockedFile("memory", 1, "00" * 32),),
        locks.forward(),
        {
            name: LockedTensor(info.dtype.name, info.shape, digests[name].digest)
            for name, info in evidence.canonical.tensors.items()
        },
    )


def against(change: Change, **fields: Any) -> Evidence:
    """The sound model, and a lock that was changed."""
    whole = looked_at(**fields)
    locked = change(locked_of(whole))
    return whole._replace(lock=Lock("ckpttool.lock", (locked,)), locked=locked)


@pytest.mark.parametrize(
    ("schema", "fix"),
    [
        (
            "mae_vit_base_patch16",
            "Pass --model mae_vit_base_patch16. If this model is intended, write the lock again.",
        ),
        ("ViT/8 MAE at 32 px", rules.LOCK_SCHEMA.fix),
    ],
)
def test_a_model_is_named_with_an_option_only_where_that_takes_it(schema: str, fix: str) -> None:
    (one,) = check_lock(against(lambda locked: locked._replace(schema=schema)))
    assert (one.rule, one.advice) == (rules.LOCK_SCHEMA, fix)


def unchanged(locked: LockedCheckpoint) -> LockedCheckpoint:
    return locked


def other_content(locked: LockedCheckpoint) -> LockedCheckpoint:
    tensors = {**locked.tensors}
    for name in ("pos_embed", "blocks.0.mlp.fc1.weight"):
        tensors[name] = tensors[name]._replace(sha256="11" * 32)
    return locked._replace(tensors=tensors)


def one_more(locked: LockedCheckpoint) -> LockedCheckpoint:
    return locked._replace(tensors={**locked.tensors, "gone": LockedTensor("int8", (), "22" * 32)})


def one_less(locked: LockedCheckpoint) -> LockedCheckpoint:
    tensors = {name: one for name, one in locked.tensors.items() if name != "pos_embed"}
    return locked._replace(tensors=tensors)


def another_dtype(locked: LockedCheckpoint) -> LockedCheckpoint:
    half = locked.tensors["pos_embed"]._replace(dtype="float16")
    return locked._replace(tensors={**locked.tensors, "pos_embed": half})


def another_shape(locked: LockedCheckpoint) -> LockedCheckpoint:
    flat = locked.tensors["pos_embed"]._replace(shape=(40,))
    return locked._replace(tensors={**locked.tensors, "pos_embed": flat})


def another_model(locked: LockedCheckpoint) -> LockedCheckpoint:
    return locked._replace(schema="huge")


def _forward(**fields: Any) -> Change:
    def change(locked: LockedCheckpoint) -> LockedCheckpoint:
        assert isinstance(locked.forward, LockedForward)
        return locked._replace(forward=locked.forward._replace(**fields))

    return change


def test_what_is_as_it_was_locked_has_no_finding() -> None:
    evidence = against(unchanged)
    assert list(check_lock(evidence)) == []
    told = summary(evidence)
    assert told is not None
    assert (told.tensors, told.same) == (len(evidence.canonical.tensors),) * 2
    assert (told.distance, told.tolerance) == (0.0, 0.001)


@pytest.mark.parametrize(
    ("change", "rule", "tensors"),
    [
        (other_content, rules.LOCK_CONTENT, {"pos_embed", "blocks.0.mlp.fc1.weight"}),
        (one_more, rules.LOCK_GONE, {"gone"}),
        (one_less, rules.LOCK_ADDED, {"pos_embed"}),
        (another_dtype, rules.LOCK_GEOMETRY, {"pos_embed"}),
        (another_shape, rules.LOCK_GEOMETRY, {"pos_embed"}),
        (another_model, rules.LOCK_SCHEMA, set()),
        (_forward(outputs={"features": locks.output(mean=0.3)}), rules.LOCK_FORWARD, set()),
        (_forward(kept=(0, 1, 2, 3)), rules.LOCK_FORWARD, set()),
        (_forward(tolerance=None), rules.LOCK_FORWARD_OPEN, set()),
        (_forward(outputs={"pred": locks.output()}), rules.LOCK_FORWARD_OPEN, set()),
    ],
    ids=[
        "other values",
        "a tensor gone",
        "a tensor more",
        "another dtype",
        "another shape",
        "another model",
        "outputs that moved",
        "other patches",
        "nothing to hold them against",
        "an output that was not computed",
    ],
)
def test_one_change_is_one_finding(change: Change, rule: rules.Rule, tensors: set[str]) -> None:
    (found,) = check_lock(against(change))
    assert (found.rule, set(found.tensors)) == (rule, tensors)


def test_outputs_within_the_tolerance_are_no_finding() -> None:
    near = _forward(outputs={"features": locks.output(mean=0.2505)})
    assert list(check_lock(against(near))) == []


def test_the_tolerance_itself_is_still_within() -> None:
    moved = {"features": locks.output(mean=0.3)}
    far = distance(moved, {"features": locks.output()})
    assert list(check_lock(against(_forward(outputs=moved, tolerance=far)))) == []
    (found,) = check_lock(against(_forward(outputs=moved, tolerance=far * 0.999)))
    assert found.rule is rules.LOCK_FORWARD


def test_a_tolerance_that_is_no_number_accepts_nothing() -> None:
    (found,) = check_lock(against(_forward(tolerance=math.nan)))
    assert found.rule is rules.LOCK_FORWARD


def test_outputs_are_compared_as_far_as_they_were_locked() -> None:
    both = {"features": locks.output(), "pred": locks.output()}
    assert list(check_lock(against(unchanged, forward=FORWARD._replace(outputs=both)))) == []
    (found,) = check_lock(against(_forward(outputs=both)))
    assert found.rule is rules.LOCK_FORWARD_OPEN


def test_values_that_were_not_read_are_not_taken_for_the_same() -> None:
    whole = against(unchanged)
    assert whole.weights is not None
    read = {name: one for name, one in whole.weights.digests.items() if name != "pos_embed"}
    (found,) = check_lock(whole._replace(weights=whole.weights._replace(digests=read)))
    assert (found.rule, found.tensors) == (rules.LOCK_CONTENT, ("pos_embed",))


@pytest.mark.parametrize(
    ("change", "same"),
    [(other_content, -2), (one_more, 0), (one_less, -1), (another_dtype, -1), (another_shape, -1)],
)
def test_the_summary_counts_what_is_the_same(change: Change, same: int) -> None:
    evidence = against(change)
    told = summary(evidence)
    assert told is not None
    assert told.same == len(evidence.canonical.tensors) + same


def test_outputs_that_were_not_computed_are_said_to_be_open() -> None:
    evidence = against(unchanged, forward=ForwardSummary("not-run", "--no-forward"))
    (found,) = check_lock(evidence)
    assert found.rule is rules.LOCK_FORWARD_OPEN
    assert "--no-forward" in found.message
    told = summary(evidence)
    assert told is not None
    assert told.distance is None


def test_without_a_lock_there_is_nothing_to_say() -> None:
    assert list(check_lock(looked_at())) == []
    assert summary(looked_at()) is None


def test_a_lock_that_does_not_have_the_checkpoint_is_said() -> None:
    evidence = looked_at(lock=Lock("ckpttool.lock", (locks.checkpoint("a"),)))
    (found,) = check_lock(evidence)
    assert (found.rule, found.expected, found.found) == (rules.LOCK_ENTRY, "a", "memory")
