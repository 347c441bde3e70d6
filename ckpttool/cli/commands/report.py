"""``ckpttool report``."""

from __future__ import annotations

import click

from ckpttool.cli.choices import OneOf
from ckpttool.cli.command import command
from ckpttool.cli.console import content_of
from ckpttool.cli.display import display_options, verbose
from ckpttool.cli.reporting import ReportFile, planned, show, store, waived_option
from ckpttool.findings import rules
from ckpttool.findings.errors import UnreadableError, UsageError
from ckpttool.reports import REPORTERS

_EXIT_CODES = (
    "Exit codes: 0 rendered (or, with --exit-code, that of the result), 2 usage or I/O, 3 internal "
    "error, 130 interrupted."
)


@command(epilog=_EXIT_CODES)
@click.argument("result", type=click.Path(), metavar="RESULT.json")
@click.option(
    "--to",
    "format_name",
    required=True,
    type=OneOf(list(REPORTERS)),
    help="The format to write.",
)
@click.option(
    "-o", "--output", metavar="FILE", help="The file to write (default: standard output)."
)
@click.option(
    "--exit-code", is_flag=True, help="Exit with the code of the run that is reported, not with 0."
)
@waived_option
@display_options
def report(
    result: str, format_name: str, output: str | None, exit_code: bool, show_waived: bool
) -> int:
    """Convert the JSON report of verify into another format, without reading weights.

    RESULT.json is the file that verify --report json=FILE wrote; - is standard input. The result
    is, byte for byte, what verify --report would have written in that format.

    \b
    Examples:
      ckpttool report result.json --to markdown
      ckpttool report result.json --to sarif -o ckpttool.sarif
      ckpttool report - --to text --exit-code
    """  # noqa: D301 (for click, a backspace)
    from ckpttool.reports.machine.stored import read_report
    from ckpttool.reports.terminal.view import TextView

    files: tuple[ReportFile, ...] = ()
    if output is not None:  # with all checks of --report
        files = planned([f"{format_name}={output}"], [result])
    stored = read_report(_text_of(result), result)
    view = TextView(show_waived, verbose())
    if files:
        store(stored, files, view)
    else:
        show(stored, format_name, view, asked=True)
    return stored.exit_code if exit_code else 0


def _text_of(path: str) -> str:
    try:
        return content_of(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError("not a JSON document: it is not UTF-8", path=path) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UnreadableError(f"cannot be read: {reason}", rules.UNREADABLE, path=path) from error
