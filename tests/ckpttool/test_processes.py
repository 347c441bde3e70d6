"""Work in copies of the process. It needs a process without threads, so scripts of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from ckpttool.processes import can_fork

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="copies are made on Linux only")

START = """
import os, signal, sys, threading, time
from ckpttool.errors import MalformedError, UnreadableError
from ckpttool.processes import can_fork, in_processes
here = os.getpid()

def copies():
    try:
        return os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return None
"""


def said(script: str) -> str:
    """Run a script and return what it printed, without the last newline."""
    command = [sys.executable, "-W", "error", "-c", START + script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.rstrip("\n")


@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize("tasks", [0, 1, 6, 50])
def test_results_come_in_the_order_of_the_tasks(count: int, tasks: int) -> None:
    script = f"print(in_processes(lambda task: task * task, range({tasks}), {count}), copies())"
    assert said(script) == f"{[task * task for task in range(tasks)]} None"


def test_the_work_is_shared_out() -> None:
    script = "print(len(set(in_processes(lambda _: os.getpid(), range(9), 3))))"
    assert said(script) == "3"


def test_results_may_be_larger_than_a_pipe_holds() -> None:
    assert (
        said("print(sum(map(len, in_processes(lambda n: bytes(n), [2**20] * 4, 2))))") == "4194304"
    )


@pytest.mark.parametrize("task", [0, 1])
def test_an_error_is_raised_with_all_that_it_says_and_nothing_works_on(task: int) -> None:
    script = f"""
def call(task):
    if task == {task}:
        raise MalformedError("odd", path="a.pth", tensor="w", offset=9, found=3)
    time.sleep(0.01)

try:
    in_processes(call, range(10_000), 2)
except MalformedError as error:
    print(error.path, error.tensor, error.offset, error.found, error.message, copies())
"""
    assert said(script) == "a.pth w 9 3 odd None"


def test_an_error_that_cannot_be_sent_is_told_in_words() -> None:
    script = """
class Odd(Exception):
    def __init__(self, one, two):
        super().__init__("odd")
        self.three = lambda: None

def call(task):
    if os.getpid() != here:
        raise Odd(1, 2)

try:
    in_processes(call, range(2), 2)
except RuntimeError as error:
    print(error)
"""
    assert said(script) == "Odd: odd"


def test_a_copy_that_was_killed_is_missed() -> None:
    script = """
def call(task):
    if os.getpid() != here:
        os.kill(os.getpid(), signal.SIGKILL)

try:
    in_processes(call, range(2), 2)
except UnreadableError as error:
    print(error.rule.code, copies())
"""
    assert said(script) == "FIL005 None"


def test_an_interruption_ends_the_copies() -> None:
    script = """
def call(task):
    if os.getpid() == here:
        os.kill(here, signal.SIGINT)
    time.sleep(60)

try:
    in_processes(call, range(2), 2)
except KeyboardInterrupt:
    print("interrupted", copies())
"""
    assert said(script) == "interrupted None"


def test_copies_end_when_nobody_waits_for_them_any_more(tmp_path: Path) -> None:
    script = f"""
def call(task):
    if os.getpid() != here:
        open({str(tmp_path / "copy")!r}, "w").write(str(os.getpid()))
    time.sleep(0.05)

in_processes(call, range(100_000), 2)
"""
    process = subprocess.Popen([sys.executable, "-c", START + script])
    told = tmp_path / "copy"
    wait_for(lambda: told.exists() and told.read_text() != "")
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_for(lambda: not is_running(int(told.read_text())))


def wait_for(condition: object) -> None:
    assert callable(condition)
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen within 30 s")


def is_running(process: int) -> bool:
    """Whether it is there and more than what nobody has asked after."""
    try:
        with open(f"/proc/{process}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_process_with_a_second_thread_is_not_copied() -> None:
    script = """
alone = can_fork()
stop = threading.Event()
thread = threading.Thread(target=stop.wait)
thread.start()
print(alone, can_fork())
stop.set()
thread.join()
"""
    assert said(script) == "True False"


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_other_systems_are_left_to_threads(monkeypatch: pytest.MonkeyPatch, platform: str) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    assert not can_fork()


def test_where_the_threads_cannot_be_counted_there_are_no_copies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(path: str) -> list[str]:
        raise PermissionError(path)

    monkeypatch.setattr(os, "listdir", fails)
    assert not can_fork()
