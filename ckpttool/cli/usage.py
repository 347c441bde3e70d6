"""Mistakes on the command line, as click finds them, in this program's shape."""

from __future__ import annotations

import re
from typing import Iterator

import click

from ckpttool.cli import messages
from ckpttool.cli.environment import variable_of
from ckpttool.cli.suggestions import possible
from ckpttool.findings.text import closest


def show(error: click.ClickException) -> None:
    """Write what is wrong, what was meant perhaps, and how the command is called."""
    tips = list(_tips(error))
    ctx = _called(error)
    if ctx is not None and not tips:
        tips = [f"see {ctx.command_path} --help"]
    messages.error(_told(error), tips)
    if ctx is not None:
        messages.usage(" ".join([ctx.command_path, *ctx.command.collect_usage_pieces(ctx)]))


def _called(error: click.ClickException) -> click.Context | None:
    """Return the command, where the error is about how it was called and not about a value."""
    is_of_value = isinstance(error, click.BadParameter)
    if is_of_value and not isinstance(error, click.MissingParameter):
        return None
    return getattr(error, "ctx", None)


def _told(error: click.ClickException) -> str:
    """Return what is wrong."""
    if isinstance(error, click.NoSuchOption):
        return f"no such option '{error.option_name}'"
    if not isinstance(error, click.BadParameter):
        return messages.as_tip(error.format_message())
    name = _name_of(error.param)
    if isinstance(error, click.MissingParameter):
        return f"missing {error.param.param_type_name if error.param else 'value'} {name}"
    value = getattr(error, "value", None)
    if value is not None:
        return f"invalid value '{value}' for {name}"
    return f"invalid value for {name}: {_plain(messages.as_tip(error.message))}"


def _plain(told: str) -> str:
    """Return what click says of a value, without its words for kinds of values."""
    return re.sub(r"is not a valid integer( range)?", "is not a whole number", told)


def _tips(error: click.ClickException) -> Iterator[str]:
    if isinstance(error, click.NoSuchOption):
        # of one letter any other is as close
        near = closest(error.option_name, _options(error.ctx))
        if near is not None and error.option_name.startswith("--"):
            yield f"did you mean '{near}'?"
    if isinstance(error, click.MissingParameter):
        kind = getattr(error.param, "type", None)
        if isinstance(kind, click.Choice):
            yield possible(kind.choices)
    yield from getattr(error, "tips", ())
    variable = variable_of(error)
    if variable is not None:
        yield f"it is the value of the variable {variable}"


def _options(ctx: click.Context | None) -> list[str]:
    """Return the long spellings of all options of a command."""
    params = ctx.command.get_params(ctx) if ctx is not None else []
    spelled = [name for one in params for name in (*one.opts, *one.secondary_opts)]
    return [name for name in spelled if name.startswith("--")]


def _name_of(param: click.Parameter | None) -> str:
    if param is None:
        return "an argument"
    if isinstance(param, click.Argument):
        return (param.metavar or str(param.name).upper()).strip("[].")
    return f"'{max(param.opts, key=len)}'"
