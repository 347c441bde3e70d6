"""Run every tool on every file: ``python -m benchmarks.comparison [FOLDER]``.

The other tools are installed into virtual environments of their own in FOLDER, by default
a temporary one. The results are kept in ``results.json``, and ``make docs`` writes the table of
``docs/comparison.md``.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Iterator, Mapping

from benchmarks.comparison.cases import CASES, Case
from benchmarks.comparison.environments import installed, versions
from benchmarks.comparison.running import alone
from benchmarks.comparison.tools import CKPTTOOL, FOR_WEIGHTS, OTHER, Tool

RESULTS = Path(__file__).parent / "results.json"


def main() -> None:
    """Install, run, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, help="where the tools' environments lie")
    given = parser.parse_args().folder
    with tempfile.TemporaryDirectory() as scratch:
        programs = installed(given or Path(scratch) / "tools", FOR_WEIGHTS)
        document = {
            "date": datetime.now(timezone.utc).date().isoformat(),
            "python": platform.python_version(),
            "versions": versions(programs, FOR_WEIGHTS),
            "files": [results(case, Path(scratch), programs) for case in CASES],
        }
    RESULTS.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def results(case: Case, scratch: Path, programs: Mapping[str, Path]) -> dict[str, Any]:
    """Return what every tool says of one file."""
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        path = Path(folder) / f"model{case.suffix}"
        case.write(path)
        said = {tool.name: dict(_said(tool, path, programs)) for tool in FOR_WEIGHTS}
    return {"what": case.what, "suffix": case.suffix, "good": case.good, "said": said}


def _said(tool: Tool, path: Path, programs: Mapping[str, Path]) -> Iterator[tuple[str, Any]]:
    """Yield the verdict, the exit code and what it rests on, and whether a payload ran."""
    if tool.suffixes and path.suffix not in tool.suffixes:
        yield "verdict", OTHER
        return
    said = alone(tool, path, programs)
    yield "verdict", said.verdict
    yield "exit", said.exit
    if tool is CKPTTOOL:
        words = said.output.split()
        errors = {code for code, level in zip(words, words[1:]) if level == "error"}
        yield "found", sorted(errors)
    if said.ran:
        yield "ran", True


if __name__ == "__main__":
    main()
