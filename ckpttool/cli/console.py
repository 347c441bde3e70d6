"""The standard streams, which may be pipes that nobody reads, full or closed."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Callable, Iterable, TextIO

import click
from click.core import ParameterSource

from ckpttool.cli.display import quiet
from ckpttool.cli.messages import note
from ckpttool.findings.errors import OutputError, UsageError

_NAMED = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)


def emit(write: Callable[[TextIO], object], asked: bool = False) -> None:
    """Write a report to standard output; with ``--quiet`` only if it was asked for by name.

    Args:
        write: called with the stream.
        asked: whether the text is what the command is for, rather than its exit code.

    Raises:
        OutputError: the report could not be written: a disk is full, for example.
    """
    stream = sys.stdout
    # None: the caller closed it, and wants the exit code alone
    if stream is None or not (asked or reports_shown()):
        return
    # names may have characters that the terminal's encoding lacks
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="backslashreplace")
    try:
        write(stream)
        stream.flush()
    except BrokenPipeError:  # whoever read it has seen enough; the exit code is the verdict still
        _discard(stream)
    except OSError as error:
        _discard(stream)
        reason = error.strerror or type(error).__name__
        raise OutputError(f"the report cannot be written: {reason}") from error


def content_of(path: str) -> bytes:
    """Return the bytes of a file, those of standard input for ``-``."""
    if path != "-":
        return Path(path).read_bytes()
    if sys.stdin is None:  # the caller closed it
        raise UsageError("standard input is closed: there is nothing to read from it")
    return sys.stdin.buffer.read()


def say_cleaned(paths: Iterable[str]) -> None:
    """Say which temporary files of killed runs were removed: nothing is removed in silence."""
    for path in paths:
        note(f"cleaned up {path}: left by a run that was killed")


def nobody_reads() -> bool:
    """Whether standard output is a pipe that nobody reads any more; if so, drop what is left."""
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


def reports_shown() -> bool:
    """Whether standard output gets a report: with ``--quiet`` only if a ``--format`` was named."""
    return not quiet() or _format_named()


def one_terminal() -> bool:
    """Whether standard output and standard error are both looked at on a terminal."""
    streams = (sys.stdout, sys.stderr)
    with suppress(ValueError):  # closed
        return all(stream is not None and stream.isatty() for stream in streams)
    return False


def _format_named() -> bool:
    # a default does not count: with --quiet, a --format of one's own asks for the report
    ctx = click.get_current_context(silent=True)
    return ctx is not None and ctx.get_parameter_source("format_name") in _NAMED


def _discard(stream: TextIO) -> None:
    """Send what is still buffered to the null device: Python would try again at exit, and fail."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
