"""``ckpttool verify``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from ckpttool.cli.against import Holding, against_options
from ckpttool.cli.batch import batch_options, stop_without_files, targets
from ckpttool.cli.command import command
from ckpttool.cli.display import display_options, verbose
from ckpttool.cli.messages import tell
from ckpttool.cli.options import (
    Configured,
    Schemas,
    examination_options,
    policy_options,
    terms_of,
    today,
)
from ckpttool.cli.pictures import (
    check_pictures,
    image_option,
    pictures_option,
    rows_of,
    write_pictures,
)
from ckpttool.cli.program import exit_codes
from ckpttool.cli.progress import progress_of
from ckpttool.cli.reporting import (
    deliver,
    has_charts,
    planned,
    report_options,
    waived_option,
)
from ckpttool.cli.summary import conclude, word_of

if TYPE_CHECKING:
    from ckpttool.against.verify import Against
    from ckpttool.verification.batch import Terms
    from ckpttool.verification.lock.content import Lock


#: What --lock takes for no lock file.
NO_LOCK = "none"


@command(epilog=exit_codes("passes"))
@batch_options
@examination_options
@against_options
@click.option(
    "--published",
    is_flag=True,
    help="Compare the file's MD5 sum with the one published for its name.",
)
@click.option(
    "--fingerprint",
    is_flag=True,
    help="Report the content fingerprint (SHA-256). It is also computed for a lock file, and for a "
    "waiver that names one.",
)
@click.option(
    "--stats",
    is_flag=True,
    help="Compute statistics of every tensor (range, mean, deviation, zeros, histogram) in the "
    "same pass, for the JSON and HTML reports. An HTML report has them in any case.",
)
@report_options
@waived_option
@click.option(
    "--lock",
    metavar="FILE",
    help="The lock file to compare with (default: the configuration's); none: compare with none. "
    "See ckpttool lock.",
)
@click.option(
    "--changed",
    is_flag=True,
    help="The paths are changed files, as pre-commit passes them: a config.json stands for the "
    "checkpoints beside it, and other files are only listed.",
)
@image_option
@pictures_option
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
    stats: bool,
    images: tuple[str, ...],
    pictures: str | None,
    configured: Configured,
    **options: Any,
) -> int:
    """Check the names, shapes and values of checkpoints, and what loading them would call.

    The name, shape and dtype of each tensor are compared with the model's, every value is read,
    and the model is run with the weights. The report begins with PASS, FAIL or CANNOT TELL, then
    come the findings, the worst first, and what the verdict rests on.

    PATH is a file, a glob in quotes ('runs/**/*.pth'), or a folder. A folder is searched for
    checkpoints and treated as a release: the report lists every file in it, by its content and
    not its name. A shard stands for its index, if that lies beside it. Each file counts once.
    Without PATH, the checkpoint named in the configuration is verified.

    \b
    Examples:
      ckpttool verify model.pth
      ckpttool verify release/ --require full
      ckpttool verify 'runs/**/*.pth' --no-forward --format json
      ckpttool verify model.pth --report sarif=ckpttool.sarif --fail-on warning
      ckpttool verify other.safetensors --schema config.json
      ckpttool verify merged.safetensors --against base.safetensors
    """  # noqa: D301 (for click, a backspace)
    from ckpttool.against.verify import verify_found
    from ckpttool.models.pictures.images import read_images
    from ckpttool.reports.terminal.view import TextView
    from ckpttool.verification.lock.reading import read_lock

    started = time.perf_counter()
    check_pictures(pictures, images)
    photos = read_images(images)
    found = targets(configured, paths, files_from, exclude, options["trust"], changed=changed)
    stop_without_files(found, format_name, reports)
    named = [target.path for target in found.targets]
    compared = {*named, *found.folders}
    options["stats"] = stats or has_charts(format_name, reports)
    holding = Holding(*(options.pop(name) for name in Holding._fields))
    locks: dict[str, Lock] = {}
    schemas = Schemas()

    def terms(path: str) -> Terms:
        own = configured.of(path)
        # other files of a release, which are only accounted for, need no lock
        its_lock = (lock or own.lock) if path in compared and lock != NO_LOCK else None
        if its_lock and its_lock not in locks:  # read once, it may have 100,000 lines
            locks[its_lock] = read_lock(its_lock)
        known = locks.get(its_lock or "")
        return terms_of(own, schemas=schemas, lock=known, images=photos, **options)

    def against(path: str) -> Against | None:
        return holding.of(configured.of(path))

    for path in (*named, *found.folders):
        terms(path)  # a configuration or a lock that is wrong is told before anything is read
    # a report must not replace a file that the run reads
    read = [*named, *(configured.of(path).path for path in named), files_from, *locks]
    read += [*schemas.sources, *images]
    read += [other.path for other in map(against, named) if other is not None]
    report_files = planned(reports, filter(None, read))
    with progress_of(named) as progress:
        report = verify_found(found, terms, today(), progress, against)
    for file in report.files:
        tell(f"{file.path}: {word_of(file.verdict)}")
    deliver(report, format_name, report_files, TextView(show_waived, verbose()))
    write_pictures(pictures, rows_of(report))
    conclude(report, time.perf_counter() - started, shown=format_name == "text")
    return report.exit_code
