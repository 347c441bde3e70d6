"""How much is said, and in which colours: the options that every command has."""

from __future__ import annotations

import os
from functools import partial

import click
from click.core import ParameterSource

from ckpttool.cli.option_kinds import together

#: The options that every command has, by name.
EVERY_COMMANDS = ("quiet", "verbose", "color", "debug")

_DEBUG, _VOLUME = "ckpttool.debug", "ckpttool.volume"
_OPPOSITE = {"quiet": "verbose", "verbose": "quiet"}
# what --color stands for: the variables that are set, and those that are taken away
_COLORS = {"always": ("FORCE_COLOR", "NO_COLOR"), "never": ("NO_COLOR", "FORCE_COLOR")}


def quiet() -> bool:
    """Whether only what was asked for by name is to be said, and what is wrong."""
    return _volume() == "quiet"


def verbose() -> bool:
    """Whether to say what is being done."""
    return _volume() == "verbose"


def debugging(ctx: click.Context) -> bool:
    """Whether tracebacks are to be shown."""
    return bool(ctx.meta.get(_DEBUG))


def _volume() -> str | None:
    ctx = click.get_current_context(silent=True)
    name: str | None
    name, _ = ctx.meta.get(_VOLUME, (None, False)) if ctx else (None, False)
    return name


def _remember_debug(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        ctx.meta[_DEBUG] = True  # shared with the context of the program


def _remember_volume(ctx: click.Context, option: click.Parameter, value: bool) -> None:
    """Keep which of the two it is; what is typed counts more than what a variable says."""
    name = str(option.name)
    if not value:
        return
    typed = ctx.get_parameter_source(name) is not ParameterSource.ENVIRONMENT
    other, typed_before = ctx.meta.get(_VOLUME, (name, False))
    if other == _OPPOSITE[name] and typed is typed_before:
        raise click.UsageError("--quiet and --verbose exclude each other", ctx)
    if typed or not typed_before:
        ctx.meta[_VOLUME] = (name, typed)


def _set_colors(ctx: click.Context, _: click.Parameter, value: str) -> None:
    """Say it in the variables that all that writes goes by, as long as the command runs."""
    if value not in _COLORS:
        return
    on, off = _COLORS[value]
    before = {name: os.environ.get(name) for name in (on, off)}
    os.environ[on] = "1"
    os.environ.pop(off, None)
    ctx.call_on_close(lambda: _restore(before))


def _restore(before: dict[str, str | None]) -> None:
    for name, value in before.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value


# eager, so that they hold for errors in the other options; no command gets their values
_option = partial(click.option, expose_value=False, is_eager=True)

display_options = together(
    _option(
        "-q",
        "--quiet",
        is_flag=True,
        callback=_remember_volume,
        help="Say only what is wrong; no report, unless its --format is named.",
    ),
    _option(
        "-v",
        "--verbose",
        is_flag=True,
        callback=_remember_volume,
        help="Say what is being done, on standard error.",
    ),
    _option(
        "--color",
        type=click.Choice(["auto", *_COLORS]),
        default="auto",
        show_default=True,
        callback=_set_colors,
        help="Whether text is coloured; auto asks NO_COLOR, FORCE_COLOR and the terminal.",
    ),
    _option(
        "--debug", is_flag=True, callback=_remember_debug, help="Show the traceback of an error."
    ),
)
