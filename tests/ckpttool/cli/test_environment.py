"""Options from the environment."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from ckpttool.cli import main
from ckpttool.cli.display import EVERY_COMMANDS
from tests.builders import checkpoints as built
from tests.builders.commands import invoke

# torch 2.0 warns of its own use of a class when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")

OPTIONS = [
    (command, option)
    for command in main.commands.values()
    for option in command.params
    if isinstance(option, click.Option)
]


@pytest.fixture
def good(tmp_path: Path) -> str:
    return built.saved(tmp_path, built.sound)


@pytest.mark.parametrize(
    ("command", "option"), OPTIONS, ids=[f"{one.name} {other.opts[-1]}" for one, other in OPTIONS]
)
def test_every_option_has_the_variable_of_its_name(
    command: click.Command, option: click.Option
) -> None:
    words = max(option.opts, key=len).strip("-")
    own = f"CKPTTOOL_{command.name}_{words}".upper().replace("-", "_")
    common = [f"CKPTTOOL_{words.upper()}"] if words in EVERY_COMMANDS else []
    assert option.envvar == [own, *common]


def test_a_variable_sets_an_option(good: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CKPTTOOL_INSPECT_FORMAT", "json")
    assert invoke("inspect", good).out.startswith("{")
    assert not invoke("inspect", "--format", "text", good).out.startswith("{")


def test_a_variable_sets_a_flag(good: str, tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CKPTTOOL_VERIFY_MODEL", tiny)
    monkeypatch.setenv("CKPTTOOL_VERIFY_NO_FORWARD", "true")
    assert "--no-forward" in invoke("verify", good).out


def test_the_variable_of_a_command_counts_more_than_that_of_all(
    good: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CKPTTOOL_COLOR", "always")
    assert "\x1b" in invoke("inspect", good).out
    monkeypatch.setenv("CKPTTOOL_INSPECT_COLOR", "never")
    assert "\x1b" not in invoke("inspect", good).out


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        pytest.param("CKPTTOOL_VERIFY_FORMAT", "xml", id="no such choice"),
        pytest.param("CKPTTOOL_VERIFY_WORKERS", "0", id="out of range"),
        pytest.param("CKPTTOOL_VERIFY_NO_FORWARD", "perhaps", id="no yes or no"),
        pytest.param("CKPTTOOL_COLOR", "pink", id="of all commands"),
        pytest.param("CKPTTOOL_VERIFY_MODEL", "vgg", id="found wrong later"),
    ],
)
def test_a_bad_value_is_wrong_usage_and_names_the_variable(
    variable: str, value: str, good: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    done = invoke("verify", good)
    assert (done.code, done.out) == (2, "")
    assert variable in done.last


def test_a_bad_value_that_was_typed_names_none(good: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CKPTTOOL_VERIFY_FORMAT", "json")
    assert "CKPTTOOL" not in invoke("verify", "--format", "xml", good).err
    assert "CKPTTOOL" not in invoke("verify", "--model", "vgg", good).err


def test_a_typing_error_in_a_name_is_told(good: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CKPTTOOL_VERIFY_FROMAT", "json")
    done = invoke("inspect", good)
    assert done.code == 0
    assert done.err == (
        "warning: the variable CKPTTOOL_VERIFY_FROMAT sets no option\n"
        "  tip: did you mean CKPTTOOL_VERIFY_FORMAT?\n"
    )
