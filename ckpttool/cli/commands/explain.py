"""``ckpttool explain`` and ``ckpttool rules``: the table of rules, one by one and as a whole."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from ckpttool.cli.command import command
from ckpttool.cli.console import emit
from ckpttool.cli.display import display_options
from ckpttool.cli.option_kinds import format_option
from ckpttool.findings.errors import UsageError

if TYPE_CHECKING:
    from ckpttool.findings.rules import Rule

_EXIT_CODES = "Exit codes: 0 told, 2 wrong usage, 3 internal error, 130 interrupted."


@command(epilog=_EXIT_CODES)
@click.argument("codes", nargs=-1, required=True, metavar="CODE...")
@display_options
def explain(codes: tuple[str, ...]) -> int:
    """Explain what a rule means, what to do about it, and how to ignore it.

    CODE is the code of a rule or its short name.

    \b
    Examples:
      ckpttool explain NUM001
      ckpttool explain SEC001 unreadable
    """  # noqa: D301 (for click, a backspace)
    from ckpttool.reports.terminal.rules import write_explanations

    emit(partial(write_explanations, [_rule(code) for code in codes]), asked=True)
    return 0


@command(epilog=_EXIT_CODES)
@format_option(["text", "json", "markdown"], "The format of the list.")
@display_options
def rules(format_name: str) -> int:
    """List all rules: code, severity, name and meaning.

    \b
    Examples:
      ckpttool rules
      ckpttool rules --format json
    """  # noqa: D301 (for click, a backspace)
    from ckpttool.findings.rules import RULES
    from ckpttool.reports.terminal import rules as report

    writers = {
        "text": report.write_text,
        "json": report.write_json,
        "markdown": report.write_markdown,
    }
    emit(partial(writers[format_name], list(RULES.values())), asked=True)
    return 0


def _rule(text: str) -> Rule:
    from ckpttool.findings.rules import RULES, close_to, named

    rule = named(text)
    if rule is not None:
        return rule
    begun = [code for code in RULES if code.startswith(text.upper())]
    if begun:
        fix = f"rules that begin so: {', '.join(begun)}"
    else:
        close = close_to(text)
        fix = f"did you mean {' or '.join(close)}?" if close else "ckpttool rules lists them all"
    raise UsageError(f"there is no rule {text}", fix=fix)
