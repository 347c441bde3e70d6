"""What goes to standard error: errors, tips, notes, steps, the progress bar and the last line."""

from __future__ import annotations

import io
import re
from contextlib import redirect_stderr
from typing import Callable, Iterator

import pytest
from hypothesis import given, settings

from ckpttool.cli import messages
from ckpttool.cli.progress import progress_bar, progress_of
from ckpttool.cli.summary import summary_of
from tests.builders import hostile_names as hostile
from tests.builders import inert
from tests.builders import reports as built
from tests.builders.reports import Terminal
from tests.ckpttool.reports.names.rendering import at_once

#: What the bar writes to stay on its line: the cursor is hidden and shown, and the line erased.
_DRAWN = re.compile(r"\x1b\[\?25[lh]|\x1b\[2K|\x1b\[1A|\r|\x1b\[(?:\d+(?:;\d+)*)m")

every_name = pytest.mark.parametrize("name", hostile.ALL)


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    for name in ("NO_COLOR", "FORCE_COLOR", "CI"):
        monkeypatch.delenv(name, raising=False)


def told(tell: Callable[[], object], stream: io.StringIO | None = None) -> str:
    shown = io.StringIO() if stream is None else stream
    with redirect_stderr(shown):
        tell()
    return shown.getvalue()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(name=hostile.names())
def test_a_message_and_its_tips_are_one_line_each(name: str) -> None:
    for tell in (messages.error, messages.warning):
        text = told(lambda tell=tell: tell(f"{name}: {name}", [name, f"Name {name}."]))  # type: ignore[misc]
        assert list(inert.in_a_log(text)) == []
        assert text.count("\n") == 3
        colored = told(lambda tell=tell: tell(name, [name]), Terminal())  # type: ignore[misc]
        assert list(inert.on_a_terminal(colored)) == []


@every_name
def test_notes_and_steps_are_one_line(name: str) -> None:
    for tell in (messages.note, messages.say, messages.usage):
        text = told(lambda tell=tell: tell(name))  # type: ignore[misc]
        assert list(inert.in_a_log(text)) == []
        assert text.count("\n") == 1


@every_name
def test_the_bar_shows_a_name_and_draws_nothing_else(name: str) -> None:
    stream = Terminal()

    def run() -> None:
        with progress_bar(f"folder/{name}") as bar:
            assert bar is not None
            bar.phase("reading")
            bar.start(10)
            bar.advance(10)
        with progress_of([name, f"{name}2"]) as of_file, of_file(name) as several:
            assert several is not None

    assert list(inert.unprintable(_DRAWN.sub("", told(run, stream)))) == []


def _texts() -> Iterator[str]:
    for name in built.SPECIMENS:
        yield summary_of(at_once(built.SPECIMENS[name], hostile.ALL), 1.0)


def test_the_last_line_is_one_line() -> None:
    for text in _texts():
        assert list(inert.in_a_log(told(lambda text=text: messages.say(text)))) == []  # type: ignore[misc]
