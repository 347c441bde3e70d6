"""``ckpttool lock``."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, Sequence

import click

from ckpttool.cli.batch import batch_options, say_unused, stop_without_files, targets
from ckpttool.cli.command import command
from ckpttool.cli.console import emit, reports_shown, say_cleaned
from ckpttool.cli.display import display_options
from ckpttool.cli.messages import note
from ckpttool.cli.options import (
    Configured,
    Schemas,
    examination_options,
    policy_options,
    terms_of,
    today,
)
from ckpttool.cli.program import exit_codes
from ckpttool.cli.progress import progress_of
from ckpttool.cli.reporting import has_charts, page_option, planned, show_failed, store
from ckpttool.cli.summary import conclude
from ckpttool.findings.errors import UsageError
from ckpttool.reports import reporter

if TYPE_CHECKING:
    from ckpttool.cli.configuration import Configuration
    from ckpttool.verification.lock.content import Lock

#: What is written where neither the command line nor the configuration says so.
DEFAULT_LOCK = "ckpttool.lock"


@command(epilog=exit_codes("locked"))
@batch_options
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="The lock file to write; '-' is standard output (default: the configuration's, or "
    f"{DEFAULT_LOCK} in the working folder).",
)
@page_option
@examination_options
@policy_options
@display_options
def lock(
    paths: tuple[str, ...],
    files_from: str | None,
    exclude: tuple[str, ...],
    output: str | None,
    reports: tuple[str, ...],
    configured: Configured,
    **options: Any,
) -> int:
    """Record what checkpoints hold and compute in a lock file, for verify --lock.

    Each checkpoint is verified first; if one of them fails, nothing is written. The lock file has
    one line for each tensor, sorted, and is meant to be committed. It describes the weights, not
    the container. The model is also run with deliberate defects, to make sure that each of them
    changes its outputs by more than the tolerance.

    PATH is a file, a glob in quotes ('runs/**/*.pth'), or a folder, which is searched for
    checkpoints. Without PATH, the checkpoint named in the configuration is locked.

    \b
    Examples:
      ckpttool lock model.pth
      ckpttool lock release/ -o release.lock
      ckpttool verify model.pth --lock ckpttool.lock
    """  # noqa: D301 (for click, a backspace)
    from ckpttool.verification import locking

    started, schemas = time.perf_counter(), Schemas()
    found = targets(configured, paths, files_from, exclude, options["trust"])
    stop_without_files(found, "text")
    own = [configured.of(target.path) for target in found.targets]
    path = output or _configured_lock(own) or DEFAULT_LOCK
    written = () if path == locking.UNWRITTEN else (path,)
    files = planned(reports, [target.path for target in found.targets], "Lock", written)
    options["stats"] = has_charts("text", reports)
    with progress_of([target.path for target in found.targets]) as progress:
        locked = locking.lock_found(
            found,
            None if path == locking.UNWRITTEN else path,
            lambda path: terms_of(configured.of(path), schemas=schemas, **options),
            today(),
            progress,
        )
    say_cleaned(locked.cleaned)
    if not locked.exit_code:  # else the report is written, and has them
        say_unused(found)
    _write(locked)
    store(locked, files, kind="Lock")
    # the time is of the verification too, which takes most of it
    if locked.report is not None:
        shown = bool(locked.exit_code)  # else the lock stands there, and no report
        conclude(locked.report, time.perf_counter() - started, shown)
    return locked.exit_code


def _write(locked: Lock) -> None:
    """Report what was locked, or why nothing was; with ``-o -`` write the lock itself."""
    from ckpttool.verification.locking import UNWRITTEN

    if locked.exit_code and locked.report is not None:
        if reports_shown():
            emit(partial(reporter("text"), locked.report))
        else:
            show_failed(locked.report)
        note("nothing was locked: a file has to pass first")
    elif locked.path == UNWRITTEN:
        emit(lambda stream: stream.write(locked.text), asked=True)
    else:
        emit(partial(reporter("text", kind="Lock"), locked))


def _configured_lock(own: Sequence[Configuration]) -> str | None:
    """Return the lock file that the files' configurations name."""
    # `None` counts as well: one file may have a configuration without a lock
    named = list(dict.fromkeys(one.lock for one in own))
    if len(named) > 1:
        raise UsageError(
            "the files' configurations name different lock files",
            found=", ".join(name or "none" for name in named),
            fix="Name the one to write with -o, or lock them one by one.",
        )
    return named[0]
