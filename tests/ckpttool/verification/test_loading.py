"""What is said of a loader is what torch's own does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict

import pytest
import torch

from ckpttool.conversion.convert import convert
from ckpttool.verification.options import VerifyOptions
from ckpttool.verification.run import verify_file
from mae.large import MAEViTLarge
from tests.builders import checkpoints as built
from tests.builders import models

if TYPE_CHECKING:
    from pathlib import Path

    from ckpttool.findings.results import Loading

State = Dict[str, Any]

# torch 2.0 warns of its own use of a class when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")


def prefixed(state: State) -> State:
    return {f"module.{name}": tensor for name, tensor in state.items()}


def under_two_names(state: State) -> State:
    return {name.replace("mlp.fc1", "mlp.0"): tensor for name, tensor in state.items()}


def as_it_is(state: State) -> State:
    return state


def halved(state: State) -> State:
    return {name: tensor.to(torch.float16) for name, tensor in state.items()}


def loading_of(folder: Path, tiny: str, state: State) -> Loading:
    path = built.saved(folder, lambda: {"model": state})
    loading = verify_file(path, VerifyOptions(model=tiny, forward=False)).loading
    assert loading is not None
    return loading


@pytest.mark.parametrize(
    "change",
    [
        as_it_is,
        prefixed,
        under_two_names,
        halved,
        models.encoder_of,
        models.missing_a_block,
        models.decoder_cut_in_half,
        models.with_a_classifier,
    ],
)
def test_as_many_tensors_are_filled_as_torch_fills(
    change: Callable[[State], State], tmp_path: Path, tiny: str
) -> None:
    state = change(built.state())
    model = MAEViTLarge(models.TINY)
    missing = model.load_state_dict(state, strict=False).missing_keys
    own = model.state_dict()
    filled = [name for name in own if name not in missing]

    found = loading_of(tmp_path, tiny, state)

    assert (found.tensors, found.filled) == (len(own), len(filled))
    assert found.filled_parameters == sum(own[name].numel() for name in filled)
    assert found.parameters == sum(tensor.numel() for tensor in own.values())
    assert sum(found.random.values()) == len(missing)
    assert found.refused == 0


def test_under_the_models_own_names_a_prefix_counts_for_nothing(tmp_path: Path, tiny: str) -> None:
    found = loading_of(tmp_path, tiny, prefixed(built.state()))
    assert (found.filled, found.renamed) == (0, found.tensors)
    assert found.renamed_parameters == found.parameters
    assert set(found.random) == {"encoder", "decoder"}


def test_a_converted_file_fills_what_was_said(tmp_path: Path, tiny: str) -> None:
    found = loading_of(tmp_path, tiny, prefixed(built.state()))
    assert found.layout is not None
    path = built.saved(tmp_path, lambda: {"model": prefixed(built.state())})
    converted = tmp_path / "converted.safetensors"
    convert(path, converted, to="safetensors", layout=found.layout)

    after = verify_file(str(converted), VerifyOptions(model=tiny, forward=False)).loading

    assert after is not None
    assert (after.filled, after.layout) == (found.renamed, None)


def test_another_shape_is_refused_as_torch_refuses_it(tmp_path: Path, tiny: str) -> None:
    state = models.with_another_width(built.state())
    with pytest.raises(RuntimeError, match="size mismatch"):
        MAEViTLarge(models.TINY).load_state_dict(state, strict=False)

    found = loading_of(tmp_path, tiny, state)

    assert (found.refused, found.filled) == (1, found.tensors - 1)
    assert found.random == {"encoder": 1}


def test_of_a_whole_file_nothing_is_left_random(tmp_path: Path, tiny: str) -> None:
    found = loading_of(tmp_path, tiny, built.state())
    assert (found.filled, found.renamed, found.random) == (found.tensors, found.tensors, {})
