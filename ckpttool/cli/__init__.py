"""The command line: parse, call, render, exit. Nothing below it prints or exits."""

from __future__ import annotations

import click

from ckpttool._version import __version__
from ckpttool.cli.commands.completion import completion
from ckpttool.cli.commands.convert import convert
from ckpttool.cli.commands.diff import diff, git_diff, textconv
from ckpttool.cli.commands.explain import explain, rules
from ckpttool.cli.commands.help import show_help
from ckpttool.cli.commands.index import index
from ckpttool.cli.commands.inspect import inspect
from ckpttool.cli.commands.lock import lock
from ckpttool.cli.commands.prove import prove
from ckpttool.cli.commands.report import report
from ckpttool.cli.commands.sample import sample
from ckpttool.cli.commands.schema import schema
from ckpttool.cli.commands.verify import verify
from ckpttool.cli.program import CANNOT_TELL, Program, exit_codes

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
        show_help,
        completion,
        textconv,
        git_diff,
    ],
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=False,
    invoke_without_command=True,
    epilog=exit_codes("passes"),
)
@click.version_option(
    __version__, "-V", "--version", prog_name="ckpttool", message="%(prog)s %(version)s"
)
@click.pass_context
def main(ctx: click.Context) -> None:
    """Verify, inspect and convert model checkpoints before you publish them.

    Files are opened by content, whatever they are called, and nothing in them is ever executed.
    Every option can be set by a variable of its name: CKPTTOOL_VERIFY_FORMAT for verify --format.

    \b
    Examples:
      ckpttool verify model.pth
      ckpttool inspect model.safetensors
      ckpttool diff before.pth after.safetensors
      ckpttool convert model.pth --to safetensors
      ckpttool help verify
    """  # noqa: D301 (for click, a backspace)
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), color=ctx.color)
        # an empty variable in a script must not look like a pass; click 8.0 drops what is returned
        ctx.exit(CANNOT_TELL)
