"""How help pages look: in sections, from 40 columns on, in colours where they are allowed."""

from __future__ import annotations

import re
import shutil
from typing import Iterable

import click
from click.formatting import wrap_text

from ckpttool.cli.choices import OneOf
from ckpttool.cli.display import colored
from ckpttool.cli.sections import GENERAL, command_sections, section_of

# Columns beyond which lines are hard to follow, and below which words would be cut.
_WIDEST, _NARROWEST = 100, 34
# Columns from which on an option's help stands beside it.
_BESIDE = 76
# Characters of the first sentence on a command, which is wrapped and not cut.
_LONGEST = 300

# The name of an option in a text, and what stands for its hyphens until lines are wrapped.
_NAME = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
_KEPT = "\u2011"
_HEADING = re.compile(r"^(?:  )?[A-Z][\w ,/-]*:$")
_OPTION = re.compile(r"^  (-.*?)(?=  |$)")
_COMMAND = re.compile(r"^  ([a-z][a-z-]*)(?=   ?\S)")
_EXAMPLE = re.compile(r"^    (ckpttool .*)$")


class Formatter(click.HelpFormatter):
    """Lays out a help page in the width of the terminal."""

    def __init__(self) -> None:
        columns = shutil.get_terminal_size().columns
        # not click's own width, which is never below 50
        super().__init__(width=max(min(columns, _WIDEST) - 1, _NARROWEST))

    def write(self, string: str) -> None:
        """Write a piece of the page, with the hyphens that :func:`_unbroken` kept."""
        super().write(string.replace(_KEPT, "-"))

    def write_text(self, text: str) -> None:
        """Write a paragraph."""
        super().write_text(_unbroken(text))

    def write_dl(
        self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2
    ) -> None:
        """Write names with their texts beside them, or below them on a narrow terminal."""
        rows = [(name, _unbroken(text)) for name, text in rows]
        if self.width >= _BESIDE:
            super().write_dl(rows, col_max, col_spacing)
            return
        for name, text in rows:
            self.write(f"{wrap_text(name, self.width, '  ', '      ')}\n")
            if text:
                self.write(f"{wrap_text(text, self.width, '      ', '      ')}\n")


def _unbroken(text: str) -> str:
    """Return a text in which no line ends inside of the name of an option."""
    return _NAME.sub(lambda name: name.group().replace("-", _KEPT), text)


def write_options(
    command: click.Command, ctx: click.Context, formatter: click.HelpFormatter
) -> None:
    """Write the options of a command, each section under its heading."""
    sections: dict[str, list[tuple[str, str]]] = {}
    for param in command.get_params(ctx):
        # the text above speaks of the arguments
        record = _record(param, ctx) if isinstance(param, click.Option) else None
        if record is not None:
            title = section_of(str(command.name), str(param.name), param.opts)
            sections.setdefault(title, []).append(record)
    # what every command has comes last
    titles = sorted(sections, key=lambda title: title == GENERAL)
    _write_sections({title: sections[title] for title in titles}, formatter)


def write_commands(group: click.Group, ctx: click.Context, formatter: click.HelpFormatter) -> None:
    """Write the commands of a program, each section under its heading."""
    shown = [
        (name, command)
        for name in group.list_commands(ctx)
        for command in [group.get_command(ctx, name)]
        if command is not None and not command.hidden
    ]
    rows = {name: (name, command.get_short_help_str(_LONGEST)) for name, command in shown}
    sections = {
        title: [rows[name] for name in names if name in rows]
        for title, names in command_sections(rows).items()
    }
    _write_sections(sections, formatter)


def _write_sections(
    sections: dict[str, list[tuple[str, str]]], formatter: click.HelpFormatter
) -> None:
    for title, rows in sections.items():
        with formatter.section(title):
            formatter.write_dl(rows)


def _record(param: click.Parameter, ctx: click.Context) -> tuple[str, str] | None:
    record = param.get_help_record(ctx)
    if record is None or not isinstance(param.type, OneOf) or not param.type.is_long:
        return record
    names, text = record
    told = str(getattr(param, "help", None) or "")
    values = f"Values: {', '.join(param.type.choices)}."
    # what is listed in the text already is not listed again
    known = all(choice in told for choice in param.type.choices)
    return names, text if known else text.replace(told, f"{told} {values}", 1)


def painted(page: str, ctx: click.Context) -> str:
    """Return a help page in colours, where standard output has them."""
    if not colored():
        return page
    ctx.color = True  # or click takes them out again where a variable asks for them in a pipe
    return "\n".join(_painted(page.splitlines()))


def _painted(lines: Iterable[str]) -> Iterable[str]:
    for line in lines:
        if line.startswith("Usage: "):
            yield click.style("Usage:", fg="green", bold=True) + line[len("Usage:") :]
        elif _HEADING.match(line):
            yield click.style(line, fg="green", bold=True)
        else:
            for pattern in (_OPTION, _COMMAND, _EXAMPLE):
                line = pattern.sub(_in_cyan, line)
            yield line


def _in_cyan(match: re.Match[str]) -> str:
    start = match.start(1) - match.start()
    return match.group()[:start] + click.style(match.group(1), fg="cyan")
