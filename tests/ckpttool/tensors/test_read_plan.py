"""What is read together."""

from __future__ import annotations

from ckpttool.tensors.read_plan import group


def test_a_hundred_thousand_small_readings_are_a_few_tasks() -> None:
    tasks = group([80] * 100_000 + [0] * 40_000)
    assert len(tasks) == 1
    assert list(tasks[0]) == list(range(140_000))


def test_large_readings_are_tasks_of_their_own() -> None:
    assert group([1, 100 << 20, 1, 100 << 20]) == [(1,), (3,), (0, 2)]


def test_small_readings_do_not_make_one_large_task() -> None:
    tasks = group([1 << 20] * 100)
    assert len(tasks) > 4
    assert sorted(index for task in tasks for index in task) == list(range(100))
