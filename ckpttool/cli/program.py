"""The program around the commands: every way to end becomes an exit code and one line."""

from __future__ import annotations

import sys
import traceback
from functools import partial
from typing import Any, Callable, Sequence, TypeVar

import click

from ckpttool.cli.output import say
from ckpttool.errors import CkpttoolError

#: Below the help of every command.
EXIT_CODES = (
    "Exit codes: 0 passes, 1 fails, 2 cannot tell (or wrong usage), 3 internal error, "
    "130 interrupted. Of several files, the highest counts."
)
CANNOT_TELL, INTERNAL, INTERRUPTED = 2, 3, 130

_DEBUG = "ckpttool.debug"

_Command = TypeVar("_Command", bound=Callable[..., Any])


class Program(click.Group):
    """A group of commands that return their exit code and may raise whatever they like."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command; in standalone mode, the usual one, exit the process with its code."""
        run: Callable[[], Any] = partial(
            super().main, args, prog_name, complete_var, False, **extra
        )
        if not standalone_mode:
            return run()
        try:
            code = run()
        except click.ClickException as error:
            error.show()
            code = CANNOT_TELL
        except (click.Abort, KeyboardInterrupt):
            say("Interrupted.")
            code = INTERRUPTED
        sys.exit(code)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command and turn what it raises into an exit code."""
        try:
            return super().invoke(ctx)
        except CkpttoolError as error:
            _trace(ctx)
            say(f"Error: {error}")
            return CANNOT_TELL
        except MemoryError:
            _trace(ctx)
            say("Error: there is not enough memory.")
            return CANNOT_TELL
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise
        except Exception as error:  # noqa: BLE001 (a bug: said in one line, not in forty)
            _trace(ctx)
            say(
                f"Internal error: {type(error).__name__}: {error}. This is a bug in ckpttool: "
                "please report it with the command and what it prints with --debug."
            )
            return INTERNAL


def debug_option(command: _Command) -> _Command:
    """Add ``--debug``, which shows the traceback of an error."""
    option = click.option(
        "--debug",
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=_remember_debug,
        help="Show the traceback of an error.",
    )
    return option(command)


def _remember_debug(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        ctx.meta[_DEBUG] = True  # shared with the context of the program


def _trace(ctx: click.Context) -> None:
    if ctx.meta.get(_DEBUG) and sys.stderr is not None:
        traceback.print_exc(file=sys.stderr)
