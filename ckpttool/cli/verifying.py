"""``ckpttool verify``."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from ckpttool.cli.output import emit
from ckpttool.cli.program import EXIT_CODES, debug_option
from ckpttool.cli.progress import progress_bar
from ckpttool.reports import REPORTERS, reporter
from mae.config import CONFIGS, DEFAULT


@click.command(epilog=EXIT_CODES)
@click.argument("paths", nargs=-1, required=True, type=click.Path(), metavar="PATH...")
@click.option(
    "--model",
    default=DEFAULT,
    show_default=True,
    metavar="NAME",
    help=f"The model that the checkpoint is for: {', '.join(CONFIGS)}.",
)
@click.option(
    "--require",
    type=click.Choice(["encoder", "full"]),
    default="encoder",
    show_default=True,
    help="What the file must hold; with full, an absent decoder is an error.",
)
@click.option(
    "--wrapper",
    metavar="KEY",
    help="The state dict to take, model_ema say ('' is the root). By default the content decides.",
)
@click.option("--no-forward", is_flag=True, help="Do not run the model.")
@click.option(
    "--device", default="cpu", show_default=True, help="Where to run the model, cuda:0 say."
)
@click.option(
    "--published",
    is_flag=True,
    help="Compare the file's MD5 sum with the one published for its name.",
)
@click.option(
    "--format",
    "format_name",
    type=click.Choice(list(REPORTERS)),
    default="text",
    show_default=True,
    help="How to report.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="Threads that read. By default one a processor.",
)
@debug_option
def verify(paths: tuple[str, ...], format_name: str, no_forward: bool, **options: Any) -> int:
    """Check that checkpoints are whole, sound and safe for the model.

    Every tensor's name, shape and dtype is compared with the model's, every value is read once,
    and the model computes with the weights. The report says first how much of the model the
    file covers, and last PASS, FAIL or CANNOT TELL.
    """
    from ckpttool.results import Report
    from ckpttool.verify import VerifyOptions, verify_file

    chosen = VerifyOptions(forward=not no_forward, **options)
    files = []
    for path in paths:
        with progress_bar(path) as bar:
            files.append(verify_file(path, chosen, bar))
    report = Report(tuple(files))
    emit(partial(reporter(format_name), report))
    return report.exit_code
