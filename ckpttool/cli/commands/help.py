"""``ckpttool help``."""

from __future__ import annotations

from typing import Mapping

import click

from ckpttool.cli.choices import OneOf
from ckpttool.cli.command import command
from ckpttool.cli.console import emit
from ckpttool.cli.display import display_options

_EXIT_CODES = "Exit codes: 0 shown, 2 wrong usage, 3 internal error, 130 interrupted."


def _commands() -> Mapping[str, click.Command]:
    from ckpttool.cli import main  # late: it imports this module

    return main.commands


@command("help", epilog=_EXIT_CODES)
@click.argument(
    "name",
    metavar="[COMMAND]",
    type=OneOf(_commands),
    required=False,
)
@display_options
@click.pass_context
def show_help(ctx: click.Context, name: str | None) -> int:
    """Show the help of a command, or of the program.

    \b
    Examples:
      ckpttool help
      ckpttool help verify
    """  # noqa: D301 (for click, a backspace)
    root = ctx.find_root()
    shown = root
    if name is not None:
        known = _commands()[name]
        shown = known.context_class(known, info_name=name, parent=root)
    page = shown.get_help()
    emit(lambda stream: click.echo(page, file=stream, color=shown.color), asked=True)
    return 0
