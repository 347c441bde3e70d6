"""Commands with the help pages of this program: options by purpose, colours, any width."""

from __future__ import annotations

from typing import Any, Callable

import click


class Context(click.Context):
    """A context whose help is laid out by :mod:`ckpttool.cli.help_page`."""

    def make_formatter(self) -> click.HelpFormatter:
        """Return what lays the help out."""
        from ckpttool.cli.help_page import Formatter  # late: for help only

        return Formatter()


class Command(click.Command):
    """A command with a help page in sections."""

    context_class = Context

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options under what they are for."""
        from ckpttool.cli.help_page import write_options

        write_options(self, ctx, formatter)

    def get_help(self, ctx: click.Context) -> str:
        """Return the help page, in colours where they are allowed."""
        from ckpttool.cli.help_page import painted

        return painted(super().get_help(ctx), ctx)


def command(name: str | None = None, **settings: Any) -> Callable[[Callable[..., Any]], Command]:
    """Return the decorator that makes a :class:`Command` of a function."""
    return click.command(name, cls=Command, **settings)
