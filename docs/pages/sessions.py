"""Commands of a page, run as in a terminal: in a folder of their own, as wide as the page."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Iterator, Mapping, NamedTuple
from unittest import mock

from ckpttool.cli import main

#: Columns of the terminal.
COLUMNS = 90
#: What stands for the folder of one run where a command prints it.
_HOME = "/home/you"

# what only a shell understands, outside of quotes
_SHELL = re.compile(r"[|&;<>()$`*?~]|^\w+=")
_STYLES = re.compile(r"\x1b\[[\d;]*m|\x1b\]8;[^\x1b\x07]*(\x1b\\|\x07)")
_LAST = "echo $?"


class Said(NamedTuple):
    """A command, what it wrote to both streams, and its exit code."""

    command: str
    output: str
    code: int


class _Screen(io.StringIO):
    """What takes text as a terminal does."""

    def isatty(self) -> bool:
        return True


class _Behind(io.StringIO):
    """Standard error: it writes to the same screen, and is no terminal, for no bar is drawn."""

    def __init__(self, screen: _Screen) -> None:
        super().__init__()
        self._screen = screen

    def write(self, text: str) -> int:
        return self._screen.write(text)


class Session:
    """A shell in a folder."""

    def __init__(self, folder: Path, columns: int = COLUMNS, *, color: bool = False) -> None:
        self._folder = folder
        self._columns = columns
        self._color = color
        self._last = 0

    def run(self, command: str) -> Said:
        """Run a command: of ckpttool in this process, unless it needs a shell."""
        if command == _LAST:
            return Said(command, f"{self._last}\n", 0)
        plain = command.startswith("ckpttool ") and not _SHELL.search(_unquoted(command))
        output, self._last = self._here(command) if plain else self._by_a_shell(command)
        output = output.replace(str(self._folder), _HOME)
        return Said(command, output if self._color else _STYLES.sub("", output), self._last)

    def _environment(self) -> dict[str, str]:
        color = {"FORCE_COLOR": "1"} if self._color else {"NO_COLOR": "1"}
        return {
            **color,
            "COLUMNS": str(self._columns),
            "TERM": "xterm-256color",
            "LC_ALL": "C.UTF-8",
        }

    def _here(self, command: str) -> tuple[str, int]:
        screen = _Screen()
        with inside(self._folder), mock.patch.dict(os.environ, self._environment()):
            os.environ.pop("NO_COLOR" if self._color else "FORCE_COLOR", None)
            with contextlib.redirect_stdout(screen), contextlib.redirect_stderr(_Behind(screen)):
                try:
                    main(shlex.split(command, comments=True)[1:], prog_name="ckpttool")
                except SystemExit as ended:
                    return screen.getvalue(), int(ended.code or 0)
        return screen.getvalue(), 0

    def _by_a_shell(self, command: str) -> tuple[str, int]:
        root = str(Path(__file__).parents[2])
        start = f'ckpttool() {{ {shlex.quote(sys.executable)} -m ckpttool "$@"; }}\n'
        done = subprocess.run(  # noqa: S603 (a command of our own pages)
            ["/bin/bash", "-c", start + command],
            cwd=self._folder,
            env={**os.environ, **self._environment(), "PYTHONPATH": root},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=120,
        )
        return done.stdout.decode(), done.returncode


def commands(text: str) -> Iterator[str]:
    """Yield the commands of a console block, those of several lines whole."""
    lines = iter(text.splitlines())
    for line in lines:
        if line.startswith("$ "):
            command = line[2:]
            while command.endswith("\\"):
                command += "\n" + next(lines)
            yield command


def shown(said: Said, marks: Mapping[str, str]) -> str:
    """Return how a page shows a command and its output."""
    output = said.output if "only" not in marks else _only(said.output, marks["only"].split(" | "))
    if output and not output.endswith("\n"):
        output += "\n"
    return f"$ {said.command}\n{output}"


def _only(output: str, texts: list[str]) -> str:
    """Return the lines that contain one of these texts, with what hangs below them."""
    kept: list[str] = []
    indent: int | None = None
    for line in output.splitlines():
        depth = len(line) - len(line.lstrip())
        hangs = indent is not None and line.strip() and depth > indent
        if any(text in line for text in texts):
            indent = depth
        elif not hangs:
            indent = None
            if kept[-1:] != ["..."]:
                kept.append("...")
            continue
        kept.append(line)
    return "\n".join(kept) + "\n"


def _unquoted(command: str) -> str:
    quotes = r"'[^']*'|\"[^\"$`]*\""
    return re.sub(r"\s#.*", "", re.sub(quotes, "", command).replace("\\\n", ""))


@contextlib.contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Work in a folder meanwhile."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
