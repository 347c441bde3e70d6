"""Inputs that are led by coverage: ``python -m tests.fuzzing.coverage_led PARSER [OPTION ...]``.

libFuzzer, by way of Atheris, keeps each input that reaches code which none before it reached, and
changes these further, by the parser's own changes. The inputs that it keeps are in
``build/fuzzing/PARSER``, and a later run goes on with them. The options are libFuzzer's: ``-runs``,
``-seed``, ``-max_total_time``. An input that breaks an oracle is written beside that folder, and
ends the run.
"""

from __future__ import annotations

import sys
from random import Random
from typing import TYPE_CHECKING, List

import atheris

from tests.builders.repository import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fuzzing.budget import Budget
    from tests.fuzzing.parser import Parser

#: Where the inputs that were kept are, and those that broke an oracle.
FOLDER = ROOT / "build" / "fuzzing"


class OracleError(Exception):
    """An oracle does not hold for an input."""


def main(arguments: List[str]) -> None:
    """Run libFuzzer, which ends the process itself."""
    with atheris.instrument_imports(include=["ckpttool"], exclude=["ckpttool.reports"]):
        from tests.fuzzing.budget import Budget
        from tests.fuzzing.parsers.table import PARSERS
        from tests.fuzzing.running import warm

        parser = PARSERS[arguments[0]]
        warm(parser)  # what is imported late is imported here, and thereby counted
    kept = _kept(parser)
    options = [sys.argv[0], str(kept), f"-artifact_prefix={kept}-", "-print_final_stats=1"]
    atheris.Setup(
        [*options, "-max_len=100000", *arguments[1:]],
        lambda content: _try(parser, content, Budget()),
        custom_mutator=lambda content, size, seed: _changed(parser, content, size, seed),
    )
    atheris.Fuzz()


def _kept(parser: Parser) -> Path:
    """Return the folder of inputs that were kept, with the parser's own files in it."""
    folder = FOLDER / parser.NAME
    folder.mkdir(parents=True, exist_ok=True)
    for number, content in enumerate(parser.seeds()):
        (folder / f"seed-{number}").write_bytes(content)
    return folder


def _changed(parser: Parser, content: bytes, size: int, seed: int) -> bytes:
    return parser.mutate(content, Random(seed))[:size]  # noqa: S311


def _try(parser: Parser, content: bytes, budget: Budget) -> None:
    from tests.fuzzing.judging import outcome_of

    finding = outcome_of(parser, content, budget).finding
    if finding:
        raise OracleError(finding)


if __name__ == "__main__":
    main(sys.argv[1:])
