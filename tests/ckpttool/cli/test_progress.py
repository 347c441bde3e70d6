"""The progress bar: for eyes only, and gone when the run is over."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Callable

import pytest

from ckpttool.cli import main
from ckpttool.cli.progress import Bar, progress_bar, progress_of
from tests.builders import checkpoints as built
from tests.builders.commands import runner
from tests.builders.reports import Terminal

# torch 2.0 warns of its own use of a class when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")

CLEARED = "\x1b[2K"


def watched(
    monkeypatch: pytest.MonkeyPatch, columns: int = 100, stream: io.StringIO | None = None
) -> io.StringIO:
    stream = stream if stream is not None else Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(columns))
    for name in ("JPY_PARENT_PID", "COLAB_RELEASE_TAG", "KAGGLE_KERNEL_RUN_TYPE", "CI"):
        monkeypatch.delenv(name, raising=False)
    return stream


def frames(stream: io.StringIO) -> list[str]:
    """Return what was drawn, one text for each time."""
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", stream.getvalue()).replace("\r", "\n").split("\n")


def test_nobody_watches_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = watched(monkeypatch, stream=io.StringIO())
    with progress_bar("x.pth") as bar:
        assert bar is None
    assert stream.getvalue() == ""


def test_a_closed_standard_error_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", None)
    with progress_bar("x.pth") as bar:
        assert bar is None


@pytest.mark.parametrize(
    ("variable", "value"),
    [("JPY_PARENT_PID", "1"), ("COLAB_RELEASE_TAG", "x"), ("TERM", "dumb"), ("CI", "true")],
)
def test_a_notebook_a_dumb_terminal_and_a_log_get_no_bar(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = watched(monkeypatch)
    monkeypatch.setenv(variable, value)
    with progress_bar("x.pth") as bar:
        assert bar is None
    assert stream.getvalue() == ""


@pytest.mark.parametrize(("variable", "value"), [("CI", "false"), ("CI", ""), ("COLUMNS", "0")])
def test_any_other_terminal_gets_one(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = watched(monkeypatch)
    monkeypatch.setenv(variable, value)
    with progress_bar("x.pth") as bar:
        assert bar is not None
    assert "x.pth" in stream.getvalue()


def test_a_terminal_gets_phase_path_share_rate_and_time(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = watched(monkeypatch)
    with progress_bar("[red]x\x1b[2J.pth") as bar:
        assert isinstance(bar, Bar)
        bar.start(2_000_000)
        bar.advance(500_000)
        bar.advance(500_000)
    shown = "".join(frames(stream))
    assert r"reading [red]x\x1b[2J.pth" in shown
    assert " 50 %" in shown
    assert "/s" in shown
    assert re.search(r"-?:?\d?:--|\d:\d\d", shown)


@pytest.mark.parametrize("columns", [40, 60, 80, 130])
def test_it_is_one_line_however_narrow_the_terminal(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = watched(monkeypatch, columns)
    with progress_bar("runs/" + "long" * 20 + ".pth") as bar:
        assert isinstance(bar, Bar)
        bar.start(100)
        bar.advance(30)
    drawn = [frame for frame in frames(stream) if frame.strip()]
    assert all(len(frame) <= columns for frame in drawn)
    assert all("%" in frame for frame in drawn)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError])
def test_it_disappears_however_the_run_ends(
    error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = watched(monkeypatch)

    def run() -> None:
        with progress_bar("x.pth") as bar:
            assert isinstance(bar, Bar)
            bar.start(10)
            raise error

    with pytest.raises(error):
        run()
    # the line is erased, and the cursor is shown again
    assert stream.getvalue().rstrip("\r\n").endswith((CLEARED, "\x1b[?25h"))
    assert "\x1b[?25h" in stream.getvalue()
    assert CLEARED in stream.getvalue()


def shares(bar: Bar) -> Callable[[], float]:
    (task,) = bar._progress.tasks
    return lambda: round(task.percentage)


def test_a_batch_has_one_bar_for_all_of_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = watched(monkeypatch)
    paths = [str(tmp_path / name) for name in ("a.pth", "b.pth", "c.pth")]
    for path in paths:
        Path(path).write_bytes(bytes(100))
    with progress_of(paths) as of_file:
        with of_file(paths[0]) as bar:
            assert isinstance(bar, Bar)
            share = shares(bar)
            bar.start(100)
            bar.advance(50)
            assert share() == 17
            bar.advance(50)
            bar.phase("comparing")
            bar.start(1000)  # a second pass does not take the bar back
            bar.advance(500)
            assert share() == 33
        with of_file(paths[1]) as bar:
            pass  # an error before the first byte
        assert share() == 67
        with of_file(paths[2]) as bar:
            assert isinstance(bar, Bar)
            bar.start(100)
            bar.advance(100)
            assert share() == 100
    shown = "".join(frames(stream))
    assert "3/3 reading" in shown


def test_the_size_of_a_file_is_corrected_by_what_is_read_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched(monkeypatch)
    paths = [str(tmp_path / name) for name in ("model.safetensors.index.json", "b.pth")]
    for path in paths:
        Path(path).write_bytes(bytes(100))
    with progress_of(paths) as of_file, of_file(paths[0]) as bar:
        assert isinstance(bar, Bar)
        bar.start(900)
        bar.advance(450)
        assert shares(bar)() == 45


@pytest.mark.parametrize(
    "command",
    [
        ["verify", "a.pth", "b.pth"],
        ["lock", "a.pth", "-o", "x.lock"],
        ["diff", "a.pth", "b.pth"],
        ["prove", "a.pth", "--from", "b.pth"],
        ["convert", "a.pth", "b.pth", "--to", "safetensors"],
        ["sample", "x.pth"],
    ],
    ids=lambda command: str(command[0]),
)
def test_every_command_that_reads_or_writes_weights_has_one(
    command: list[str], tmp_path: Path, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    built.saved(tmp_path, built.sound, "a.pth")
    built.saved(tmp_path, built.sound, "b.pth")
    told: list[tuple[str, object]] = []
    monkeypatch.setattr("ckpttool.cli.progress._is_watched", lambda: True)
    monkeypatch.setattr(Bar, "start", lambda _, total: told.append(("start", total)))
    monkeypatch.setattr(Bar, "advance", lambda _, nbytes: told.append(("advance", nbytes)))
    own = ["--model", tiny] if command[0] in ("verify", "lock", "sample") else []
    result = runner().invoke(main, [*command, *own])
    assert result.exit_code == 0, result.output
    started = sum(int(str(n)) for what, n in told if what == "start")
    assert started > 0
    advanced = sum(int(str(n)) for what, n in told if what == "advance")
    assert advanced >= started * 0.9
