"""A model of somebody's code with a checkpoint's weights: one copy, real buffers, true words."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any, Callable, ContextManager, Dict, List, Mapping

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import ckpttool
from ckpttool import TensorInfo, UsageError
from ckpttool.findings.results import ForwardSummary
from ckpttool.models.code import running
from ckpttool.models.code.building import bounded
from ckpttool.models.code.running import CannotRunError, Inputs, fill, run


class Model:
    """A module as the model of a schema."""

    def __init__(self, make: Callable[[], nn.Module], *inputs: Inputs) -> None:
        self.make, self.own = make, list(inputs)

    def at_work(self) -> ContextManager[None]:
        return nullcontext()

    def loaded(self, tensors: Mapping[str, TensorInfo]) -> nn.Module:
        with bounded(parameters_on_meta=True):
            made = self.make()
        return fill(made, tensors)

    def inputs(self, _: nn.Module) -> List[Inputs]:
        return self.own


class Scaled(nn.Module):
    """A tied weight, a buffer that is not saved, and what is used only if it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(3, 3)
        self.tied = nn.Linear(3, 3, bias=False)
        self.tied.weight = self.inner.weight
        self.norm = nn.BatchNorm1d(3)
        self.never = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
        self.register_buffer("twos", torch.full((3,), 2.0), persistent=False)

    def forward(self, x: torch.Tensor, more: float = 0.0) -> Dict[str, Any]:
        assert not self.training
        out = self.norm(self.inner(x)) * self.twos
        return {"first": self.tied(out) + more, "second": (out, [out[0]]), "number": 3}


def made(scale: float = 1.0) -> Scaled:
    torch.manual_seed(0)
    model = Scaled().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(scale)
    return model


def ran(
    folder: Path,
    model: Model,
    state: Mapping[str, torch.Tensor],
    inputs: Inputs | None = None,
    device: str = "cpu",
) -> ForwardSummary:
    path = folder / "weights.safetensors"
    save_file({name: one.clone() for name, one in state.items()}, path)
    with ckpttool.open_checkpoint(path) as checkpoint:
        return run(model, checkpoint.tensors, inputs, device)


ONES = Inputs("ones", (torch.ones(2, 3),), {})


def test_the_outputs_are_those_of_the_model_with_these_weights(tmp_path: Path) -> None:
    right = made()
    found = ran(tmp_path, Model(Scaled, ONES), right.state_dict())
    with torch.no_grad():
        outputs = right(torch.ones(2, 3))
    assert (found.status, found.inputs) == ("run", "ones")
    assert list(found.outputs) == ["first", "second.0", "second.1.0"]
    assert found.outputs["first"].mean == pytest.approx(float(outputs["first"].mean()), rel=1e-6)
    assert found.outputs["second.0"].shape == (2, 3)
    assert all(one.finite for one in found.outputs.values())


def test_a_tied_weight_may_be_stored_under_either_name(tmp_path: Path) -> None:
    state = made().state_dict()
    for gone in ("inner.weight", "tied.weight"):
        left = {name: one for name, one in state.items() if name != gone}
        assert ran(tmp_path, Model(Scaled, ONES), left).status == "run"
    left = {name: one for name, one in state.items() if not name.endswith("r.weight")}
    del left["tied.weight"]
    assert ran(tmp_path, Model(Scaled, ONES), left).reason == "inner.weight has no value"


