"""Run a tool on a file by its command line, or on many files in one batch."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Dict, List, Mapping, NamedTuple, Sequence

from benchmarks.comparison.environments import QUIET, interpreter
from benchmarks.comparison.tools import ERROR, LIBRARIES, OURS, ROOT, Tool

#: What begins the name of the file that a payload leaves when it runs.
MARKER = "payload-ran"
#: Seconds that a tool may take for a file.
PATIENCE = 300
BATCH = Path(__file__).parent / "batch.py"


class Said(NamedTuple):
    """What a tool says of a file: by its exit code, or without one where it was ended."""

    verdict: str
    exit: int | None
    ran: bool
    output: str = ""


def alone(tool: Tool, path: Path, programs: Mapping[str, Path]) -> Said:
    """Run its command line on one file."""
    done = subprocess.run(
        [*tool.command(programs[tool.environment]), str(path)],
        cwd=path.parent,
        env={**_environment(tool), "HOME": str(path.parent)},
        capture_output=True,
        check=False,
        timeout=PATIENCE,
        text=True,
    )
    return _said(tool, path, done.returncode, done.stdout)


def together(
    tool: Tool, paths: Sequence[Path], programs: Mapping[str, Path], scratch: Path, warm: Path
) -> List[Said]:
    """Run it on many files, each in a folder of its own, in forks of one process.

    ``warm`` is a harmless file, from which the process learns what to import before it forks.
    """
    request = {
        "entry": tool.entry,
        "words": tool.words,
        "files": [str(path) for path in paths],
        "warm": str(warm),
        "seconds": PATIENCE,
    }
    asked, answered = scratch / "request.json", scratch / "answer.json"
    asked.write_text(json.dumps(request), encoding="utf-8")
    done = subprocess.run(
        [interpreter(programs, tool), str(BATCH), str(asked), str(answered)],
        env=_environment(tool),
        capture_output=True,
        check=False,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"{tool.name} cannot be run:\n{done.stderr}")
    answers = json.loads(answered.read_text(encoding="utf-8"))
    return [_said(tool, path, answer.get("exit")) for path, answer in zip(paths, answers)]


def _environment(tool: Tool) -> Dict[str, str]:
    path = str(ROOT) if tool.environment == OURS else str(LIBRARIES.parent)
    return {**os.environ, **QUIET, "PYTHONPATH": path}


def _said(tool: Tool, path: Path, code: int | None, output: str = "") -> Said:
    verdict = ERROR if code is None else tool.codes.get(code, ERROR)
    left = list(path.parent.glob(f"{MARKER}*"))
    for one in left:
        one.unlink() if one.is_file() or one.is_symlink() else _emptied(one)
    return Said(verdict, code, bool(left), output)


def _emptied(folder: Path) -> None:
    for one in sorted(folder.rglob("*"), reverse=True):
        one.unlink() if not one.is_dir() else one.rmdir()
    folder.rmdir()
