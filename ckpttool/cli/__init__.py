"""The command line: parse, call, render, exit. Nothing below it prints or exits."""

from __future__ import annotations

import click

from ckpttool._version import __version__
from ckpttool.cli.completing import completion
from ckpttool.cli.converting import convert
from ckpttool.cli.diffing import diff, git_diff, textconv
from ckpttool.cli.explaining import explain, rules
from ckpttool.cli.inspecting import inspect
from ckpttool.cli.locking import lock
from ckpttool.cli.program import Program, exit_codes
from ckpttool.cli.rendering import report
from ckpttool.cli.sampling import sample
from ckpttool.cli.verifying import verify

__all__ = ["main"]


@click.group(
    cls=Program,
    commands=[
        verify,
        inspect,
        diff,
        convert,
        lock,
        report,
        sample,
        explain,
        rules,
        completion,
        textconv,
        git_diff,
    ],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=exit_codes("passes"),
)
@click.version_option(__version__, prog_name="ckpttool", message="%(prog)s %(version)s")
def main() -> None:
    """Verify, inspect and convert model checkpoints before you publish them.

    Files are opened by content, whatever they are called, and nothing in them is ever executed.
    Every option can be set by a variable of its name: CKPTTOOL_VERIFY_FORMAT for verify --format.
    """
