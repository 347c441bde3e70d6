"""What a hostile file must not pass as: state of a training run, which nobody looks at."""

from __future__ import annotations

import pytest

from ckpttool.formats import pickles
from ckpttool.formats.state_dicts.training_state import training_state
from tests.builders import pickles as p


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
