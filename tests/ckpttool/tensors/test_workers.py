from __future__ import annotations

import os
import sys

import pytest

from ckpttool.tensors import workers as threads


def test_there_is_a_thread_for_each_processor_that_may_be_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 5, 9}, raising=False)
    assert threads.processors() == 3


@pytest.mark.parametrize(("there", "used"), [(None, 1), (4, 4), (64, 16)])
def test_where_affinity_is_unknown_all_processors_count_up_to_a_limit(
    monkeypatch: pytest.MonkeyPatch, there: int | None, used: int
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: there)
    assert threads.processors() == used


def test_switches_are_quick_until_the_end_whatever_happens() -> None:
    before = sys.getswitchinterval()
    with threads.quick_switches():
        assert sys.getswitchinterval() < before
    assert sys.getswitchinterval() == before
    with pytest.raises(KeyError), threads.quick_switches():
        raise KeyError
    assert sys.getswitchinterval() == before


def test_a_number_of_blas_threads_that_the_user_chose_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    threads.without_blas()
    assert os.environ["OPENBLAS_NUM_THREADS"] == "3"
    monkeypatch.delenv("OPENBLAS_NUM_THREADS")
    threads.without_blas()
    assert os.environ["OPENBLAS_NUM_THREADS"] == "1"
