"""Work in copies of the process. It needs a process without threads, so scripts of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from ckpttool.tensors.processes import can_fork

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="copies are made on Linux only")

START = """
import os, signal, sys, threading, time
from ckpttool.findings.errors import MalformedError, UnreadableError
from ckpttool.tensors.processes import can_fork, in_processes
here = os.getpid()
signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs in the background ignores it

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
    done.append(task)

done = []
try:
    in_processes(call, range(4_000), 2)
except MalformedError as error:
    print(error.path, error.tensor, error.offset, error.found, error.message, copies())
print(len(done) < 2_000)
"""
    assert said(script) == "a.pth w 9 3 odd None\nTrue"


@pytest.mark.parametrize("unsendable", ["self.three = lambda: None", ""], ids=["lambda", "made"])
def test_an_error_that_cannot_be_sent_is_told_in_words(unsendable: str) -> None:
    """Neither a function without a name can be, nor what needs more to be made than it holds."""
    script = f"""
class Odd(Exception):
    def __init__(self, one, two):
        super().__init__("odd")
        {unsendable}

def call(task):
    if os.getpid() != here:
        raise Odd(1, 2)

try:
    in_processes(call, range(2), 2)
except RuntimeError as error:
    print(error)
"""
    assert said(script) == "Odd: odd"


@pytest.mark.parametrize("killed", ["before it tells", "while it tells"])
def test_a_copy_that_was_killed_is_missed(killed: str) -> None:
    script = f"""
if {killed == "while it tells"}:
    write = os.write
    os.write = lambda pipe, told: write(pipe, told[:-1]) and os.kill(os.getpid(), signal.SIGKILL)

def call(task):
    if os.getpid() != here and {killed == "before it tells"}:
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


def test_a_signal_while_a_copy_is_made_is_this_process_alone() -> None:
    script = """
fork = os.fork

def interrupted():
    copy = fork()
    os.kill(os.getpid(), signal.SIGINT)
    return copy

os.fork = interrupted
try:
    in_processes(lambda task: time.sleep(60), range(2), 2)
except KeyboardInterrupt:
    print("interrupted", copies(), flush=True)
"""
    assert said(script) == "interrupted None"


def test_what_a_program_does_about_signals_is_not_done_by_copies() -> None:
    script = """
signal.signal(signal.SIGTERM, lambda *_: print("handled", flush=True))

def call(task):
    if os.getpid() != here:
        os.kill(os.getpid(), signal.SIGTERM)

try:
    in_processes(call, range(2), 2)
except UnreadableError as error:
    print(error.rule.code)
os.kill(here, signal.SIGTERM)
"""
    assert said(script) == "FIL005\nhandled"


@pytest.mark.parametrize("handler", ["signal.SIG_IGN", "lambda *_: None"])
def test_where_somebody_else_looks_after_children_there_are_no_copies(handler: str) -> None:
    script = f"""
alone = can_fork()
signal.signal(signal.SIGCHLD, {handler})
print(alone, can_fork())
"""
    assert said(script) == "True False"


def test_somebody_else_may_have_asked_after_a_copy() -> None:
    script = """
signal.signal(signal.SIGCHLD, lambda *_: copies())
print(in_processes(lambda task: task, range(4), 2))
"""
    assert said(script) == "[0, 1, 2, 3]"


def test_copies_leave_it_to_the_process_to_be_interrupted() -> None:
    """A key on the terminal reaches all of them, and only one has to say so."""
    script = """
def call(task):
    if os.getpid() != here:
        os.kill(os.getpid(), signal.SIGINT)
    return task

print(in_processes(call, range(4), 2))
"""
    assert said(script) == "[0, 1, 2, 3]"


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


def test_copies_end_even_while_they_tell_somebody_who_is_gone(tmp_path: Path) -> None:
    """One result is more than a pipe holds, so that they wait for a reader."""
    script = f"""
def call(task):
    if os.getpid() == here:
        time.sleep(60)
    open({str(tmp_path)!r} + f"/copy{{task}}", "w").write(str(os.getpid()))
    return bytes(2**20)

in_processes(call, range(3), 3)
"""
    process = subprocess.Popen([sys.executable, "-c", START + script])
    told = [tmp_path / f"copy{number}" for number in (1, 2)]
    wait_for(lambda: all(path.exists() and path.read_text() != "" for path in told))
    copies = [int(path.read_text()) for path in told]
    wait_for(lambda: all(state(copy) == "S" for copy in copies))
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_for(lambda: not any(map(is_running, copies)))


@pytest.mark.parametrize("possible", [0, 1])
def test_where_no_more_copies_can_be_made_fewer_share_the_work(possible: int) -> None:
    script = f"""
fork, made = os.fork, []

def limited():
    if len(made) == {possible}:
        raise BlockingIOError(11, "Resource temporarily unavailable")
    made.append(fork())
    return made[-1]

os.fork = limited
before = os.listdir("/proc/self/fd")
print(in_processes(lambda task: task * task, range(10), 4), copies())
print(os.listdir("/proc/self/fd") == before)
"""
    assert said(script) == f"{[task * task for task in range(10)]} None\nTrue"


def test_copies_that_nobody_has_to_wait_for_are_fine() -> None:
    """A process may have been started to ignore the end of its children."""
    script = """
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
print(in_processes(lambda task: task * task, range(4), 2))
"""
    assert said(script) == "[0, 1, 4, 9]"


def test_a_process_may_have_more_than_1024_files_open() -> None:
    script = """
import resource
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
if 0 <= most < 1200:
    print("not allowed here")
    sys.exit()
resource.setrlimit(resource.RLIMIT_NOFILE, (1200, most))
files = [os.dup(0) for _ in range(1100)]
print(in_processes(lambda task: task * task, range(4), 2))
"""
    assert said(script) in ("[0, 1, 4, 9]", "not allowed here")


def wait_for(condition: object) -> None:
    assert callable(condition)
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen within 30 s")


def is_running(process: int) -> bool:
    """Whether it is there and more than what nobody has asked after."""
    return state(process) not in ("", "Z")


def state(process: int) -> str:
    """What the system says it is doing: S for waiting, Z for done; nothing if it is gone."""
    try:
        with open(f"/proc/{process}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


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
