"""Colours: for what is looked at, and for nothing that is kept."""

from __future__ import annotations

import io
from typing import Any, Mapping

import pytest
from rich.text import Text

from ckpttool.reports.terminal.page import Page, styled
from tests.builders.reports import Terminal


def shown(stream: io.StringIO, environment: Mapping[str, str]) -> str:
    Page(stream, environment).line(styled("word", "bold"))
    return stream.getvalue()


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    for convention in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(convention, raising=False)


def test_a_pipe_that_people_look_at_is_coloured_if_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stdout", stream)
    assert shown(stream, {"FORCE_COLOR": "1"}) == "\x1b[1mword\x1b[0m\n"


@pytest.mark.parametrize(
    "environment",
    [
        pytest.param({"FORCE_COLOR": "1"}, id="forced"),
        pytest.param({}, id="not forced"),
    ],
)
def test_a_file_is_never_coloured(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)  # rich looks there by itself
    assert shown(io.StringIO(), environment) == "word\n"


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [
        pytest.param({}, True, id="as it is"),
        pytest.param({"NO_COLOR": "1"}, False, id="not wanted"),
        pytest.param({"NO_COLOR": ""}, True, id="an empty one is none"),
        pytest.param({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False, id="both"),
    ],
)
def test_a_terminal_is_coloured_unless_that_is_not_wanted(
    environment: dict[str, str], coloured: bool
) -> None:
    assert ("\x1b" in shown(Terminal(), environment)) is coloured


class Unread(io.StringIO):
    """A pipe whose reader has gone."""

    def write(self, _text: str) -> int:
        raise BrokenPipeError


def test_who_does_not_read_ends_no_process() -> None:
    with pytest.raises(BrokenPipeError):  # rich makes it SystemExit(1), the code of a finding
        Page(Unread()).line(styled("x", "bold"), 0, 0)


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
@pytest.mark.parametrize("columns", ["0", "-1", "", "wide"])
def test_a_width_that_is_none_is_ignored(stream: type[io.StringIO], columns: str) -> None:
    written = stream()
    Page(written, {"COLUMNS": columns, "LINES": "0", "NO_COLOR": "1"}).line(Text("a word " * 4))
    assert written.getvalue() == "a word a word a word a word\n"


@pytest.mark.parametrize("kind", ["xterm", "dumb"])
def test_a_width_that_is_set_is_taken(kind: str) -> None:
    assert Page(Terminal(), {"COLUMNS": "120", "TERM": kind}).width == 120


def test_a_dumb_terminal_of_no_width_has_80_columns() -> None:
    assert Page(Terminal(), {"TERM": "dumb"}).width == 80


def test_in_a_notebook_a_text_is_written_to_its_stream_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # how rich tells one; there it shows each line as HTML, even what goes to a file
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    page = Page(io.StringIO())
    assert not page._console.is_jupyter


@pytest.mark.parametrize("columns", ["80", "120"])
def test_a_label_wider_than_its_column_stays_apart_from_its_text(
    columns: str,
) -> None:
    stream = Terminal()
    Page(stream, {"NO_COLOR": "1", "COLUMNS": columns}).row(
        "decoupled_weight_decay", styled("True", ""), 2, 15
    )
    assert stream.getvalue() == "  decoupled_weight_decay True\n"


@pytest.mark.parametrize("columns", ["40", "64", "80", "130"])
@pytest.mark.parametrize("length", [20, 38, 60, 78, 130, 400])
def test_a_long_label_leaves_room_for_the_text(columns: str, length: int) -> None:
    stream = Terminal()
    # the second column begins behind the longest label, which may be a key of a file
    Page(stream, {"NO_COLOR": "1", "COLUMNS": columns}).row(
        "k" * length, Text("what stands there"), 2, length + 4
    )
    lines = stream.getvalue().splitlines()
    assert max(map(len, lines)) <= int(columns)
    assert "".join("".join(lines).split()) == "k" * length + "whatstandsthere"


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
@pytest.mark.parametrize("write", [Page.line, lambda page, text: page.whole("label", text)])
def test_what_a_caller_left_unescaped_is_escaped(stream: type[io.StringIO], write: Any) -> None:
    written = stream()
    write(Page(written, {"NO_COLOR": "1", "COLUMNS": "40"}), Text("a\x1b[2J\n::error::" + "b" * 40))
    assert r"a\x1b[2J\x0a\x3a\x3aerror\x3a\x3a" in "".join(written.getvalue().split())
