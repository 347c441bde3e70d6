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
from tests.builders import packages
from tests.builders.commands import invoke
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
from ckpttool.inspection import listing
def hang(*arguments, **options):
    print("ready", flush=True)
    signal.sigtimedwait([signal.SIGUSR1], 60)
    raise SystemExit(7)
listing.listed = hang
from ckpttool.cli import main
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
main(["inspect", sys.executable], prog_name="ckpttool")
"""

# Converts, and waits before the written files get their names.
WRITING = """
import signal, sys
from ckpttool.__main__ import run
from ckpttool.files.destination import Destination

_, source, path, handler = sys.argv
for stop in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(stop, getattr(signal, handler))
publish = Destination.publish
def wait(*arguments):
    print("ready", flush=True)
    sys.stdin.readline()
    return publish(*arguments)
Destination.publish = wait
sys.argv[1:] = ["convert", source, "--to", "safetensors", "-o", path, "--force"]
run()
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
        pytest.param(">/dev/full", 2, "error: the report cannot be written: ", id="full disk"),
    ],
)
def test_a_broken_standard_output(sound: str, redirection: str, code: int, told: str) -> None:
    if "/dev/full" in redirection and not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    done = shell(f"{SHELL} inspect --all --format json $1 {redirection}", sound)
    assert done.returncode == code
    assert done.stderr.startswith(told)
    assert len(done.stderr.splitlines()) == bool(told)


@pytest.mark.parametrize("command", ["report - --to text", "verify --files-from -"])
def test_a_closed_standard_input_is_wrong_usage(command: str) -> None:
    done = shell(f"{SHELL} {command} <&-", "")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert "standard input is closed" in done.stderr


@pytest.mark.parametrize("reader", ["true", "{ exec 0<&-; sleep 2; }"])
@pytest.mark.parametrize(("content", "code"), [(built.attack_beside, 1), (built.sound, 0)])
def test_a_pipe_that_closes_early_keeps_the_verdict(
    tmp_path: Path, content: Callable[[], object], code: int, reader: str
) -> None:
    path = built.saved(tmp_path, content)
    done = shell(f"{SHELL} inspect --all $1 | {reader}; echo ${{PIPESTATUS[0]}}", path)
    assert (done.stdout, done.stderr) == (f"{code}\n", "")


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
    assert told.strip() == "error: interrupted"


@pytest.mark.skipif(not hasattr(signal, "sigtimedwait"), reason="no sigtimedwait here")
def test_who_was_started_to_ignore_interrupts_ignores_them(
    hanging: Callable[[str], subprocess.Popen[str]],
) -> None:
    process = hanging("SIG_IGN")
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGUSR1)
    _, told = process.communicate(timeout=PATIENCE)
    assert (process.returncode, told) == (7, "")


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGHUP])
def test_being_asked_to_stop_leaves_nothing_behind(
    sound: str, tmp_path: Path, stop: signal.Signals
) -> None:
    path = tmp_path / "out" / "m"
    path.parent.mkdir()
    path.write_bytes(b"old")
    process = started(WRITING, sound, str(path), "SIG_DFL")
    process.send_signal(stop)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + stop
    assert [one.read_bytes() for one in path.parent.iterdir()] == [b"old"]


def test_who_was_started_to_ignore_a_closed_terminal_ignores_it(sound: str, tmp_path: Path) -> None:
    process = started(WRITING, sound, str(tmp_path / "m"), "SIG_IGN")
    process.send_signal(signal.SIGHUP)
    process.communicate("go\n", timeout=PATIENCE)
    assert process.returncode == 0
    assert (tmp_path / "m").exists()


# --- what else breaks -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("package", "how", "command"),
    [
        *(("torch", how, ("verify",)) for how in packages.BROKEN),
        ("torch", "without a library", ("sample", "--force")),
        ("torch", "half installed", ("lock", "-o", "new.lock")),
        ("numpy", "without its extension", ("verify", "--no-forward")),
        ("numpy", "without its extension", ("convert", "--to", "safetensors", "--force")),
        ("numpy", "for another Python", ("convert", "--to", "safetensors", "--force")),
        ("numpy", "not there", ("textconv",)),
        ("rich", "not there", ("inspect",)),
        ("rich", "that exits as if all was well", ("inspect",)),
        ("click", "that exits", ("inspect",)),
        ("click", "not there", ("rules",)),
        ("click", "half installed", ("explain",)),
        ("safetensors", "without a library", ("convert", "--to", "safetensors", "--force")),
    ],
)
def test_a_broken_package_cannot_tell(
    sound: str, tmp_path: Path, package: str, how: str, command: tuple[str, ...]
) -> None:
    words = [word.replace("new", str(tmp_path / "new")) for word in command]
    done = packages.with_broken(tmp_path / "broken", package, how, *words, sound)
    assert done.returncode == 2, done.stderr
    *_, line = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert "Traceback" not in done.stderr
    assert "a bug" not in done.stderr


@pytest.mark.parametrize("command", [("verify", "--no-forward"), ("inspect",)], ids=" ".join)
def test_what_does_not_run_the_model_does_not_care_about_torch(
    sound: str, tmp_path: Path, command: tuple[str, ...]
) -> None:
    done = packages.with_broken(tmp_path / "broken", "torch", "that exits", *command, sound)
    expected = invoke(*command, sound)
    assert (done.returncode, done.stdout) == (expected.code, expected.out)
    assert "Error" not in done.stderr


@pytest.mark.parametrize("command", ["--help", "--version", "verify --help"])
@pytest.mark.parametrize(
    ("redirection", "code"), [("| true", 0), (">/dev/full", 2), ("1</dev/null", 2)]
)
def test_help_that_nobody_can_read_is_no_finding(command: str, redirection: str, code: int) -> None:
    if "/dev/full" in redirection and not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    done = shell(f"{SHELL} {command} {redirection}", "")
    assert done.returncode == code
    assert "Traceback" not in done.stderr


def test_a_mistake_that_cannot_be_told_is_none_of_the_files(sound: str) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    assert shell(f"{SHELL} verify --nope $1 2>/dev/full", sound).returncode == 2


def test_what_breaks_off_beyond_all_handling_is_no_finding() -> None:
    program = "from ckpttool import __main__ as m; m._run = lambda: 1 / 0; m.run()"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == "error: the process broke off: ZeroDivisionError\n"


@pytest.mark.skipif(sys.platform != "linux", reason="limits of address space as Linux has them")
@pytest.mark.parametrize("kilobytes", [45_000, 80_000, 110_000, 160_000, 260_000])
def test_a_process_without_memory_finds_nothing(sound: str, kilobytes: int) -> None:
    """Where it stops depends on the machine: in numpy, in its BLAS, in threads or in torch."""
    done = shell(f"ulimit -v {kilobytes}; {SHELL} verify $1", sound)
    assert done.returncode not in (1, 3), done.stderr
