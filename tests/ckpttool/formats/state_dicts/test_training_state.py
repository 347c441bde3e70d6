"""State of a training run is known by its structure; nothing else may pass as it."""

from __future__ import annotations

import io
import pickle
import zipfile

import pytest
import torch

from ckpttool.findings.uses import NameUse, Use
from ckpttool.formats import pickles
from ckpttool.formats.state_dicts.training_state import (
    beyond_arguments,
    is_called_settings,
    is_called_training,
    training_state,
    unstepped,
)
from ckpttool.tensors.catalogue import Entry
from tests.builders import pickles as p
from tests.builders import training

# torch 2.0 warns of its own use of a class when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")


def known(value: object) -> str | None:
    stream = io.BytesIO()
    torch.save(value, stream)
    with zipfile.ZipFile(stream) as archive:
        (name,) = (one for one in archive.namelist() if one.endswith("data.pkl"))
        return training_state(pickles.parse(archive.read(name)))


@pytest.mark.parametrize("what", training.STATES)
def test_training_state_is_known(what: str) -> None:
    assert known(training.STATES[what]()) == what.strip()


def test_one_generator_alone_is_known_too() -> None:
    assert known(torch.get_rng_state()) == "state of random number generators"


@pytest.mark.parametrize("weights", training.WEIGHTS.values(), ids=training.WEIGHTS)
def test_weights_are_none(weights: object) -> None:
    assert known(weights) is None


@pytest.mark.parametrize("value", [{"epoch": 1}, {}, [1], None, {1: 2}])
def test_nor_is_any_other_value(value: object) -> None:
    assert training_state(pickles.parse(pickle.dumps(value, 2))) is None


def state(storage: bytes) -> bytes:
    return p.pickle(p.dict_of((p.text("cpu"), p.tensor(storage))))


def test_a_few_bytes_under_the_key_of_a_generator_are_its_state() -> None:
    found = training_state(pickles.parse(state(p.storage(kind="ByteStorage"))))
    assert found == "state of random number generators"


@pytest.mark.parametrize(
    "storage",
    [
        pytest.param(p.text("0") + b"Q", id="an id of text"),
        pytest.param(p.tuple_of(p.text("storage")) + b"Q", id="an id without a class"),
        pytest.param(p.storage(), id="an id of numbers"),
        pytest.param(p.storage(kind="ByteStorage", count=10_000), id="more bytes than one has"),
    ],
)
def test_a_storage_of_anything_else_is_no_state_of_a_generator(storage: bytes) -> None:
    assert training_state(pickles.parse(state(storage))) is None


def test_the_arguments_of_a_trainer_are_known_by_their_class() -> None:
    found = training_state(pickles.parse(p.pickle(training.arguments())))
    assert found == "arguments of a trainer (transformers.training_args.TrainingArguments)"


def used(name: str, use: Use) -> NameUse:
    return NameUse(use, name, f"{name}(...)", None, 0)


def test_calls_of_code_go_beyond_arguments_and_classes_of_trainers_do_not() -> None:
    of_trainer = used("transformers.trainer_utils.IntervalStrategy", Use.CALL)
    others = [
        used("transformers.trainer_utils.set_seed", Use.CALL),
        used("transformers.training_args.Path.unlink", Use.ATTACK),
    ]
    assert beyond_arguments([of_trainer, *others]) == others


def test_a_count_of_steps_that_is_0_is_found_and_no_epoch_is() -> None:
    entries = [Entry(key, "int", "0", False) for key in ("epoch", "run.global_step")]
    assert unstepped(entries) == "run.global_step"
    assert unstepped([Entry("global_step", "int", "7", False), entries[0]]) is None


@pytest.mark.parametrize("key", ["optimizer", "lr_scheduler_state_dict", "run.epoch", "best_acc"])
def test_entries_that_only_training_needs_are_known_by_their_keys(key: str) -> None:
    assert is_called_training(key)
    assert not is_called_settings(key)


def test_settings_of_a_run_are_known_by_theirs() -> None:
    assert is_called_settings("run.hyper_parameters")
    assert not is_called_settings("model")
    assert not is_called_training("model")
