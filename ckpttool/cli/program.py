"""The program around the commands: every way to end becomes an exit code and one line."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from functools import partial
from typing import Any, Callable, Sequence

import click

from ckpttool.cli import messages
from ckpttool.cli.command import Context
from ckpttool.cli.console import nobody_reads, say_cleaned
from ckpttool.cli.display import debugging
from ckpttool.cli.environment import bind, holding, strangers
from ckpttool.cli.offers import offer
from ckpttool.findings.breakdowns import breakdown
from ckpttool.findings.errors import CkpttoolError, UsageError
from ckpttool.findings.text import closest

# 130 is what shells report for a process that Ctrl-C ended: 128 and the number of SIGINT.
CANNOT_TELL, INTERNAL, INTERRUPTED = 2, 3, 130

# Set by the scripts that complete command lines.
_COMPLETING = "_CKPTTOOL_COMPLETE"


def exit_codes(done: str) -> str:
    """Return the last lines of the help of a command that looks at files; 0 is ``done``."""
    return (
        f"Exit codes: 0 {done}, 1 fails by the content of a file, 2 cannot tell (wrong usage, "
        "unreadable, unsupported, a broken package, a limit of the system), 3 internal error, "
        "130 interrupted. Of several files, the highest counts."
    )


class NoSuchCommandError(click.UsageError):
    """A command that does not exist."""

    def __init__(self, name: str, near: str | None, ctx: click.Context) -> None:
        super().__init__(f"no such command '{name}'", ctx)
        self.tips = [] if near is None else [f"did you mean '{near}'?"]
        if near is None and os.path.exists(name):  # noqa: PTH110 (any text, which Path may refuse)
            self.tips = ["a command comes before the file: verify checks it, inspect lists it"]


class Program(click.Group):
    """A group of commands that return their exit codes; every exception becomes one as well."""

    context_class = Context

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        for command in self.commands.values():
            bind(command)
            offer(command)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command; in standalone mode, the usual one, exit the process with its code."""
        if _COMPLETING in os.environ:
            from ckpttool.cli.shells import register  # late: for completion only

            register()
        # never click's own standalone mode: it exits with 1, a finding's code, when interrupted
        run: Callable[[], Any] = partial(
            super().main, args, prog_name, complete_var, False, **extra
        )
        if not standalone_mode:
            return run()
        try:
            code = run()
        except click.ClickException as error:
            # 2 for all of them: click has 1, the code of a finding, for some
            _show(error)
            code = CANNOT_TELL
        except (click.Abort, KeyboardInterrupt):
            messages.error("interrupted")
            code = INTERRUPTED
        sys.exit(code)

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Read the options before the command."""
        try:
            return super().make_context(info_name, args, parent, **extra)
        except OSError as error:  # click prints --help and --version here
            raise click.exceptions.Exit(_ended(error)) from error

    def get_help(self, ctx: click.Context) -> str:
        """Return the help page, in colours where they are allowed."""
        from ckpttool.cli.help_page import painted

        return painted(super().get_help(ctx), ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands under what they are for, then the options."""
        from ckpttool.cli.help_page import write_commands, write_options  # late: for help only

        write_commands(self, ctx, formatter)
        write_options(self, ctx, formatter)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; of one that does not exist, say which may be meant."""
        name = args[0]
        if ctx.resilient_parsing or name.startswith("-") or self.get_command(ctx, name):
            return super().resolve_command(ctx, args)
        raise NoSuchCommandError(name, closest(name, self.commands), ctx)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command and turn what it raises into an exit code."""
        for text, tips in strangers(self):
            messages.warning(text, tips)
        try:
            return super().invoke(ctx)
        except CkpttoolError as error:
            _trace(ctx)
            # even a run that failed may have removed what a killed one had left
            say_cleaned(error.cleaned)
            _tell(error)
            return CANNOT_TELL
        except click.ClickException as error:
            # here, where it is known whether --color was given
            _show(error)
            return CANNOT_TELL
        except (click.Abort, click.exceptions.Exit):
            raise
        except SystemExit as end:
            # commands return their codes: a package's would be taken for a pass or a finding
            if isinstance(end.code, int) and end.code not in (0, 1):
                raise
            messages.error(breakdown(end) or "a package ended the process")
            return CANNOT_TELL
        except Exception as error:  # noqa: BLE001 (a bug: said in one line, not in forty)
            _trace(ctx)
            return _ended(error)


def _show(error: click.ClickException) -> None:
    from ckpttool.cli.usage import show  # late: for mistakes only

    show(error)


def _tell(error: CkpttoolError) -> None:
    tips = [error.fix] if error.fix else []
    if isinstance(error.__cause__, FileNotFoundError):
        error.rule = None  # it has nothing to add
        near = None
        if error.path and not tips:
            from ckpttool.files.missing import nearest  # late: for errors only

            near = nearest(error.path)
        tips += [f"did you mean {near}?"] if near else []
    tips += holding(error.found) if isinstance(error, UsageError) else []
    messages.error(error.headline(), tips)


def _ended(error: Exception) -> int:
    """Say what broke, and return the exit code."""
    if isinstance(error, BrokenPipeError) and nobody_reads():
        return 0  # of --help, for example: whoever asked for it has seen enough
    # only what neither the system nor a broken package explains is a bug of this program
    broken = _unwritable() if isinstance(error, OSError) else None
    broken = broken or breakdown(error)
    if broken is not None:
        messages.error(broken)
        return CANNOT_TELL
    messages.error(
        f"internal error: {type(error).__name__}: {error}",
        ["this is a bug in ckpttool: report it with the command and its output with --debug"],
    )
    return INTERNAL


def _unwritable() -> str | None:
    """Say why nothing can be written to standard output: it was opened for reading, for example."""
    try:
        # the error that ended the command does not tell which of its files could not be written
        os.write(sys.stdout.fileno(), b"")
    except OSError as error:
        if error.errno == errno.EBADF:
            return f"standard output cannot be written to: {error.strerror}."
    except (AttributeError, ValueError):  # none at all, or closed
        pass
    return None


def _trace(ctx: click.Context) -> None:
    if debugging(ctx):
        # line by line, as an error may quote a name of a hostile file
        for line in traceback.format_exc().splitlines():
            messages.say(line)
