"""Kinds of options that several commands have, each declared once."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Callable, Iterable, TypeVar

import click

_Command = TypeVar("_Command", bound=Callable[..., Any])


def together(*options: Callable[[Any], Any]) -> Callable[[_Command], _Command]:
    """Return a decorator that adds options to a command; its help lists them in this order."""

    def add(command: _Command) -> _Command:
        # decorators apply from the bottom up, and click lists the last one first
        for option in reversed(options):
            command = option(command)
        return command

    return add


class LateChoice(click.Choice):  # type: ignore[type-arg]  # generic since click 8.4 only
    """A choice among the names in a table whose module is imported when the option is used.

    Every start of the program declares the options of every command. Some tables bring all readers
    of checkpoints along, and ``ckpttool --help`` would wait for them.

    Args:
        module: where the table is.
        table: its name there; a mapping or a sequence.
    """

    def __init__(self, module: str, table: str) -> None:
        # not click's: it stores the choices, and from 8.2 on as a tuple, so that it reads the table
        self._module, self._table = module, table
        self.case_sensitive = True

    @property
    def choices(self) -> tuple[str, ...]:  # type: ignore[override]  # an attribute in click
        """The names, read each time: whoever adds to the table later is heard."""
        return tuple(getattr(import_module(self._module), self._table))


def format_option(
    formats: Iterable[str], told: str = "How to report."
) -> Callable[[_Command], _Command]:
    """Return ``--format``, which the command gets as ``format_name``."""
    return click.option(
        "--format",
        "format_name",  # `format` is Python's own
        type=click.Choice(list(formats)),
        default="text",
        show_default=True,
        help=told,
    )


def workers_option(what: str, default: str = "one a processor") -> Callable[[_Command], _Command]:
    """Return ``--workers``: threads that do ``what``."""
    return click.option(
        "--workers",
        type=click.IntRange(min=1),
        metavar="N",
        help=f"Threads that {what}. By default {default}.",
    )


wrapper_option = click.option(
    "--wrapper",
    metavar="KEY",
    help="The state dict to take: a dotted key, model_ema or state_dict.0 say ('' is the root). By "
    "default the content decides.",
)
