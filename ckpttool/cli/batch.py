"""The files of a run: ``PATH...`` and ``--files-from``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Sequence

import click

from ckpttool.cli import messages
from ckpttool.cli.console import content_of
from ckpttool.cli.messages import tell, warning
from ckpttool.cli.option_kinds import together
from ckpttool.cli.options import trusted
from ckpttool.findings.errors import CkpttoolError, UnreadableError, UsageError
from ckpttool.reports import FOR_PEOPLE

if TYPE_CHECKING:
    from ckpttool.cli.options import Configured
    from ckpttool.inputs.paths import Inputs, SearchOptions

#: ``paths``, ``files_from`` and ``exclude`` of a command that takes checkpoints.
batch_options = together(
    click.argument("paths", nargs=-1, type=click.Path(), metavar="[PATH...]"),
    click.option(
        "--files-from",
        metavar="FILE",
        help="Read more paths from a file, one per line; '-' is standard input. Paths may also be "
        "separated by NUL bytes (find -print0, git ls-files -z). Globs are not expanded.",
    ),
    click.option(
        "--exclude",
        multiple=True,
        metavar="GLOB",
        help="Skip files found in a folder or by a glob whose name or path (from that folder, or "
        "as reports print it) matches: '*.onnx', 'logs/*' (repeatable). The report lists them.",
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


def stop_without_files(found: Inputs, format_name: str, reports: Sequence[str] = ()) -> None:
    """End a run in which there is no file at any of the paths: a report would have nothing to say.

    For a program, and where a report goes to a file, the report says so.

    Raises:
        CkpttoolError: the error of the last path; those of the others were told.
    """
    if found.folders or reports or format_name not in FOR_PEOPLE:
        return
    errors = [target.error or _error_of(target.path) for target in found.targets]
    told = [error for error in errors if error is not None]
    if not told or len(told) < len(errors):
        return
    for error in told[:-1]:
        messages.error(error.headline(), [error.fix] if error.fix else [])
    raise told[-1]


def one_file_of(path: str, format_name: str) -> str:
    """Return the one file of a path.

    Raises:
        CkpttoolError: as of :func:`ckpttool.inputs.paths.one_file`; also if it is not there, for a
            report that a person reads.
    """
    from ckpttool.inputs.paths import one_file

    found = one_file(path)
    error = _error_of(found) if format_name in FOR_PEOPLE else None
    if error is not None:
        raise error
    return found


def _error_of(path: str) -> CkpttoolError | None:
    """Return the error for a path at which nothing is."""
    if os.path.exists(path):  # noqa: PTH110 (a name too long is an error in pathlib)
        return None
    from ckpttool.files.missing import missing

    told = missing(path)
    return UnreadableError(told.reason, path=path, fix=told.fix)


def say_unused(found: Inputs) -> None:
    """Warn of globs that left out nothing, in a command whose report has no findings on the run."""
    from ckpttool.inputs.accounting import findings_on_unused

    for one in findings_on_unused(found):
        warning(one.message, [one.fix] if one.fix else [])


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
