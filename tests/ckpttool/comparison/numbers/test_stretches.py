from __future__ import annotations

import pytest

from ckpttool.comparison.numbers import stretches as pieces
from ckpttool.comparison.numbers.stretches import Pair, sorted_out, tasks_of
from tests.builders.tensors import in_memory


def pairs(*lengths: int, dtype: str = "uint8") -> list[Pair]:
    tensors = [
        in_memory(bytes(8 * length), dtype, (length,), name=str(length)) for length in lengths
    ]
    return [Pair(one, one) for one in tensors]


@pytest.mark.parametrize(
    ("lengths", "tasks"),
    [
        ((), []),
        ((0,), []),
        ((8, 1), [[8], [1]]),  # the first one fills a task
        ((3, 3, 3), [[3, 3], [3]]),  # the third one has no room
        ((18, 2), [[8], [8], [2, 2]]),
    ],
)
def test_tasks_have_as_many_bytes_as_fit(
    monkeypatch: pytest.MonkeyPatch, lengths: tuple[int, ...], tasks: list[list[int]]
) -> None:
    monkeypatch.setattr(pieces, "_TASK", 8)
    groups, cut = sorted_out(pairs(*lengths))
    assert [[piece.length for piece in task] for task in tasks_of(cut)] == tasks
    assert groups == []


@pytest.mark.parametrize(
    ("lengths", "groups", "large"),
    [
        ((), [], []),
        ((0, 0), [], []),
        ((3, 0, 3, 2), [[3, 3, 2]], []),
        ((5, 4, 4, 1), [[5], [4, 4], [1]], []),  # as many as fit
        ((6, 1, 7), [[1]], [6, 7]),
    ],
)
def test_small_tensors_are_put_together(
    monkeypatch: pytest.MonkeyPatch,
    lengths: tuple[int, ...],
    groups: list[list[int]],
    large: list[int],
) -> None:
    monkeypatch.setattr(pieces, "SMALL", 6)
    monkeypatch.setattr(pieces, "GROUP", 8)
    found, cut = sorted_out(pairs(*lengths))
    assert [group.lengths for group in found] == groups
    assert [[lengths[number] for number in group.numbers] for group in found] == groups
    assert [piece.length for piece in cut] == large


def test_a_group_has_one_pair_of_types(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "SMALL", 6)
    floats, ints = pairs(1, 2, dtype="float32"), pairs(3, 4, dtype="int32")
    mixed = Pair(floats[0].left, ints[0].left)
    groups, _ = sorted_out([floats[0], ints[0], mixed, floats[1], ints[1]])
    assert [group.numbers for group in groups] == [[0, 3], [1, 4], [2]]
