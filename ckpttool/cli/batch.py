"""The files of a run: ``PATH...`` and ``--files-from``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Sequence

import click

from ckpttool.cli.console import content_of, say, tell
from ckpttool.cli.option_kinds import together
from ckpttool.cli.options import trusted
from ckpttool.findings.errors import UsageError

if TYPE_CHECKING:
    from ckpttool.cli.options import Configured
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
    configured: Configured,
    paths: Sequence[str],
    files_from: str | None = None,
    exclude: tuple[str, ...] = (),
    trust: tuple[str, ...] = (),
    *,
    whole: bool = True,
    changed: bool = False,
) -> Inputs:
    """Return the checkpoints that a command line names, at least one, and the files beside them.

    Args:
        configured: adds what it excludes and trusts to the options, for each path its own.
        paths: files, folders and globs; without any, the configured checkpoint is taken.
        files_from: the file with further paths, ``-`` for standard input.
        exclude: as of :class:`ckpttool.inputs.paths.SearchOptions`, like the following.
        trust: see there.
        whole: see there.
        changed: see there.

    Raises:
        UsageError: there is none.
    """
    from ckpttool.inputs.paths import SearchOptions, targets_of

    def options_of(path: str) -> SearchOptions:
        own = configured.of(path)
        return SearchOptions(exclude, trusted(own, trust), whole, changed, own.exclude)

    listed = [] if files_from is None else _listed(files_from)
    # not for an empty list of files: whoever made it did not ask for the configured checkpoint
    if not paths and files_from is None and configured.here.checkpoint is not None:
        listed = [configured.here.checkpoint]
    found = targets_of(paths, listed, _tell_left, options_of)
    if not found.targets and not found.may_be_empty:
        raise UsageError(
            "there is nothing to look at: no path was given",
            found=None if files_from is None else f"an empty list in {files_from}",
            fix="Name a file, a folder or a glob, or set checkpoint in the configuration.",
        )
    return found


def say_unused(found: Inputs) -> None:
    """Warn of globs that left out nothing, in a command whose report has no findings on the run."""
    from ckpttool.inputs.accounting import findings_on_unused

    for one in findings_on_unused(found):
        say(f"Warning: {one.message}.")


def _tell_left(path: str, why: str) -> None:
    tell(f"{path}: {why}" if why.startswith("not ") else f"{path}: left out, {why}")


def _listed(files_from: str) -> list[str]:
    """Read the list of paths from a file, or from standard input."""
    try:
        content = content_of(files_from)
    except OSError as error:
        raise UsageError(
            f"the list of files cannot be read: {error.strerror}", path=files_from
        ) from error
    # decoded path by path, as the system's paths: the list may have bytes that are no UTF-8
    if b"\0" in content:
        return [os.fsdecode(path) for path in content.split(b"\0") if path]
    # split at line feeds only: splitlines would break names with a form feed apart
    lines = (line.rstrip(b"\r") for line in content.split(b"\n"))
    return [os.fsdecode(line) for line in lines if line.strip()]
