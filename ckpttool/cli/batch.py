"""The files of a run: ``PATH...`` and ``--files-from``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Sequence

import click

from ckpttool.cli.console import tell
from ckpttool.cli.option_kinds import together
from ckpttool.findings.errors import UsageError

if TYPE_CHECKING:
    from ckpttool.inputs.paths import Inputs, SearchOptions

#: ``paths``, ``files_from`` and ``exclude`` of a command that takes checkpoints.
batch_options = together(
    click.argument("paths", nargs=-1, type=click.Path(), metavar="[PATH...]"),
    click.option(
        "--files-from",
        metavar="FILE",
        help="Take further paths from a file, one a line, or '-' for standard input. If there is "
        "a NUL in it, NULs separate them (find -print0, git -z). No globs.",
    ),
    click.option(
        "--exclude",
        multiple=True,
        metavar="GLOB",
        help="Leave out what is found in a folder or by a glob and matches, by its path from the "
        "folder, as reports print it, or by its name: '*.onnx', 'logs/*' (repeatable). The report "
        "lists it.",
    ),
)


def targets(
    paths: Sequence[str],
    files_from: str | None,
    choice: SearchOptions | Callable[[str], SearchOptions],
    configured: str | None = None,
) -> Inputs:
    """Return the checkpoints that a command line names, at least one, and what lies beside them.

    Args:
        paths: files, folders and globs.
        files_from: the file with further paths, ``-`` for standard input.
        choice: how they are chosen; a function gives it for each path that is named.
        configured: the path that is taken where the command line names none.

    Raises:
        UsageError: there is none.
    """
    from ckpttool.inputs.paths import targets_of

    listed = [] if files_from is None else _listed(files_from)
    if configured is not None and not paths and files_from is None:
        listed = [configured]
    found = targets_of(paths, listed, _tell_left, choice)
    if not found.targets and not found.may_be_empty:
        raise UsageError(
            "there is nothing to look at: no path was given",
            found=None if files_from is None else f"an empty list in {files_from}",
            fix="Name a file, a folder or a glob, or set checkpoint in the configuration.",
        )
    return found


def _tell_left(path: str, why: str) -> None:
    tell(f"{path}: {why}" if why.startswith("not ") else f"{path}: left out, {why}")


def _listed(files_from: str) -> list[str]:
    """Read the list; paths are bytes to the system, whatever the encoding of the text is."""
    try:
        content = _standard_input() if files_from == "-" else Path(files_from).read_bytes()
    except OSError as error:
        raise UsageError(
            f"the list of files cannot be read: {error.strerror}", path=files_from
        ) from error
    if b"\0" in content:
        return [os.fsdecode(path) for path in content.split(b"\0") if path]
    lines = (line.rstrip(b"\r") for line in content.split(b"\n"))
    return [os.fsdecode(line) for line in lines if line.strip()]


def _standard_input() -> bytes:
    if sys.stdin is None:
        raise UsageError("standard input is closed: there is no list of files to read from it")
    return sys.stdin.buffer.read()
