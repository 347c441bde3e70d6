"""Run every tool on every file: ``python -m benchmarks.comparison [FOLDER]``.

The other tools are installed into a virtual environment of their own in FOLDER, by default
a temporary one. The results are kept in ``results.json``, and ``make docs`` writes the table of
``docs/comparison.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import venv
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Iterator

from benchmarks.comparison.cases import CASES, MARKER, Case
from benchmarks.comparison.tools import ERROR, OTHER, TOOLS, Tool

RESULTS = Path(__file__).parent / "results.json"
ROOT = Path(__file__).parents[2]
#: What goes into the environment of the tools; torch as constraints.txt has it.
PACKAGES = ("torch", "numpy", "safetensors", "picklescan", "modelscan", "sft-cli")


def main() -> None:
    """Install, run, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, help="where the tools' environment lies")
    given = parser.parse_args().folder
    with tempfile.TemporaryDirectory() as scratch:
        programs = installed(given or Path(scratch) / "tools")
        document = {
            "date": datetime.now(timezone.utc).date().isoformat(),
            "python": platform.python_version(),
            "versions": versions(programs),
            "files": [results(case, Path(scratch), programs) for case in CASES],
        }
    RESULTS.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def installed(folder: Path) -> Path:
    """Make the environment unless it is there, and return the folder of its programs."""
    programs = folder / "bin"
    if not programs.exists():
        venv.create(folder, with_pip=True)
        pip = [str(programs / "python"), "-m", "pip", "install", "-qq", *PACKAGES]
        subprocess.run([*pip, "-c", str(ROOT / "constraints.txt")], check=True)
    return programs


def versions(programs: Path) -> dict[str, str]:
    """Return the version of each tool's package."""
    code = "import sys, importlib.metadata as m; print(m.version(sys.argv[1]))"
    found = {}
    for tool in TOOLS:
        python = sys.executable if tool.package == "ckpttool" else str(programs / "python")
        run = [python, "-c", code, tool.package]
        found[tool.package] = subprocess.run(
            run, check=True, stdout=subprocess.PIPE, text=True
        ).stdout.strip()
    return found


def results(case: Case, scratch: Path, programs: Path) -> dict[str, Any]:
    """Return what every tool says of one file."""
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        path = Path(folder) / f"model{case.suffix}"
        case.write(path)
        said = {tool.name: dict(_said(tool, path, programs)) for tool in TOOLS}
    return {"what": case.what, "suffix": case.suffix, "good": case.good, "said": said}


def _said(tool: Tool, path: Path, programs: Path) -> Iterator[tuple[str, Any]]:
    """Yield the verdict, the exit code and what it rests on, and whether a payload ran."""
    if tool.suffixes and path.suffix not in tool.suffixes:
        yield "verdict", OTHER
        return
    command = [word.replace("BIN/", f"{programs}/") for word in tool.command]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    done = subprocess.run(
        [*command, str(path)],
        cwd=path.parent,
        env=environment if tool.package == "ckpttool" else {**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        check=False,
        timeout=300,
        text=True,
    )
    yield "verdict", tool.codes.get(done.returncode, ERROR)
    yield "exit", done.returncode
    if tool.package == "ckpttool":
        words = done.stdout.split()
        errors = {code for code, level in zip(words, words[1:]) if level == "error"}
        yield "found", sorted(errors)
    left = list(path.parent.glob(f"{MARKER}*"))
    if left:
        yield "ran", True
    for one in left:
        one.unlink() if one.is_file() else one.rmdir()


if __name__ == "__main__":
    main()
