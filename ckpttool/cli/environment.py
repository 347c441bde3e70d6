"""Options from environment variables: ``CKPTTOOL_VERIFY_FORMAT`` is ``--format`` of ``verify``.

An option that every command has can be set for all of them: ``CKPTTOOL_COLOR``. What is typed
overrides a variable, and a variable of one command one of all.
"""

from __future__ import annotations

import os
from typing import Iterator

import click
from click.core import ParameterSource

from ckpttool.cli.display import EVERY_COMMANDS
from ckpttool.findings.text import meant

#: Before every name.
PREFIX = "CKPTTOOL_"


def bind(command: click.Command) -> None:
    """Give every option of a command its variables."""
    for option in command.params:
        if isinstance(option, click.Option):
            option.envvar = _names(command, option)


def _names(command: click.Command, option: click.Option) -> list[str]:
    # the long spelling without its first dash: verify-format
    own = _upper(f"{command.name}{max(option.opts, key=len)[1:]}")
    return [own, _upper(str(option.name))] if option.name in EVERY_COMMANDS else [own]


def _upper(words: str) -> str:
    return PREFIX + words.upper().replace("-", "_")


def strangers(group: click.Group) -> Iterator[tuple[str, list[str]]]:
    """Yield a warning for each variable that looks like ours and sets no option, with tips."""
    names = {
        name
        for command in group.commands.values()
        for option in command.params
        for name in option.envvar or ()
    }
    for name in sorted(os.environ):
        # a misspelled CKPTTOOL_VERIFY_REQUIRE would let an incomplete release pass
        if name.startswith(PREFIX) and name not in names:
            question = meant(name, names)
            yield f"the variable {name} sets no option", [question] if question else []


def variable_of(error: click.ClickException) -> str | None:
    """Return the variable that the bad value of an error was taken from."""
    # click names the option alone, which nobody typed: the variable may be set in a file of CI
    option, ctx = getattr(error, "param", None), getattr(error, "ctx", None)
    if option is None or ctx is None or option.name is None:
        return None
    if ctx.get_parameter_source(option.name) is not ParameterSource.ENVIRONMENT:
        return None
    names: list[str] = option.envvar or []
    return next(name for name in names if os.environ.get(name))


def holding(value: object) -> list[str]:
    """Return a tip that names the variables whose value a later check refused, if any hold it."""
    # the check knows the value only, so variables that happen to hold the same are named too
    names = [name for name in sorted(os.environ) if name.startswith(PREFIX)]
    held = [name for name in names if value is not None and os.environ[name] == str(value)]
    return [f"it is the value of {', '.join(held)}"] if held else []
