"""``ckpttool diff``, and the two commands that git calls: ``git-diff`` and ``textconv``."""

from __future__ import annotations

from functools import partial
from typing import Any, Iterable

import click

from ckpttool.cli.batch import one_file_of
from ckpttool.cli.choices import OneOf
from ckpttool.cli.command import command
from ckpttool.cli.console import emit
from ckpttool.cli.display import display_options
from ckpttool.cli.option_kinds import Top, format_option, renames, workers_option
from ckpttool.cli.pictures import (
    check_pictures,
    image_option,
    pictures_option,
    rows_of_changes,
    write_pictures,
)
from ckpttool.cli.progress import progress_bar
from ckpttool.cli.reporting import has_charts, page_option, planned, store
from ckpttool.findings.errors import UsageError
from ckpttool.findings.text import printable
from ckpttool.reports import FORMATS, reporter
from ckpttool.reports.terminal.view import DiffView
from ckpttool.tensors.workers import without_blas

#: Below the help of these commands: their exit codes are those of diff, not of verify.
DIFF_EXIT_CODES = (
    "Exit codes: 0 same, 1 different, 2 trouble (a file that cannot be read or trusted, or wrong "
    "usage), 3 internal error, 130 interrupted."
)
GIT_EXIT_CODES = "Exit codes: 0 shown, 2 trouble, 3 internal error, 130 interrupted."

# What git names where a file is not there on one side.
_NOWHERE = ("/dev/null", "nul")


@command(epilog=DIFF_EXIT_CODES)
@click.argument("left", type=click.Path())
@click.argument("right", type=click.Path())
@click.option(
    "--atol",
    type=click.FloatRange(min=0),
    metavar="X",
    help="Accept absolute differences of up to X.",
)
@click.option(
    "--rtol",
    type=click.FloatRange(min=0),
    metavar="X",
    help="Accept differences of up to X times the larger number, in addition to --atol.",
)
@click.option(
    "--max-ulp",
    type=click.IntRange(min=0),
    metavar="N",
    help="Accept tensors whose elements differ by at most N units in the last place (ULPs).",
)
@click.option(
    "--exact",
    is_flag=True,
    help="Accept equal bytes only. This is the default, and cannot be used with a tolerance.",
)
@click.option("--equal-nan", is_flag=True, help="Treat NaNs as equal, even if their bits differ.")
@click.option(
    "--include",
    multiple=True,
    metavar="GLOB",
    help="Compare only matching names, of tensors and of what is stored beside them (repeatable).",
)
@click.option(
    "--exclude",
    multiple=True,
    metavar="GLOB",
    help="Leave out matching names, for example 'optimizer*' (repeatable). A pattern that matches "
    "nothing is an error, here and for --include.",
)
@click.option(
    "--weights-only",
    is_flag=True,
    help="Compare the state dicts only; what is stored beside them is listed, not compared.",
)
@click.option(
    "--left-wrapper",
    metavar="KEY",
    help="The dotted key of the state dict in LEFT, for example model_ema; '' is the top level.",
)
@click.option(
    "--right-wrapper",
    metavar="KEY",
    help="The dotted key of the state dict in RIGHT, for example model_ema; '' is the top level.",
)
@click.option(
    "--map",
    "mapped",
    multiple=True,
    metavar="'OLD=NEW'",
    help="A name in LEFT and the name of the same tensor in RIGHT, for example 'net.*=*'. * stands "
    "for any text, {n} for a number (repeatable). Known layouts are recognised without it.",
)
@click.option(
    "--sort",
    type=OneOf(["name", "change", "size"]),
    default="change",
    show_default=True,
    help="The order of the list.",
)
@click.option(
    "--top",
    type=Top(),
    metavar="N|all",
    help="Tensors to list of each class, one per row; the rest is counted (default: 10 of those "
    "that changed, with --stat all).",
)
@click.option("--stat", is_flag=True, help="Write one line per tensor.")
@click.option(
    "--stats",
    is_flag=True,
    help="Compute statistics of every tensor on both sides (range, mean, deviation, zeros, "
    "histogram) in the same pass, for the JSON and HTML reports. An HTML report has them in any "
    "case.",
)
@image_option
@pictures_option
@format_option(FORMATS["Comparison"])
@page_option
@workers_option("compare", "one per processor, at most 6; one for small tensors")
@display_options
def diff(
    left: str,
    right: str,
    exact: bool,
    mapped: tuple[str, ...],
    sort: str,
    top: int | None,
    stat: bool,
    stats: bool,
    pictures: str | None,
    format_name: str,
    reports: tuple[str, ...],
    **options: Any,
) -> int:
    """Show what differs between two checkpoints, by how much, and where.

    The files may have different formats and layouts of names: weights are then paired by the names
    that the model has for them, and of query, key and value in one tensor the report says which
    of the three differs. By default, tensors are the same if their bytes are; with a tolerance, if
    |a - b| <= atol + rtol * max(|a|, |b|) for all elements. What is stored beside the weights is
    compared as well; what only one side has is a difference. Either side can be a receipt of
    convert or a lock file; then digests are compared. A glob in quotes has to match one file.

    \b
    Examples:
      ckpttool diff before.pth after.safetensors
      ckpttool diff mae.pth vit-mae/model.safetensors --weights-only
      ckpttool diff mine.pth theirs.pth --map 'net.{n}.*=blocks.{n}.*'
    """  # noqa: D301 (for click, a backspace)
    without_blas()
    from ckpttool.comparison import diff as comparing
    from ckpttool.comparison.options import DiffOptions

    check_pictures(pictures, options["images"])
    options["stats"] = stats or has_charts(format_name, reports)
    left, right = one_file_of(left, format_name), one_file_of(right, format_name)
    given = ("atol", "rtol", "max_ulp", "equal_nan")
    # --exact changes nothing: it is there to be written down, and must not be contradicted
    tolerance = str(DiffOptions(*(options[name] for name in given)))
    if exact and tolerance:
        raise UsageError(
            "--exact cannot be used with a tolerance", found=tolerance, fix="Choose one of them."
        )
    files = planned(reports, [left, right], "Comparison")
    with progress_bar(right) as bar:
        comparison = comparing.diff(left, right, map=renames(mapped), progress=bar, **options)
    view = DiffView(sort, top, stat)
    emit(partial(reporter(format_name, view, "Comparison"), comparison))
    store(comparison, files, view, "Comparison")
    write_pictures(pictures, rows_of_changes(left, right, comparison.reconstructions))
    return comparison.exit_code


