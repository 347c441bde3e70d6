from __future__ import annotations

import pickletools

import pytest

from ckpttool.formats.writing.pickle_stream import StateDictPickle
from ckpttool.tensors.dtypes import DTYPES

FLOAT = DTYPES["float32"]


def integers(raw: bytes) -> list[int]:
    """All whole numbers that a pickle holds, in order."""
    names = {"BININT1", "BININT", "LONG1"}
    return [int(str(arg)) for code, arg, _ in pickletools.genops(raw) if code.name in names]


@pytest.mark.parametrize("number", [255, 256, 2**31 - 1, 2**31, 2**32 - 1, 2**39, 2**40 - 1])
def test_numbers_of_every_width_keep_their_sign(number: int) -> None:
    pickle = StateDictPickle(None)
    pickle.add("w", FLOAT, (number,), "0", number)
    assert integers(pickle.finish()) == [number, 0, number, 1]


@pytest.mark.parametrize(
    ("shape", "strides"),
    [((2, 3, 4), [12, 4, 1]), ((2, 0, 4), [4, 4, 1]), ((0,), [1]), ((), [])],
    ids=str,
)
def test_strides_are_those_that_torch_gives(shape: tuple[int, ...], strides: list[int]) -> None:
    pickle = StateDictPickle(None)
    pickle.add("w", FLOAT, shape, "0", 24)
    assert integers(pickle.finish()) == [24, 0, *shape, *strides]


def test_what_was_said_before_is_recalled_wherever_it_stands() -> None:
    pickle = StateDictPickle(None)
    words = [f"w{number}" for number in range(300)]
    for word in words:  # each is the name and the key
        pickle.add(word, FLOAT, (), word, 1)
    for word in words:
        pickle.add(word, FLOAT, (), word, 1)
    strings: dict[int, object] = {}
    recalled, last = [], None
    for code, arg, _ in pickletools.genops(pickle.finish()):
        if code.name in ("BINPUT", "LONG_BINPUT"):
            strings[int(str(arg))] = last
        elif code.name in ("BINGET", "LONG_BINGET"):
            recalled.append(strings[int(str(arg))])
        last = arg
    assert [word for word in recalled if str(word) in words] == [
        *words,
        *(word for word in words for _ in range(2)),
    ]
