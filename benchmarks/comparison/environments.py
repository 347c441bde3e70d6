"""The environments of the tools, each of its own so that none has to fit another."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path
from typing import Dict, Iterable, Mapping

from benchmarks.comparison.tools import ENVIRONMENTS, OURS, ROOT, Tool

#: The variables that a run begins with: no colours, one thread, and nothing sent to anybody.
QUIET: Mapping[str, str] = {
    "NO_COLOR": "1",
    "OMP_NUM_THREADS": "1",
    "PROMPTFOO_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
}


def installed(folder: Path, tools: Iterable[Tool]) -> Dict[str, Path]:
    """Make what environments are not there yet, and return the folder of the programs of each."""
    found = {OURS: Path(sys.executable).parent}
    for name in {tool.environment for tool in tools} - {OURS}:
        found[name] = folder / name / "bin"
        if not found[name].exists():
            venv.create(folder / name, with_pip=True)
            pip = [str(found[name] / "python"), "-m", "pip", "install", "-qq", *ENVIRONMENTS[name]]
            subprocess.run([*pip, "-c", str(_pins(folder))], check=True)
    return found


def _pins(folder: Path) -> Path:
    """Write down the versions of the libraries that read files: those of constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = folder / "pins.txt"
    pinned = [line for line in lines if line.startswith(("torch==", "numpy==", "safetensors=="))]
    pins.write_text("\n".join(pinned), encoding="utf-8")
    return pins


def versions(programs: Mapping[str, Path], tools: Iterable[Tool]) -> Dict[str, str]:
    """Return the version of each tool's package."""
    code = "import sys, importlib.metadata as m; print(m.version(sys.argv[1]))"
    found = {}
    for tool in tools:
        run = [interpreter(programs, tool), "-c", code, tool.package]
        found[tool.package] = subprocess.run(
            run, check=True, stdout=subprocess.PIPE, text=True
        ).stdout.strip()
    return found


def interpreter(programs: Mapping[str, Path], tool: Tool) -> str:
    """Return the Python that has the tool."""
    return (
        sys.executable if tool.environment == OURS else str(programs[tool.environment] / "python")
    )
