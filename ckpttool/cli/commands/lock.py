"""``ckpttool lock``."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Sequence, TextIO

import click

from ckpttool.cli.batch import batch_options, targets
from ckpttool.cli.console import emit, say, say_cleaned
from ckpttool.cli.display import display_options
from ckpttool.cli.options import (
    Configured,
    choice_from,
    examination_options,
    policy_options,
    today,
    verify_options,
)
from ckpttool.cli.program import exit_codes
from ckpttool.cli.progress import progress_bar
from ckpttool.cli.summary import conclude
from ckpttool.findings.errors import UsageError

if TYPE_CHECKING:
    from ckpttool.cli.configuration import Configuration
    from ckpttool.findings.results import FileReport, Report
    from ckpttool.inputs.paths import Input
    from ckpttool.verification.locking import Locking

#: What is written where neither the command line nor the configuration says so.
DEFAULT_LOCK = "ckpttool.lock"


@click.command(epilog=exit_codes("locked"))
@batch_options
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="The lock file, '-' for standard output. By default that of the configuration, or "
    f"{DEFAULT_LOCK} in the working folder.",
)
@examination_options
@policy_options
@display_options
def lock(
    paths: tuple[str, ...],
    files_from: str | None,
    exclude: tuple[str, ...],
    output: str | None,
    configured: Configured,
    **options: Any,
) -> int:
    """Write down what checkpoints hold and compute, for verify --lock to compare with.

    Each checkpoint is verified first; if one of them fails, nothing is written. One tensor a
    line, sorted: a text to commit beside the code. The weights are locked, not the file that
    carries them. The forward pass is run with defects as well, so that the tolerance of its
    comparison is known to be one that can be exceeded.

    PATH is a file, a glob in quotes ('runs/**/*.pth'), or a folder, which is searched for
    checkpoints. Without PATH, the checkpoint of the configuration is taken.
    """
    from ckpttool.inputs.accounting import account_for, examined, findings_on_run
    from ckpttool.verification.locking import Locking, lock_file
    from ckpttool.verification.policy import judge

    started = time.perf_counter()
    day = today()
    choice = choice_from(configured, exclude, options["trust"])
    found = targets(paths, files_from, choice, configured.checkpoint)
    own = [configured.of(target.path) for target in found.targets]
    path = output or _configured_lock(own) or DEFAULT_LOCK
    _check_output(path)
    _check_names(path, found.targets)

    configuration_of = dict(zip(found.targets, own))
    asked = {
        target: verify_options(one, release=target.folder, **options)
        for target, one in configuration_of.items()
    }

    def examine(target: Input) -> Locking:
        def accepted(report: FileReport) -> bool:
            return judge([report], configuration_of[target].policy, day).exit_code == 0

        with progress_bar(target.path) as bar:
            return lock_file(target.path, path, asked[target], accepted, bar)

    results = examined(found, examine, Locking, lambda one: asked[one].trust)
    locked = [
        one._replace(report=one.report._replace(configuration=its.source))
        for one, its in zip(results, own)
    ]
    kept, inventory = account_for(found, [one.report for one in locked])
    lockings = [locked[number] for number in kept]
    policies = [own[number].policy for number in kept]
    files = [one.report for one in lockings]
    on_run = tuple(findings_on_run(found, inventory))
    others = [configured.of_named(folder).policy for folder in found.folders]
    report = judge(files, policies, day, on_run, inventory, others)
    if report.exit_code:
        _refuse(report)
    else:
        _write(path, lockings, report)
    conclude(report, time.perf_counter() - started)
    return report.exit_code


def _configured_lock(own: Sequence[Configuration]) -> str | None:
    """Return the lock file that the files' configurations name."""
    named = list(dict.fromkeys(one.lock for one in own))
    if len(named) > 1:
        raise UsageError(
            "the files' configurations name different lock files",
            found=", ".join(name or "none" for name in named),
            fix="Name the one to write with -o, or lock them one by one.",
        )
    return named[0]


def _check_output(path: str) -> None:
    """Refuse what cannot be written or is no lock file, before any weight is read."""
    from ckpttool.files.publishing import try_files

    if path == "-":
        return
    place = Path(path)
    if place.exists() and not (place.is_file() and _is_lock(place)):
        raise UsageError(
            "what stands there is no lock file", path=path, fix="Name another file with -o."
        )
    say_cleaned(try_files(path))


def _is_lock(place: Path) -> bool:
    from ckpttool.verification.lock.reading import is_lock

    try:
        with place.open("rb") as file:
            return is_lock(file.read(200))
    except OSError:
        return False


def _check_names(lock: str, found: Sequence[Input]) -> None:
    """Refuse checkpoints that the lock file would call the same: one would hide the other."""
    from ckpttool.verification.lock.content import name_from

    paths: dict[str, str] = {}
    for target in found:
        name = name_from(lock, target.path)
        if name in paths:
            raise UsageError(
                f"the lock file would call it {name}, as it does {paths[name]}",
                path=target.path,
                fix="Put the lock file into a folder that both lie in, or lock them one by one.",
            )
        paths[name] = target.path


def _refuse(report: Report) -> None:
    from ckpttool.reports import reporter

    emit(partial(reporter("text"), report))
    say("Nothing was locked: what is locked has to pass.")


def _write(path: str, lockings: list[Locking], report: Report) -> None:
    """Write the lock file, and say what is in it."""
    from ckpttool.files.publishing import write_files
    from ckpttool.reports import reporter
    from ckpttool.verification.lock.content import Lock
    from ckpttool.verification.lock.writing import render

    # each of them passed, and what passes and cannot be locked is an error of lock_file
    locked = [one.locked for one in lockings if one.locked is not None]
    text = render(locked)
    if path == "-":
        emit(lambda stream: _print(text, stream), asked=True)
        return
    replaced = Path(path).exists()
    say_cleaned(write_files({path: text.encode("ascii")}, sync=True))
    emit(partial(reporter("text", kind="Lock"), Lock(path, tuple(locked), report, replaced)))


def _print(text: str, stream: TextIO) -> None:
    stream.write(text)
