"""The command line: parse, call, render, exit. Nothing below it prints or exits."""

from __future__ import annotations

import click

from ckpttool._version import __version__
from ckpttool.cli.commands.completion import completion
from ckpttool.cli.commands.convert import convert
from ckpttool.cli.commands.diff import diff, git_diff, textconv
from ckpttool.cli.commands.explain import explain, rules
from ckpttool.cli.commands.index import index
from ckpttool.cli.commands.inspect import inspect
from ckpttool.cli.commands.lock import lock
from ckpttool.cli.commands.prove import prove
from ckpttool.cli.commands.report import report
from ckpttool.cli.commands.sample import sample
from ckpttool.cli.commands.schema import schema
from ckpttool.cli.commands.verify import verify
from ckpttool.cli.program import Program, exit_codes

__all__ = ["main"]


@click.group(
    cls=Program,
    commands=[
        verify,
        inspect,
        diff,
        prove,
        convert,
        lock,
        schema,
        index,
        report,
        sample,
        explain,
        rules,
        completion,
        textconv,
        git_diff,
    ],
    # click itself stops at 80 columns, however wide the terminal is
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=exit_codes("passes"),
)
@click.version_option(__version__, prog_name="ckpttool", message="%(prog)s %(version)s")
def main() -> None:
    """Verify, inspect and convert model checkpoints before you publish them.

    Files are opened by content, whatever they are called, and nothing in them is ever executed.
    Every option can be set by a variable of its name: CKPTTOOL_VERIFY_FORMAT for verify --format.
    """
