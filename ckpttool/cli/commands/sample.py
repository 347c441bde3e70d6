"""``ckpttool sample``."""

from __future__ import annotations

import click

from ckpttool.cli.choices import OneOf
from ckpttool.cli.command import command
from ckpttool.cli.console import emit
from ckpttool.cli.display import display_options
from ckpttool.cli.progress import progress_bar
from ckpttool.findings.text import count, printable, size
from ckpttool.models.families import DEFAULT_MODEL, models

_EXIT_CODES = (
    "Exit codes: 0 written, 2 usage, I/O, a broken package or a limit of the system, 3 internal "
    "error, 130 interrupted."
)


@command(epilog=_EXIT_CODES)
@click.argument("path", type=click.Path())
@click.option(
    "--model",
    type=OneOf(models),
    default=DEFAULT_MODEL,
    show_default=True,
    metavar="NAME",
    help=f"The size of the model: {', '.join(models())}.",
)
@click.option("--full", is_flag=True, help="Also write the decoder.")
@click.option(
    "--seed", type=int, default=0, show_default=True, help="The seed of the random numbers."
)
@click.option("--force", is_flag=True, help="Replace PATH if it exists.")
@display_options
def sample(path: str, model: str, full: bool, seed: int, force: bool) -> int:
    """Write an UNTRAINED stand-in for the published weights, to try the tool without a download.

    Names, shapes and dtypes are those of the published files; the numbers come from the model's
    own initialisation.

    \b
    Examples:
      ckpttool sample stand-in.pth
      ckpttool sample full.pth --model mae_vit_base_patch16 --full
    """  # noqa: D301 (for click, a backspace)
    from ckpttool.models.sample import write_sample

    with progress_bar(path) as bar:
        written = write_sample(path, model, full=full, seed=seed, force=force, progress=bar)
    told = (
        f"{printable(written.path)}: {size(written.size)}, {count(written.tensors, 'tensor')}, "
        f"{count(written.parameters, 'parameter')} of {written.config_name}"
        f"{'' if written.full else ' (encoder only)'}.\n"
        "These weights are UNTRAINED: a stand-in from the model's own initialisation "
        f"(seed {written.seed}).\n"
    )
    emit(lambda stream: stream.write(told))
    return 0
