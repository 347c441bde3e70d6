"""Errors, warnings and notes on standard error."""

from __future__ import annotations

import io
from contextlib import redirect_stderr
from typing import TYPE_CHECKING, Callable

import pytest

from ckpttool.cli import messages
from tests.builders.commands import invoke
from tests.builders.reports import Terminal

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


def shown(stream: io.StringIO, tell: Callable[..., None], *arguments: object) -> str:
    """Return what a message is on a stream."""
    with redirect_stderr(stream):
        tell(*arguments)
    return stream.getvalue()


def test_a_tip_stands_below_its_error() -> None:
    tips = ["Did you mean y.pth?", "Name a file."]
    assert shown(io.StringIO(), messages.error, "x.pth: no such file.", tips) == (
        "error: x.pth: no such file\n  tip: did you mean y.pth?\n  tip: name a file\n"
    )


def test_a_message_is_one_line_and_acts_on_no_terminal() -> None:
    told = shown(io.StringIO(), messages.warning, "two\nlines \x1b[2J")
    assert told == "warning: two lines \\x1b[2J\n"


@pytest.mark.parametrize(
    ("sentence", "tip"),
    [
        ("Name a file.", "name a file"),
        ("A glob has quotes. Put it in some.", "a glob has quotes. Put it in some."),
        ("If it is Python's, leave it.", "if it is Python's, leave it"),
        ("PEFT writes it.", "PEFT writes it"),
        ("Python writes it.", "Python writes it"),
        ("--keep NAME stores another.", "--keep NAME stores another"),
        ("Name them: ckpttool index FILE...", "name them: ckpttool index FILE..."),
        ("", ""),
    ],
)
def test_an_advice_becomes_a_tip(sentence: str, tip: str) -> None:
    assert messages.as_tip(sentence) == tip


def test_a_terminal_gets_colors_unless_a_variable_says_no(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(Terminal(), messages.error, "x").startswith("\x1b[")
    monkeypatch.setenv("NO_COLOR", "1")
    assert shown(Terminal(), messages.note, "y") == "note: y\n"


def test_a_dumb_terminal_gets_no_colors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert shown(Terminal(), messages.error, "x") == "error: x\n"


def test_a_pipe_gets_colors_where_a_variable_forces_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b[" not in shown(io.StringIO(), messages.error, "x")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[" in shown(io.StringIO(), messages.error, "x")


def test_a_closed_standard_error_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", None)
    messages.error("x")


def test_the_option_counts_for_errors_as_well(tmp_path: Path) -> None:
    gone = str(tmp_path / "gone.pth")
    assert "\x1b[" in invoke("verify", "--color", "always", gone).err
    assert "\x1b[" not in invoke("verify", "--color", "never", gone).err
    # also for what is found wrong while options are read
    assert "\x1b[" in invoke("verify", "--color", "always", "--format", "x", gone).err
