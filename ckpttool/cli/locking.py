"""``ckpttool lock``."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from ckpttool.cli.batch import batch_options, targets
from ckpttool.cli.display import display_options
from ckpttool.cli.examining import examination_options, verify_options
from ckpttool.cli.judging import config_option, configuration_of, policy_of, policy_options, today
from ckpttool.cli.output import emit, say
from ckpttool.cli.program import EXIT_CODES
from ckpttool.cli.progress import progress_bar
from ckpttool.cli.summary import conclude
from ckpttool.errors import UsageError

if TYPE_CHECKING:
    from ckpttool.lock import Locking
    from ckpttool.results import FileReport, Report

#: What is written where neither the command line nor the configuration says so.
DEFAULT_LOCK = "ckpttool.lock"


@click.command(epilog=EXIT_CODES)
@batch_options
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="The lock file, '-' for standard output. By default that of the configuration, or "
    f"{DEFAULT_LOCK} in the working folder.",
)
@examination_options
@config_option
@policy_options
@display_options
def lock(
    paths: tuple[str, ...],
    files_from: str | None,
    output: str | None,
    config: str | None,
    select: tuple[str, ...],
    extend_select: tuple[str, ...],
    ignore: tuple[str, ...],
    fail_on: str | None,
    **options: Any,
) -> int:
    """Write down what checkpoints hold and compute, for verify --lock to compare with.

    Each checkpoint is verified first; if one of them fails, nothing is written. One tensor a
    line, sorted: a text to commit beside the code. The weights are locked, not the file that
    carries them. The forward pass is run with defects as well, so that the tolerance of its
    comparison is known to be one that can be exceeded.
    """
    from ckpttool.lock import lock_file
    from ckpttool.policy import judge

    started = time.perf_counter()
    configured = configuration_of(config)
    policy = policy_of(configured.policy, select, extend_select, ignore, fail_on)
    chosen = verify_options(configured, **options)
    path = output or configured.lock or DEFAULT_LOCK
    _check_output(path)

    def accepted(report: FileReport) -> bool:
        return judge([report], policy, today()).exit_code == 0

    lockings = []
    for target in targets(paths, files_from, configured.checkpoint):
        with progress_bar(target.path) as bar:
            lockings.append(lock_file(target.path, path, chosen, accepted, bar))
    report = judge([one.report for one in lockings], policy, today())
    if report.exit_code:
        _refuse(report)
    else:
        _write(path, lockings)
    conclude(report, time.perf_counter() - started)
    return report.exit_code


def _check_output(path: str) -> None:
    """Refuse to replace what is no lock file, before any weight is read."""
    from ckpttool.locks.parsing import is_lock

    place = Path(path)
    if path == "-" or not place.exists():
        return
    if not place.is_file() or not is_lock(place.read_bytes()[:200]):
        raise UsageError(
            "what stands there is no lock file", path=path, fix="Name another file with -o."
        )


def _refuse(report: Report) -> None:
    from ckpttool.reports import reporter

    emit(partial(reporter("text"), report))
    say("Nothing was locked: what is locked has to pass.")


def _write(path: str, lockings: list[Locking]) -> None:
    """Write the lock file, and say what is in it."""
    from ckpttool.locks.rendering import render
    from ckpttool.reports.lock import write_locked

    locked = []
    for one in lockings:
        if one.locked is None:
            raise UsageError(
                "not every tensor was read, so that it cannot be locked", path=one.report.path
            )
        locked.append(one.locked)
    text = render(locked)
    if path == "-":
        emit(lambda stream: _print(text, stream))
        return
    _write_file(path, text.encode("ascii"))
    emit(lambda stream: write_locked(path, locked, stream))


def _print(text: str, stream: TextIO) -> None:
    stream.write(text)


def _write_file(path: str, content: bytes) -> None:
    from ckpttool.writing.copying import write_parts
    from ckpttool.writing.destination import Destination

    with Destination(force=True) as place:
        place.check({path: len(content)})
        write_parts(place.create(path, len(content)).fd, [(0, content)])
        place.publish()
