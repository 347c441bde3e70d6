"""How much is written, and in which colours: the options that every command has."""

from __future__ import annotations

import os
import sys
from functools import partial
from typing import TextIO

import click
from click.core import ParameterSource

from ckpttool.cli.choices import OneOf
from ckpttool.cli.option_kinds import together

#: The options that every command has, by name.
EVERY_COMMANDS = ("quiet", "verbose", "color", "debug")

_DEBUG, _VOLUME, _COLOR = "ckpttool.debug", "ckpttool.volume", "ckpttool.color"
# what --color stands for: the variable that is set, and the one that is removed
_COLORS = {"always": ("FORCE_COLOR", "NO_COLOR"), "never": ("NO_COLOR", "FORCE_COLOR")}


def quiet() -> bool:
    """Whether to write only errors, and what was asked for by name."""
    return _volume() == "quiet"


def verbose() -> bool:
    """Whether to write what is being done."""
    return _volume() == "verbose"


def debugging(ctx: click.Context) -> bool:
    """Whether tracebacks are to be shown."""
    return bool(ctx.meta.get(_DEBUG))


def color_asked() -> bool | None:
    """Whether ``--color`` asks for colours; ``None`` if it leaves that to the environment."""
    ctx = click.get_current_context(silent=True)
    return ctx.meta.get(_COLOR) if ctx else None


def colored(stream: TextIO | None = None) -> bool:
    """Whether a stream, by default standard output, gets colours.

    ``--color`` says so, or a variable, or that it is a terminal.
    """
    asked = color_asked()
    if asked is not None:
        return asked
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR", "0") not in ("", "0"):
        return True
    shown = stream or sys.stdout
    return shown is not None and shown.isatty() and os.environ.get("TERM") != "dumb"


def _volume() -> str | None:
    ctx = click.get_current_context(silent=True)
    name: str | None
    name, _ = ctx.meta.get(_VOLUME, (None, False)) if ctx else (None, False)
    return name


def _remember_debug(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        ctx.meta[_DEBUG] = True  # shared with the context of the program


def _remember_volume(ctx: click.Context, option: click.Parameter, value: bool) -> None:
    """Keep which of the two it is; what is typed overrides a variable."""
    name = str(option.name)
    if not value:
        return
    # -q -v on one command line is a contradiction; -v where CKPTTOOL_QUIET is set is a choice
    typed = ctx.get_parameter_source(name) is not ParameterSource.ENVIRONMENT
    other, typed_before = ctx.meta.get(_VOLUME, (name, False))
    if other != name and typed is typed_before:
        raise click.UsageError("--quiet and --verbose exclude each other", ctx)
    if typed or not typed_before:
        ctx.meta[_VOLUME] = (name, typed)


def _set_colors(ctx: click.Context, _: click.Parameter, value: str) -> None:
    """Set the variables that rich, and whatever else writes, obeys, while the command runs."""
    if value not in _COLORS:  # auto: they stay as they are
        return
    on, off = _COLORS[value]
    # for errors, which are told when the command has ended
    ctx.meta[_COLOR] = value == "always"
    before = {name: os.environ.get(name) for name in (on, off)}
    os.environ[on] = "1"
    os.environ.pop(off, None)

    def restore() -> None:  # tests run many commands in one process
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value

    # of the program: where options are wrong, the command's own context is never closed
    ctx.find_root().call_on_close(restore)


# eager, so that they hold for errors in the other options; no command gets their values
_option = partial(click.option, expose_value=False, is_eager=True)

display_options = together(
    _option(
        "-q",
        "--quiet",
        is_flag=True,
        callback=_remember_volume,
        help="Write only errors and what failed. A report is written only if --format is given.",
    ),
    _option(
        "-v",
        "--verbose",
        is_flag=True,
        callback=_remember_volume,
        help="Also write each step to standard error: files opened, read, done, left out.",
    ),
    _option(
        "--color",
        type=OneOf(["auto", *_COLORS]),
        default="auto",
        show_default=True,
        callback=_set_colors,
        help="When to use colours; auto: on a terminal, as NO_COLOR and FORCE_COLOR say.",
    ),
    # off by default: a traceback would bury the one line that says what to do
    _option(
        "--debug",
        is_flag=True,
        callback=_remember_debug,
        help="Show the Python traceback of an error.",
    ),
)
