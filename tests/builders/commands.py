"""The command line run in this process, its two streams apart whatever the release of click."""

from __future__ import annotations

import inspect
from typing import Any, NamedTuple

from click.testing import CliRunner

from ckpttool.cli import main


class Done(NamedTuple):
    """How a command ended: the exit code, standard output and standard error."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one error on standard error, without the tips below it."""
        (line,) = [line for line in self.err.splitlines() if line.startswith("error: ")]
        return line

    @property
    def tips(self) -> list[str]:
        """The tips on standard error."""
        start = "  tip: "
        lines = self.err.splitlines()
        return [line[len(start) :] for line in lines if line.startswith(start)]

    @property
    def last(self) -> str:
        """The last line on standard error."""
        return self.err.splitlines()[-1]


def runner() -> CliRunner:
    """What runs a command with standard output and standard error apart."""
    # click 8.2 always keeps them apart, and no longer has the parameter
    known = "mix_stderr" in inspect.signature(CliRunner).parameters
    apart: dict[str, Any] = {"mix_stderr": False} if known else {}
    return CliRunner(**apart)


def invoke(*arguments: str, stdin: bytes | None = None) -> Done:
    result = runner().invoke(main, arguments, input=stdin, prog_name="ckpttool")
    return Done(result.exit_code, result.stdout, result.stderr)