def test_a_module_that_has_two_names_is_one(tmp_path: Path) -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = self.two = nn.Linear(3, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.two(self.one(x))
            return out

    found = ran(tmp_path, Model(Twice, ONES), Twice().state_dict())
    assert (found.status, found.unused) == ("run", ())


def test_what_the_inputs_do_not_use_is_named(tmp_path: Path) -> None:
    assert ran(tmp_path, Model(Scaled, ONES), made().state_dict()).unused == ("never",)


def test_another_floating_type_is_read_as_the_models(tmp_path: Path) -> None:
    state = {
        name: one.half() if one.is_floating_point() else one
        for name, one in made().state_dict().items()
    }
    assert ran(tmp_path, Model(Scaled, ONES), state).status == "run"


def test_an_overflow_is_an_output_that_is_not_finite(tmp_path: Path) -> None:
    found = ran(tmp_path, Model(Scaled, ONES), made(scale=1e38).state_dict())
    assert [one.finite for one in found.outputs.values()] == [False, False, False]


def test_inputs_that_are_given_come_before_the_models_own(tmp_path: Path) -> None:
    given = Inputs("mine", (torch.zeros(4, 3),), {"more": 1.0})
    found = ran(tmp_path, Model(Scaled, ONES), made().state_dict(), given)
    assert (found.inputs, found.outputs["first"].shape) == ("mine", (4, 3))


def test_the_first_inputs_that_fit_count(tmp_path: Path) -> None:
    wrong = Inputs("text", ("no tensor",), {})
    found = ran(tmp_path, Model(Scaled, wrong, ONES), made().state_dict())
    assert (found.status, found.inputs) == ("run", "ones")


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ([], "it is not known what the model is called with: see --example"),
        (
            [Inputs("text", (), {"y": 1})],
            "could not run with text: TypeError: Scaled.forward() got an unexpected keyword "
            "argument 'y'",
        ),
    ],
)
def test_a_model_that_does_not_run_is_told_with_the_reason(
    tmp_path: Path, inputs: List[Inputs], reason: str
) -> None:
    found = ran(tmp_path, Model(Scaled, *inputs), made().state_dict())
    assert found.status == "not-run"
    assert found.reason is not None
    assert (
        found.reason.replace("forward()", "Scaled.forward()").replace("Scaled.Scaled", "Scaled")
        == reason
    )  # Python 3.8 has no name of the class there


def test_a_model_without_floating_outputs_is_not_said_to_have_run(tmp_path: Path) -> None:
    class Counts(nn.Linear):
        def forward(self, _: torch.Tensor) -> torch.Tensor:
            return torch.ones(3, dtype=torch.int64)

    found = ran(tmp_path, Model(lambda: Counts(3, 3), ONES), nn.Linear(3, 3).state_dict())
    assert found.reason == "the model returned no floating tensor that could be looked at"


def test_a_model_that_makes_weights_late_has_none(tmp_path: Path) -> None:
    class Late(nn.Linear):
        def __init__(self) -> None:
            super().__init__(3, 3)
            self.hidden = torch.empty(3, device="meta")
            self.register_buffer("later", self.hidden, persistent=False)

    found = ran(tmp_path, Model(Late, ONES), nn.Linear(3, 3).state_dict())
    assert found.reason == "later has no value"


def test_a_state_dict_with_other_names_than_its_modules_cannot_be_filled(tmp_path: Path) -> None:
    class Renames(nn.Linear):
        def state_dict(self, *args: Any, **kwargs: Any) -> Any:
            own = super().state_dict(*args, **kwargs)
            return {f"other.{name}": one for name, one in own.items()}

    state = {f"other.{name}": one for name, one in nn.Linear(3, 3).state_dict().items()}
    found = ran(tmp_path, Model(lambda: Renames(3, 3), ONES), state)
    assert found.reason is not None
    assert "is neither parameter nor buffer" in found.reason


def test_a_device_that_is_not_there_is_the_callers_mistake(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot use the device nothing"):
        ran(tmp_path, Model(Scaled, ONES), made().state_dict(), device="nothing")


def test_weights_that_do_not_fit_into_memory_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "available", lambda: 100)
    found = ran(tmp_path, Model(Scaled, ONES), made().state_dict())
    assert found.reason is not None
    assert "100 B of memory is free" in found.reason


def test_the_callers_random_numbers_are_as_before(tmp_path: Path) -> None:
    state = made().state_dict()
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    assert ran(tmp_path, Model(Scaled, ONES), state).status == "run"
    assert torch.equal(torch.rand(1), expected)


def test_a_missing_name_is_told_by_an_error(tmp_path: Path) -> None:
    with bounded(parameters_on_meta=True):
        module = nn.Linear(2, 2)
    with pytest.raises(CannotRunError, match="weight has no value"):
        fill(module, {})
