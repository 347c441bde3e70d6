"""How much is said, and in which colours: the same options for every command."""

from __future__ import annotations

import os
from pathlib import Path

import click
import pytest

from ckpttool.cli import main
from ckpttool.cli.display import EVERY_COMMANDS, _volume
from tests.builders import checkpoints as built
from tests.builders.commands import invoke

# torch 2.0 warns of its own use of a class when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")

ESCAPE = "\x1b["


@pytest.fixture(autouse=True)
def no_conventions(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def good(tmp_path: Path) -> str:
    return built.saved(tmp_path, built.sound, "good.pth")


@pytest.fixture
def bad(tmp_path: Path) -> str:
    return built.saved(tmp_path, built.encoder_block_missing, "bad.pth")


@pytest.mark.parametrize("command", main.commands.values(), ids=lambda one: str(one.name))
def test_every_command_has_them(command: click.Command) -> None:
    assert set(EVERY_COMMANDS) <= {option.name for option in command.params}


# --- quiet and verbose ----------------------------------------------------------------


def test_quiet_says_nothing_of_a_pass(good: str, tiny: str) -> None:
    assert invoke("verify", "-q", "--no-forward", "--model", tiny, good) == (0, "", "")


def test_quiet_says_what_fails_and_nothing_of_what_passes(good: str, bad: str, tiny: str) -> None:
    done = invoke("verify", "--quiet", "--no-forward", "--model", tiny, bad, good)
    assert done.code == 1
    assert done.out.splitlines()
    assert all(line.startswith(f"{bad}: ") and " error " in line for line in done.out.splitlines())
    assert done.err.startswith("FAIL ")
    assert len(done.err.splitlines()) == 1


def test_where_no_command_runs_nobody_said_how_much() -> None:
    assert _volume() is None


def test_quiet_writes_a_format_that_is_named(good: str) -> None:
    assert invoke("inspect", "-q", "--format", "json", good).out.startswith("{")
    assert invoke("inspect", "-q", good) == (0, "", "")


def test_quiet_keeps_what_a_command_is_there_for(good: str) -> None:
    assert invoke("textconv", "-q", good).out == invoke("textconv", good).out != ""


def test_verbose_says_what_is_done_with_each_file(good: str, bad: str, tiny: str) -> None:
    done = invoke("verify", "-v", "--no-forward", "--model", tiny, good, bad, good)
    told = done.err.splitlines()
    assert told[0] == f"{good}: left out, named before"
    assert [line.rpartition(": ")[2].split()[0] for line in told[1:-1]] == [
        *["opening", "reading", "done"] * 2,
        *["PASS", "FAIL"],
    ]
    assert told[-1].startswith("FAIL ")


def test_without_verbose_only_the_summary_is_said(good: str, tiny: str) -> None:
    done = invoke("verify", "--no-forward", "--model", tiny, good, good)
    assert len(done.err.splitlines()) == 1


def test_quiet_and_verbose_exclude_each_other(good: str) -> None:
    done = invoke("inspect", "-q", "-v", good)
    assert done.code == 2
    assert "--quiet and --verbose" in done.err


def test_what_is_typed_counts_more_than_a_variable(
    good: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CKPTTOOL_VERBOSE", "1")
    assert invoke("inspect", "-q", good) == (0, "", "")
    monkeypatch.setenv("CKPTTOOL_QUIET", "1")
    monkeypatch.delenv("CKPTTOOL_VERBOSE")
    assert "blocks" in invoke("inspect", "-v", good).out


# --- colours --------------------------------------------------------------------------


def test_a_pipe_is_not_coloured_unless_asked(good: str) -> None:
    assert ESCAPE not in invoke("inspect", good).out
    assert ESCAPE in invoke("inspect", "--color", "always", good).out


@pytest.mark.parametrize(
    ("variables", "option", "coloured"),
    [
        pytest.param({"FORCE_COLOR": "1"}, "auto", True, id="forced"),
        pytest.param({"FORCE_COLOR": "0"}, "auto", False, id="not forced"),
        pytest.param({"FORCE_COLOR": "1", "NO_COLOR": "1"}, "auto", False, id="no counts more"),
        pytest.param({"FORCE_COLOR": "1"}, "never", False, id="never"),
        pytest.param({"NO_COLOR": "1"}, "always", True, id="always"),
        pytest.param({"CKPTTOOL_COLOR": "always", "NO_COLOR": "1"}, "", True, id="our own"),
    ],
)
def test_the_option_counts_more_than_the_conventions(
    variables: dict[str, str],
    option: str,
    coloured: bool,
    good: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    done = invoke("inspect", *["--color", option] * bool(option), good)
    assert (ESCAPE in done.out) is coloured


def test_the_environment_is_as_it_was_afterwards(
    good: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    before = dict(os.environ)
    invoke("inspect", "--color", "always", good)
    assert dict(os.environ) == before


def test_lines_are_not_wrapped_because_of_colours(good: str) -> None:
    plain, coloured = invoke("inspect", good).out, invoke("inspect", "--color", "always", good).out
    assert len(plain.splitlines()) == len(coloured.splitlines())
