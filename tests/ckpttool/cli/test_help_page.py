"""Help pages: sections, widths, colours, examples; and the two ways to ask for them."""

from __future__ import annotations

import re
import shlex

import click
import pytest

from ckpttool._version import __version__
from ckpttool.cli import main
from ckpttool.cli.sections import command_sections, section_of
from tests.builders.commands import invoke

SHOWN = {name: command for name, command in main.commands.items() if not command.hidden}
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


@pytest.mark.parametrize("name", main.commands)
def test_every_option_stands_under_what_it_is_for(name: str) -> None:
    options = [one for one in main.commands[name].params if isinstance(one, click.Option)]
    loose = [one.name for one in options if section_of(name, str(one.name)) == "Options"]
    assert loose == []


def test_an_option_that_no_table_knows_is_shown_all_the_same() -> None:
    assert section_of("verify", "unheard_of") == "Options"
    assert command_sections(["verify", "unheard-of"])["Commands"] == ["unheard-of"]


def test_the_commands_that_only_git_calls_are_not_listed() -> None:
    text = invoke("--help").out
    assert {name for name in main.commands if name not in SHOWN} == {"git-diff", "textconv"}
    assert "textconv" not in text
    assert "git-diff" not in text
    for name in SHOWN:
        assert re.search(rf"^  {name} ", text, re.MULTILINE)
    assert invoke("textconv", "--help").code == 0


def examples(name: str) -> list[str]:
    text = invoke(*[name] * bool(name), "--help").out
    return re.findall(r"^    (ckpttool .*)$", text, re.MULTILINE)


@pytest.mark.parametrize("name", ["", *SHOWN])
def test_every_help_has_examples_that_are_right(name: str) -> None:
    found = examples(name)
    assert found
    for line in found:
        _, command, *arguments = shlex.split(line)
        # parsed, but not run: an option or a value that does not exist is refused. The settings
        # are the program's, because click keeps the help option that a command had first
        program = click.Context(main, **main.context_settings)
        main.commands[command].make_context(command, arguments, program)


@pytest.mark.parametrize("columns", [40, 60, 80, 100, 130])
@pytest.mark.parametrize("name", ["", *SHOWN])
def test_text_is_as_wide_as_the_terminal(
    name: str, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = invoke(*[name] * bool(name), "--help").out.splitlines()
    # lines to paste are not wrapped, and a list of values without a blank cannot be
    wide = [one for one in lines if len(one) > columns and not re.match(r"^    |^  [a-z]+   ", one)]
    assert [one for one in wide if " " in one.strip()] == []
    assert max(map(len, lines)) > min(columns, 100) * 0.8


def test_on_a_narrow_terminal_the_text_stands_below_its_option(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert "  --no-forward\n      Do not run the model" in invoke("verify", "--help").out
    monkeypatch.setenv("COLUMNS", "100")
    assert re.search(r"  --no-forward +Do not run the model", invoke("verify", "--help").out)


def test_long_lists_of_values_stand_in_the_text() -> None:
    text = " ".join(invoke("verify", "--help").out.split())
    assert "--format FORMAT The format of the report" in text
    assert "Values: text, concise, json" in text
    assert "--require [encoder|full]" in text


@pytest.mark.parametrize("name", ["", "verify"])
def test_colors_are_those_of_the_terminal_and_change_no_text(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = [*[name] * bool(name), "--help"]
    plain = invoke(*arguments).out
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    colored = invoke(*arguments).out
    assert "\x1b[36m" in colored
    assert ESCAPE.sub("", colored) == plain
    monkeypatch.setenv("NO_COLOR", "1")
    assert invoke(*arguments).out == plain


def test_help_is_a_command_as_well() -> None:
    assert invoke("help").out == invoke("--help").out
    assert invoke("help", "diff").out == invoke("diff", "--help").out
    done = invoke("help", "dif")
    assert (done.code, done.out, done.tips) == (2, "", ["did you mean 'diff'?"])


def test_without_a_command_the_help_is_shown_and_nothing_passes() -> None:
    done = invoke()
    assert (done.out, done.code) == (invoke("--help").out, 2)


@pytest.mark.parametrize("flag", ["-V", "--version"])
def test_the_version_has_a_short_option(flag: str) -> None:
    assert invoke(flag).out == f"ckpttool {__version__}\n"


@pytest.mark.parametrize("columns", [*range(60, 101, 8), 130])
@pytest.mark.parametrize("name", ["verify", "convert"])
def test_no_line_of_a_text_ends_inside_of_the_name_of_an_option(
    monkeypatch: pytest.MonkeyPatch, name: str, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    page = invoke(name, "--help").out
    assert "\u2011" not in page
    assert not re.findall(r"--[\w-]*-$", page, re.MULTILINE)
