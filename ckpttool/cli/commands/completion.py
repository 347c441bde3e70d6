"""``ckpttool completion``: what makes a shell complete commands, options, values and files."""

from __future__ import annotations

import click

from ckpttool.cli.choices import OneOf
from ckpttool.cli.command import command
from ckpttool.cli.console import emit
from ckpttool.cli.display import display_options

_EXIT_CODES = "Exit codes: 0 written, 2 wrong usage, 3 internal error, 130 interrupted."
_PROGRAM = "ckpttool"


@command(epilog=_EXIT_CODES)
@click.argument("shell", type=OneOf(["bash", "zsh", "fish"]))
@display_options
@click.pass_context
def completion(ctx: click.Context, shell: str) -> int:
    """Write the script that completes ckpttool's commands, options, values and files in a shell.

    \b
    bash   eval "$(ckpttool completion bash)"       in ~/.bashrc
    zsh    eval "$(ckpttool completion zsh)"        in ~/.zshrc, after compinit
    fish   ckpttool completion fish | source        in ~/.config/fish/config.fish

    \b
    Examples:
      ckpttool completion bash
    """  # noqa: D301 (for click, a backspace)
    from click.shell_completion import ShellComplete, get_completion_class

    from ckpttool.cli.shells import register

    register()
    known = get_completion_class(shell)
    if known is None:
        raise click.ClickException(f"click knows no completion for {shell}")
    instance = known(ctx.find_root().command, {}, _PROGRAM, f"_{_PROGRAM.upper()}_COMPLETE")
    # not source() of bash's own class, which runs bash to ask for its version: the script must
    # not depend on what is installed where it is written
    script = ShellComplete.source(instance)
    emit(lambda stream: stream.write(f"{script.strip()}\n"), asked=True)
    return 0
