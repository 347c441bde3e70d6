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


def strangers(group: click.Group) -> Iterator[str]:
    """Yield a warning for each variable that looks like ours and sets no option."""
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
            hint = f" {question}" if question else ""
            yield f"Warning: the variable {name} sets no option.{hint}"


def with_variable(error: click.BadParameter) -> click.BadParameter:
    """Return the error with the name of the variable that the bad value was taken from."""
    # click names the option alone, which nobody typed: the variable may be set in a file of CI
    option, ctx = error.param, error.ctx
    if option is None or ctx is None or option.name is None:
        return error
    if ctx.get_parameter_source(option.name) is not ParameterSource.ENVIRONMENT:
        return error
    used = next(name for name in option.envvar or () if os.environ.get(name))
    told = f"{error.message.rstrip('.')} (from the variable {used})."
    return click.BadParameter(told, ctx, option, error.param_hint)


def blame(value: object) -> str:
    """Return a sentence that names the variables whose value a later check refused."""
    # the check knows the value only, so variables that happen to hold the same are named too
    names = [name for name in sorted(os.environ) if name.startswith(PREFIX)]
    held = [name for name in names if value is not None and os.environ[name] == str(value)]
    return f". It is the value of {', '.join(held)}" if held else ""
