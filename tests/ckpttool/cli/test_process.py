"""The commands in processes of their own: streams that break, and signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Callable, Iterator

import pytest

from tests.builders import checkpoints as built
from tests.builders.processes import PATIENCE, started

# torch 2.0 warns of its own use of a class when it saves.
pytestmark = [
    pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning"),
    pytest.mark.skipif(os.name == "nt", reason="POSIX streams and signals"),
]

COMMAND = [sys.executable, "-W", "error", "-m", "ckpttool"]
SHELL = f"'{sys.executable}' -W error -m ckpttool"

# A shell that starts the tests in the background has them ignore SIGINT, and children inherit it.
INTERRUPTED = """
import signal, sys
signal.signal(signal.SIGINT, getattr(signal, sys.argv[1]))
from ckpttool import inspection
def hang(*arguments):
    print("ready", flush=True)
    signal.sigtimedwait([signal.SIGUSR1], 60)
    raise SystemExit(7)
inspection.inspect_file = hang
from ckpttool.cli import main
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
main(["inspect", "x"], prog_name="ckpttool")
"""


def shell(script: str, path: str) -> subprocess.CompletedProcess[str]:
    """Run a shell script in which ``$1`` is a path."""
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {script}", "bash", path],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.fixture
def sound(tmp_path: Path) -> str:
    return built.saved(tmp_path, built.sound)


def test_a_module_and_a_command_are_the_same(sound: str) -> None:
    done = subprocess.run(
        [*COMMAND, "inspect", sound], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    assert "blocks.{0-1}" in done.stdout


@pytest.mark.parametrize(
    ("redirection", "code", "told"),
    [
        pytest.param(">&-", 0, "", id="closed"),
        pytest.param("2>&- >/dev/null", 0, "", id="standard error closed"),
        pytest.param("| true", 0, "", id="pipe that nobody reads"),
        pytest.param(">/dev/full", 2, "Error: the report cannot be written: ", id="full disk"),
    ],
)
def test_a_broken_standard_output(sound: str, redirection: str, code: int, told: str) -> None:
    if "/dev/full" in redirection and not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    done = shell(f"{SHELL} inspect --all --format json $1 {redirection}", sound)
    assert done.returncode == code
    assert done.stderr.startswith(told)
    assert len(done.stderr.splitlines()) == bool(told)


def test_a_pipe_that_closes_early_keeps_the_verdict(tmp_path: Path) -> None:
    path = built.saved(tmp_path, built.attack_beside)
    done = shell(f"{SHELL} inspect --all $1 | true; echo ${{PIPESTATUS[0]}}", path)
    assert (done.stdout, done.stderr) == ("1\n", "")


def test_names_beyond_the_terminals_encoding_are_escaped(tmp_path: Path) -> None:
    path = built.saved(tmp_path, built.sound, "Ångström.pth")
    done = shell(f"PYTHONIOENCODING=ascii {SHELL} inspect $1", path)
    assert (done.returncode, done.stderr) == (0, "")
    assert r"\xc5ngstr\xf6m.pth" in done.stdout


@pytest.fixture
def hanging() -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Starts a process that hangs in a command; the name of what it does on SIGINT is given."""
    every: list[subprocess.Popen[str]] = []

    def start(handler: str) -> subprocess.Popen[str]:
        every.append(started(INTERRUPTED, handler))
        return every[-1]

    yield start
    for process in every:
        process.kill()
        process.communicate(timeout=PATIENCE)


@pytest.mark.skipif(not hasattr(signal, "sigtimedwait"), reason="no sigtimedwait here")
def test_an_interrupted_process_ends_with_130(
    hanging: Callable[[str], subprocess.Popen[str]],
) -> None:
    process = hanging("default_int_handler")
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert told.split() == ["Interrupted."]


@pytest.mark.skipif(not hasattr(signal, "sigtimedwait"), reason="no sigtimedwait here")
def test_who_was_started_to_ignore_interrupts_ignores_them(
    hanging: Callable[[str], subprocess.Popen[str]],
) -> None:
    process = hanging("SIG_IGN")
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGUSR1)
    _, told = process.communicate(timeout=PATIENCE)
    assert (process.returncode, told) == (7, "")
