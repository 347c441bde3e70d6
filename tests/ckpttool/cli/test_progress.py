"""The progress bar: for eyes only."""

from __future__ import annotations

import io

import pytest

from ckpttool.cli.progress import progress_bar
from tests.builders.reports import Terminal


def test_nobody_watches_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    with progress_bar("x.pth") as bar:
        assert bar is None
    assert stream.getvalue() == ""


def test_a_closed_standard_error_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", None)
    with progress_bar("x.pth") as bar:
        assert bar is None


def test_a_terminal_gets_a_bar_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    with progress_bar("[red]x\x1b[2J.pth") as bar:
        assert bar is not None
        bar.start(2_000_000)
        bar.advance(2_000_000)
    shown = stream.getvalue()
    assert "2.0/2.0 MB" in shown
    assert r"[red]x\x1b[2J.pth" in shown
