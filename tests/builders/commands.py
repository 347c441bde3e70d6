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
    result = runner().invoke(main, arguments, input=stdin)
    return Done(result.exit_code, result.stdout, result.stderr)
