"""The controls are models that are wrong, and the tolerance lies between them and rounding."""

from __future__ import annotations

import math
from typing import Dict

import pytest
import torch
from torch import Tensor

from ckpttool.models.families.mae import MAE
from ckpttool.models.forward import run_forward
from ckpttool.verification import controls
from ckpttool.verification.controls import Sensitivity, measure, passes
from ckpttool.verification.lock.content import distance
from tests.builders import models

State = Dict[str, Tensor]

NAMES = ["swap-blocks", "transpose-positions", "swap-query-key", "layernorm-eps-1e-12"]


def measured(state: State) -> Sensitivity:
    infos = models.in_memory(state)
    right = run_forward(MAE, models.TINY, infos, full=False)
    return measure(MAE, models.TINY, infos, right)


def test_every_control_is_run_and_the_tolerance_is_between() -> None:
    found = measured(models.tiny_model().state_dict())
    assert [one.name for one in found.controls] == NAMES
    counted = [one.distance for one in found.controls if one.counts]
    assert found.tolerance is not None
    assert found.rounding * 4 <= found.tolerance <= min(counted) / 4
    assert found.tolerance == pytest.approx(math.sqrt(found.rounding * min(counted)))


def test_each_control_is_the_defect_that_it_is_called_after() -> None:
    """What the controls do with extents, done again with tensors."""
    state = models.tiny_model().state_dict()
    right = run_forward(MAE, models.TINY, models.in_memory(state), full=False)
    for name, wrong in (
        ("swap-blocks", swapped_blocks(state)),
        ("transpose-positions", transposed_positions(state)),
        ("swap-query-key", swapped_query_and_key(state)),
    ):
        other = run_forward(MAE, models.TINY, models.in_memory(wrong), full=False)
        (control,) = (one for one in measured(state).controls if one.name == name)
        assert control.distance == pytest.approx(distance(right.outputs, other.outputs), rel=1e-4)
        assert control.counts


def swapped_blocks(state: State) -> State:
    def other(name: str) -> str:
        first, second = "blocks.0.", "blocks.1."
        if name.startswith(first):
            return second + name[len(first) :]
        return first + name[len(second) :] if name.startswith(second) else name

    return {name: state[other(name)] for name in state}


def transposed_positions(state: State) -> State:
    table = state["pos_embed"]
    grid = table[:, 1:].reshape(1, 4, 4, -1).transpose(1, 2).reshape(1, 16, -1)
    return {**state, "pos_embed": torch.cat([table[:, :1], grid], 1)}


def swapped_query_and_key(state: State) -> State:
    changed = {**state}
    for name in state:
        if name.startswith("blocks.") and ".attn.qkv." in name:
            query, key, value = state[name].chunk(3)
            changed[name] = torch.cat([key, query, value])
    return changed


def test_a_control_that_does_not_move_the_output_never_counts() -> None:
    state = {**models.tiny_model().state_dict()}
    state["pos_embed"] = torch.zeros_like(state["pos_embed"])
    (still,) = (one for one in measured(state).controls if one.name == "transpose-positions")
    assert (still.distance, still.counts) == (0.0, False)


def test_where_no_control_counts_there_is_no_tolerance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controls, "MARGIN", math.inf)
    found = measured(models.tiny_model().state_dict())
    assert found.tolerance is None
    assert not any(one.counts for one in found.controls)


def between(monkeypatch: pytest.MonkeyPatch, *distances: float) -> Sensitivity:
    """What is concluded if rounding and then each control move the outputs so far."""
    moved = iter(distances)
    monkeypatch.setattr(controls, "distance", lambda *_: next(moved))
    return measured(models.tiny_model().state_dict())


def test_only_controls_that_count_decide_on_the_tolerance(monkeypatch: pytest.MonkeyPatch) -> None:
    found = between(monkeypatch, 1e-6, 16e-6, 15.9e-6, 1.0, 0.5)
    assert [one.counts for one in found.controls] == [True, False, True, True]
    assert found.tolerance == pytest.approx(4e-6)


def test_rounding_is_never_less_than_float32_can_do(monkeypatch: pytest.MonkeyPatch) -> None:
    found = between(monkeypatch, 0.0, 1.0, 1.0, 1.0, 1.0)
    assert found.rounding == 2.0**-23


def test_outputs_that_are_not_finite_leave_a_tolerance_that_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = between(monkeypatch, 1e-6, math.inf, math.inf, math.inf, math.inf)
    assert found.tolerance == pytest.approx(16e-6)


def test_controls_run_the_decoder_where_the_right_model_did() -> None:
    infos = models.in_memory(models.tiny_model().state_dict())
    right = run_forward(MAE, models.TINY, infos, full=True)
    found = measure(MAE, models.TINY, infos, right)
    assert all(math.isfinite(one.distance) for one in found.controls)


def test_a_single_block_has_none_to_be_swapped_with() -> None:
    infos = models.in_memory(models.tiny_model().state_dict())
    assert passes(MAE, models.TINY._replace(depth=1), infos) == 4


def test_it_says_how_many_passes_it_takes() -> None:
    infos = models.in_memory(models.tiny_model().state_dict())
    right = run_forward(MAE, models.TINY, infos, full=False)
    done: list[None] = []
    measure(MAE, models.TINY, infos, right, lambda: done.append(None))
    assert len(done) == passes(MAE, models.TINY, infos) == 5


def test_a_strided_tensor_allows_fewer_controls() -> None:
    infos = models.in_memory(models.tiny_model().state_dict())
    fused = infos["blocks.0.attn.qkv.weight"]
    infos["blocks.0.attn.qkv.weight"] = fused._replace(strides=(1, 48))
    assert passes(MAE, models.TINY, infos) == 4
