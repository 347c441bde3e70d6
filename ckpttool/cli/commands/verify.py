"""``ckpttool verify``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Sequence

import click

from ckpttool.cli.batch import batch_options, targets
from ckpttool.cli.console import tell
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
from ckpttool.cli.reporting import deliver, planned, report_options, waived_option
from ckpttool.cli.summary import conclude, word_of

if TYPE_CHECKING:
    from ckpttool.findings.results import FileReport
    from ckpttool.inputs.paths import Input
    from ckpttool.verification.lock.content import Lock


@click.command(epilog=exit_codes("passes"))
@batch_options
@examination_options
@click.option(
    "--published",
    is_flag=True,
    help="Compare the file's MD5 sum with the one published for its name.",
)
@report_options
@waived_option
@click.option(
    "--lock",
    metavar="FILE",
    help="The lock file to compare with; by default that of the configuration. See ckpttool lock.",
)
@click.option(
    "--changed",
    is_flag=True,
    help="The paths are files that changed, as a hook of pre-commit gets them: a config.json "
    "stands for the checkpoints beside it, and what is no checkpoint is only listed.",
)
@policy_options
@display_options
def verify(
    paths: tuple[str, ...],
    files_from: str | None,
    exclude: tuple[str, ...],
    changed: bool,
    format_name: str,
    reports: tuple[str, ...],
    show_waived: bool,
    lock: str | None,
    configured: Configured,
    **options: Any,
) -> int:
    """Check that checkpoints are whole, sound and safe for the model.

    Every tensor's name, shape and dtype is compared with the model's, every value is read once,
    and the model computes with the weights. The report says first how much of the model the
    file covers, and last PASS, FAIL or CANNOT TELL.

    PATH is a file, a glob in quotes ('runs/**/*.pth'), or a folder, which is searched for
    checkpoints and taken for a release: every file in it is accounted for, by its content and not
    its name. A shard stands for its index, where one lies beside it. Each file counts once.
    Without PATH, the checkpoint of the configuration is taken.
    """
    from ckpttool.inputs.accounting import account_for, examined, findings_on_run
    from ckpttool.reports.terminal.view import TextView
    from ckpttool.verification.checks.locked import check_all_found
    from ckpttool.verification.policy import judge
    from ckpttool.verification.run import verify_file

    started = time.perf_counter()
    day = today()
    choice = choice_from(configured, exclude, options["trust"], changed=changed)
    found = targets(paths, files_from, choice, configured.checkpoint)
    own = [configured.of(target.path) for target in found.targets]
    named = [lock or one.lock for one in own]
    of_folders = [lock or configured.of_named(folder).lock for folder in found.folders]
    locks = {path: _lock(path) for path in dict.fromkeys((*named, *of_folders)) if path}
    inputs = (path for target, one in zip(found.targets, own) for path in (target.path, one.path))
    report_files = planned(reports, filter(None, (*inputs, files_from, *locks)))
    asked = {
        target: verify_options(
            one, lock=locks[its_lock] if its_lock else None, release=target.folder, **options
        )
        for target, one, its_lock in zip(found.targets, own, named)
    }

    def examine(target: Input) -> FileReport:
        with progress_bar(target.path) as bar:
            return verify_file(target.path, asked[target], bar)

    results = examined(found, examine, lambda report: report, lambda one: asked[one].trust)
    reports_on = [file._replace(configuration=one.source) for file, one in zip(results, own)]
    kept, inventory = account_for(found, reports_on)
    files = [reports_on[number] for number in kept]
    ways = [(one, _folders_of(path, found.folders, of_folders)) for path, one in locks.items()]
    on_run = (*findings_on_run(found, inventory), *check_all_found(files, ways))
    policies = [own[number].policy for number in kept]
    others = [configured.of_named(folder).policy for folder in found.folders]
    others += [configured.of(item.path).policy for item in found.items if changed]
    report = judge(files, policies, day, on_run, inventory, others)
    for file in report.files:
        tell(f"{file.path}: {word_of(file.verdict)}")
    deliver(report, format_name, report_files, TextView(show_waived=show_waived))
    conclude(report, time.perf_counter() - started)
    return report.exit_code


def _folders_of(lock: str, folders: Sequence[str], locks: Sequence[str | None]) -> list[str]:
    """Return the folders that go by a lock file; all of them for one of files below them alone."""
    own = [folder for folder, its in zip(folders, locks) if its == lock]
    return own or list(folders)


def _lock(path: str) -> Lock:
    from ckpttool.verification.lock.reading import read_lock

    return read_lock(path)
