"""``ckpttool inspect``."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING

import click

from ckpttool.cli.batch import batch_options, say_unused, stop_without_files, targets
from ckpttool.cli.choices import OneOf
from ckpttool.cli.command import command
from ckpttool.cli.console import emit
from ckpttool.cli.display import display_options
from ckpttool.cli.option_kinds import format_option, workers_option, wrapper_option
from ckpttool.cli.options import Configured, no_config_option, trust_option, trusted
from ckpttool.cli.program import exit_codes
from ckpttool.cli.progress import progress_of
from ckpttool.reports import FORMATS, reporter
from ckpttool.reports.terminal.view import TreeView

if TYPE_CHECKING:
    from ckpttool.inputs.paths import Input


@command(epilog=exit_codes("listed"))
@batch_options
@wrapper_option
@trust_option
@no_config_option
@click.option(
    "--include",
    multiple=True,
    metavar="GLOB",
    help="List only tensors with matching names, for example '*.bias' (repeatable).",
)
@click.option(
    "--sort",
    type=OneOf(["size", "name"]),
    help="Sort each level of the tree by size, largest first, or by name (default: the order of "
    "the file).",
)
@click.option("--depth", type=click.IntRange(min=1), metavar="N", help="Show N levels of the tree.")
@click.option(
    "--stats",
    is_flag=True,
    help="Also read the weights, and show minimum, maximum, mean, standard deviation, share of "
    "zeros and a histogram of each tensor, and which hold NaN or infinity.",
)
@workers_option("read, with --stats")
@click.option(
    "--all",
    "unfold",
    is_flag=True,
    help="List each of several equal blocks, and each file of a folder in full.",
)
@format_option(FORMATS["Listing"])
@display_options
def inspect(
    paths: tuple[str, ...],
    files_from: str | None,
    exclude: tuple[str, ...],
    wrapper: str | None,
    trust: tuple[str, ...],
    include: tuple[str, ...],
    sort: str | None,
    depth: int | None,
    stats: bool,
    workers: int | None,
    unfold: bool,
    no_config: bool,
    format_name: str,
) -> int:
    """List what checkpoints hold: container, tensors, settings of the run, and everything else.

    Known models other than MAE (BEiT, DINO, VideoMAE and others) are recognised by their names.

    Without --stats only headers are read, and the listing says nothing about the values of the
    weights. Very long lists are shortened and the rest is counted; --format json lists everything.

    PATH is a file, a glob in quotes ('runs/**/*.pth'), or a folder, which is shown as one tree
    of its checkpoints and other files. Without PATH, the checkpoint named in the configuration is
    listed.

    \b
    Examples:
      ckpttool inspect model.pth
      ckpttool inspect release/ --sort size
      ckpttool inspect model.safetensors --stats --include '*.norm*'
      ckpttool inspect run.ckpt --wrapper model_ema --format json
    """  # noqa: D301 (for click, a backspace)
    from ckpttool.files import collecting
    from ckpttool.findings.listing import Listing, Listings
    from ckpttool.findings.name_filter import NameFilter
    from ckpttool.inputs.accounting import account_for, examined
    from ckpttool.inputs.components import components, sizes
    from ckpttool.inspection.listing import Reading, listed

    configured = Configured(by_file=bool(paths) or files_from is not None, none=no_config)
    # not whole: a shard that is named is listed by itself
    found = targets(configured, paths, files_from, exclude, trust, whole=False)

    stop_without_files(found, format_name)
    names = NameFilter(include)

    def trust_of(target: Input) -> tuple[str, ...]:
        return trusted(configured.of(target.path), trust)

    def examine(target: Input) -> Listing:
        if progress is None:
            return listed(target.path, wrapper, trust_of(target), names)
        with progress(target.path) as bar:
            reading = Reading(workers, progress=bar)
            return listed(target.path, wrapper, trust_of(target), names, reading)

    # headers are read too fast for a bar
    with progress_of([one.path for one in found.targets]) if stats else nullcontext() as progress:
        every = examined(found, examine, Listing, trust_of)
    if any(listing.file.format is not None for listing in every):
        names.check("tensor")
    kept, inventory = account_for(found, [listing.file for listing in every])
    say_unused(found)
    listings = Listings(
        tuple(every[number] for number in kept),
        inventory,
        found.folders,
        tuple(components(inventory)),
        sizes(inventory),
    )
    view = TreeView(
        not unfold, sort, depth, details=bool(unfold or include or sort or depth or stats)
    )
    with collecting.paused():  # a tree has no cycles either
        emit(partial(reporter(format_name, view, "Listing"), listings))
    return listings.exit_code
