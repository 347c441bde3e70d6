from __future__ import annotations

import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, List

import pytest

from ckpttool.findings.errors import UsageError
from ckpttool.tensors import workers as threads
from ckpttool.tensors.workers import Work, Worker
from tests.builders.executors import EXECUTORS, executor

if TYPE_CHECKING:
    from typing import Callable

# As long as a test waits for what must happen.
PATIENCE = 30


def doubled(task: int, _: Worker[None]) -> int:
    return 2 * task


def nothing() -> None:
    """No memory."""


@pytest.mark.parametrize("workers", [1, 2, 7, None])
def test_results_come_in_the_order_of_the_tasks(workers: int | None) -> None:
    assert Work(doubled, range(50), nothing, workers=workers).results() == list(range(0, 100, 2))


@pytest.mark.parametrize("name", EXECUTORS)
@pytest.mark.parametrize("workers", [1, 4, None])
def test_an_executor_of_the_caller_is_used_and_left_running(name: str, workers: int | None) -> None:
    with executor(name) as given:
        work = Work(doubled, range(50), nothing, workers=workers, executor=given)
        assert work.results() == list(range(0, 100, 2))


def test_without_tasks_no_thread_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_threads(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr("concurrent.futures.ThreadPoolExecutor", no_threads)
    work: Work[int, None, int] = Work(doubled, [], nothing)
    assert work.results() == []
    work.cancel()


def test_no_more_threads_are_made_than_there_are_tasks() -> None:
    made: List[int] = []

    def noted(task: int, worker: Worker[None]) -> None:
        made.append(threading.get_ident())
        time.sleep(0.01)

    Work(noted, range(2), nothing, workers=9).results()
    assert len(set(made)) <= 2


def test_a_thread_keeps_its_memory_from_task_to_task() -> None:
    made: List[List[int]] = []

    def fresh() -> List[int]:
        made.append([])
        return made[-1]

    Work(lambda task, worker: worker.memory.append(task), range(20), fresh, workers=3).results()
    assert 1 <= len(made) <= 3
    assert sorted(task for tasks in made for task in tasks) == list(range(20))


def test_progress_is_told_of_every_byte() -> None:
    told: List[int] = []
    Work(
        lambda task, worker: worker.advance(task), range(9), nothing, progress=told.append
    ).results()
    assert sum(told) == 36


class BrokenError(Exception):
    """What a task raises, with its number."""


@pytest.mark.parametrize("earlier_is_first", [True, False])
def test_of_two_errors_the_one_of_the_earlier_task_is_told(earlier_is_first: bool) -> None:
    both, first = threading.Barrier(2), threading.Event()

    def fails(task: int, _: Worker[None]) -> None:
        both.wait(PATIENCE)
        if (task == 0) != earlier_is_first:
            first.wait(PATIENCE)
        first.set()
        raise BrokenError(task)

    with pytest.raises(BrokenError) as caught:
        Work(fails, range(2), nothing, workers=2).results()
    assert caught.value.args == (0,)


def test_an_error_ends_the_other_tasks_at_their_next_chunk() -> None:
    running, failed, seen = threading.Barrier(3), threading.Event(), []

    def call(task: int, worker: Worker[None]) -> None:
        running.wait(PATIENCE)
        if task == 1:
            raise BrokenError
        failed.wait(PATIENCE)
        worker.check()
        seen.append(task)

    work: Work[int, None, None] = Work(call, range(9), nothing, workers=3)
    when(lambda: work.ended, failed)
    with pytest.raises(BrokenError):
        work.results()
    assert seen == []


def when(condition: Callable[[], bool], event: threading.Event) -> None:
    """Set the event when the condition holds, on a thread of its own."""

    def wait() -> None:
        end = time.monotonic() + PATIENCE
        while not condition() and time.monotonic() < end:
            time.sleep(0.001)
        event.set()

    threading.Thread(target=wait).start()


@pytest.mark.parametrize("name", [*EXECUTORS, None])
def test_no_task_is_begun_after_one_that_failed(name: str | None) -> None:
    begun: List[int] = []

    def call(task: int, _: Worker[None]) -> None:
        begun.append(task)
        raise BrokenError

    given = None if name is None else EXECUTORS[name]()
    work = Work(call, range(100), nothing, workers=1, executor=given)
    with pytest.raises(BrokenError):
        work.results()
    assert begun == [0]


def test_memory_that_is_not_there_is_an_error_of_the_work() -> None:
    def refuse() -> None:
        raise MemoryError

    with pytest.raises(MemoryError):
        Work(doubled, range(3), refuse, workers=2).results()


def test_an_interruption_ends_the_tasks_at_their_next_chunk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun = threading.Event()
    ran: List[threading.Thread] = []

    def endless(_: int, worker: Worker[None]) -> None:
        ran.append(threading.current_thread())
        begun.set()
        while True:
            worker.check()
            time.sleep(0.001)

    def interrupted(*_: object, **__: object) -> None:
        monkeypatch.undo()
        assert begun.wait(PATIENCE)
        raise KeyboardInterrupt

    work = Work(endless, range(3), nothing, workers=2)
    monkeypatch.setattr("concurrent.futures.wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        work.results()
    assert not any(thread.is_alive() for thread in ran)


def test_a_cancelled_work_begins_nothing_more() -> None:
    begun, go_on, seen = threading.Event(), threading.Event(), []

    def call(task: int, worker: Worker[None]) -> None:
        seen.append(task)
        begun.set()
        go_on.wait(PATIENCE)
        worker.check()
        seen.append(-1)

    work = Work(call, range(5), nothing, workers=1)
    assert begun.wait(PATIENCE)
    when(lambda: work.ended, go_on)
    work.cancel()
    assert seen == [0]


def test_a_busy_executor_is_not_waited_for_when_the_work_is_done() -> None:
    """One thread does everything while the other has something else to do."""
    free = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        pool.submit(free.wait, PATIENCE)
        try:
            work = Work(doubled, range(9), nothing, workers=2, executor=pool)
            assert work.results() == list(range(0, 18, 2))
        finally:
            free.set()


def test_an_executor_that_was_shut_down_meanwhile_gives_no_part_of_the_results() -> None:
    free = threading.Event()
    pool = ThreadPoolExecutor(1)
    pool.submit(free.wait, PATIENCE)
    work = Work(doubled, range(9), nothing, workers=1, executor=pool)
    work._futures[0].cancel()
    free.set()
    pool.shutdown()
    with pytest.raises(UsageError, match="shut down"):
        work.results()


def test_an_executor_that_takes_no_calls_leaves_no_thread_waiting() -> None:
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    with pytest.raises(UsageError, match="shut down"):
        Work(doubled, range(9), nothing, executor=pool)


def test_work_on_the_only_thread_of_its_executor_does_its_tasks_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse_to_wait(futures: List[object], **_: object) -> None:
        assert not futures, "it would wait for itself"

    def call() -> List[int]:
        monkeypatch.setattr("concurrent.futures.wait", refuse_to_wait)
        return Work(doubled, range(9), nothing, executor=pool).results()

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(call).result(PATIENCE) == list(range(0, 18, 2))


def test_no_more_tasks_than_workers_are_done_at_once_with_the_waiting_thread() -> None:
    running: List[int] = []
    most: List[int] = []

    def call(task: int, _: Worker[None]) -> None:
        running.append(task)
        most.append(len(running))
        time.sleep(0.001)
        running.remove(task)

    with ThreadPoolExecutor(4) as pool:
        Work(call, range(20), nothing, workers=1, executor=pool).results()
    assert max(most) == 1


class ProcessPoolExecutor(ThreadPoolExecutor):
    """Of that name, without the processes."""


def test_executors_of_other_processes_are_refused() -> None:
    with pytest.raises(UsageError, match="other processes"), ProcessPoolExecutor(1) as pool:
        Work(doubled, range(3), nothing, executor=pool)


@pytest.mark.parametrize("workers", [0, -3])
def test_fewer_than_one_worker_is_the_callers_mistake(workers: int) -> None:
    with pytest.raises(UsageError, match="at least 1"):
        Work(doubled, [], nothing, workers=workers)


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


def test_switches_are_quick_until_the_last_of_the_blocks_that_overlap() -> None:
    before = sys.getswitchinterval()
    first, second = threads.quick_switches(), threads.quick_switches()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert sys.getswitchinterval() < before
    second.__exit__(None, None, None)
    assert sys.getswitchinterval() == before
