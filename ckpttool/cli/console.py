"""Writing to the standard streams, which may be pipes that nobody reads, full or closed."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Callable, Iterable, TextIO

import click
from click.core import ParameterSource

from ckpttool.cli.display import quiet, verbose
from ckpttool.findings.text import printable

_LONGEST = 4000  # characters of a line on standard error
_NAMED = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)


def emit(write: Callable[[TextIO], object], asked: bool = False) -> None:
    """Let ``write`` write a report to standard output.

    A pipe whose reader has gone is no error: the exit code says the verdict all the same. So is
    a standard output that the caller closed. With ``--quiet`` nothing is written, but what was
    asked for by name.

    Args:
        write: told the stream.
        asked: whether the command is there for what is written, not for its exit code.

    Raises:
        ClickException: the report could not be written, because a disk is full say.
    """
    stream = sys.stdout
    if stream is None or (quiet() and not (asked or _format_named())):
        return
    # names may have characters that the terminal's encoding lacks
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="backslashreplace")
    try:
        write(stream)
        stream.flush()
    except BrokenPipeError:
        _discard(stream)
    except OSError as error:
        _discard(stream)
        reason = error.strerror or type(error).__name__
        raise click.ClickException(f"the report cannot be written: {reason}") from error


def say(line: str) -> None:
    """Write one line to standard error, and never fail because of it."""
    with suppress(OSError, ValueError):
        click.echo(printable(" ".join(line.split("\n")), _LONGEST), err=True)


def tell(line: str) -> None:
    """Say with ``--verbose`` what is being done."""
    if verbose():
        say(line)


def say_cleaned(paths: Iterable[str]) -> None:
    """Say which files went that a killed run had left: nothing is removed in silence."""
    for path in paths:
        say(f"cleaned up {path}: left by a run that was killed")


def nobody_reads() -> bool:
    """Whether standard output is a pipe whose reader has gone; what is left for it is dropped."""
    import select  # late: for errors only

    try:
        poll = select.poll()
        poll.register(sys.stdout, 0)
        gone = any(state & (select.POLLERR | select.POLLHUP) for _, state in poll.poll(0))
    except (AttributeError, OSError, TypeError, ValueError):  # closed, or a system without poll
        return False
    if gone:
        _discard(sys.stdout)
    return gone


def _format_named() -> bool:
    ctx = click.get_current_context(silent=True)
    return ctx is not None and ctx.get_parameter_source("format_name") in _NAMED


def _discard(stream: TextIO) -> None:
    """Send what is still buffered nowhere, or Python would try, and complain, at exit."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