@command(epilog=GIT_EXIT_CODES, hidden=True)
@click.argument("path", type=click.Path())
@display_options
def textconv(path: str) -> int:
    """Write a checkpoint as text that git can compare line by line.

    One line per tensor: name, dtype, shape, digest, and the smallest, largest and root mean
    square value. Configure it with: git config diff.ckpttool.textconv "ckpttool textconv"
    """
    from ckpttool.comparison.textconv import lines_of

    _write(lines_of(path))
    return 0


@command("git-diff", epilog=GIT_EXIT_CODES, hidden=True)
@click.argument("arguments", nargs=-1, metavar="PATH [OLD HEX MODE NEW HEX MODE [TO INFO]]")
@display_options
def git_diff(arguments: tuple[str, ...]) -> int:
    """Show a comparison as git's external diff driver.

    Configure it with: git config diff.ckpttool.command "ckpttool git-diff"
    """
    without_blas()
    from ckpttool.comparison import diff as comparing

    if len(arguments) == 1:
        _write([_told(f"{arguments[0]} is not merged")])
        return 0
    if len(arguments) not in (7, 9):
        raise UsageError("git gives 1, 7 or 9 arguments", found=len(arguments))
    path, old, new = arguments[0], arguments[1], arguments[4]
    if old in _NOWHERE or new in _NOWHERE:
        return _one_sided(path, old, new)
    comparison = comparing.diff(old, new)
    # nine of a file that was renamed, the eighth being its new name
    target = arguments[7] if len(arguments) == 9 else path
    # git makes temporary copies, whose names say nothing
    comparison = comparison._replace(
        left=comparison.left._replace(path=f"a/{path}"),
        right=comparison.right._replace(path=f"b/{target}"),
    )
    emit(partial(reporter("text", kind="Comparison"), comparison), asked=True)
    # git takes any other code for a driver that died, and shows no further file
    return 0


def _one_sided(path: str, old: str, new: str) -> int:
    from ckpttool.comparison.textconv import lines_or_reason

    # the lines of textconv: an added or deleted file as `git diff` shows it
    sign, word, file = ("+", "new", new) if old in _NOWHERE else ("-", "deleted", old)
    lines = (f"{sign}{line}" for line in lines_or_reason(file))
    _write([_told(f"{word} checkpoint {path}"), *lines])
    return 0


def _told(line: str) -> str:
    return printable(f"ckpttool: {line}")


def _write(lines: Iterable[str]) -> None:
    emit(lambda stream: stream.writelines(f"{line}\n" for line in lines), asked=True)
