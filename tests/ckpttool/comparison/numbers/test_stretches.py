from __future__ import annotations

import pytest

from ckpttool.comparison.numbers import stretches as pieces
from ckpttool.comparison.numbers.stretches import Pair, all_pieces, tasks_of
from tests.builders.tensors import in_memory


def pairs(*lengths: int) -> list[Pair]:
    tensors = [in_memory(bytes(length), "uint8", (length,), name=str(length)) for length in lengths]
    return [Pair(one, one) for one in tensors]


@pytest.mark.parametrize(
    ("lengths", "tasks"),
    [
        ((), []),
        ((0,), []),
        ((8, 1), [[8], [1]]),  # the first one fills a task
        ((3, 3, 3), [[3, 3], [3]]),  # the third one has no room
        ((1, 1, 1, 1), [[1, 1, 1], [1]]),  # it has room, and there are enough
        ((18, 2), [[8], [8], [2, 2]]),
    ],
)
def test_tasks_have_as_many_bytes_and_pieces_as_fit(
    monkeypatch: pytest.MonkeyPatch, lengths: tuple[int, ...], tasks: list[list[int]]
) -> None:
    monkeypatch.setattr(pieces, "_TASK", 8)
    monkeypatch.setattr(pieces, "_MOST_PIECES", 3)
    found = tasks_of(all_pieces(pairs(*lengths)))
    assert [[piece.length for piece in task] for task in found] == tasks
