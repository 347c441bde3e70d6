"""Programs on a PATH of their own: ``ckpttool`` as a shell or a CI system finds it."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

from tests.builders.processes import PATIENCE
from tests.builders.repository import ROOT

# The command of this tree, with a model that is small enough for a test known as ``tiny``.
_TINY = """
import sys
from mae.config import CONFIGS
from tests.builders.sizes import TINY
CONFIGS["tiny"] = TINY
sys.argv[0] = "ckpttool"
from ckpttool.__main__ import run
run()
"""


def installed(folder: Path, tiny: bool = False) -> dict[str, str]:
    """Install ``ckpttool`` into a folder and return an environment whose PATH begins there."""
    start = f"-c {shlex.quote(_TINY)}" if tiny else "-m ckpttool"
    program(folder / "ckpttool", f'exec {shlex.quote(sys.executable)} -W ignore {start} "$@"')
    environment = {name: value for name, value in os.environ.items() if "CKPTTOOL" not in name}
    environment["PATH"] = os.pathsep.join([str(folder), environment.get("PATH", os.defpath)])
    environment["PYTHONPATH"] = str(ROOT)
    for convention in ("NO_COLOR", "FORCE_COLOR"):
        environment.pop(convention, None)
    return environment


def ran(workspace: Path, command: list[str], **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a workspace where ``ckpttool`` is installed and the model a tiny one."""
    environment = installed(workspace.parent / "bin", tiny=True)
    models = {"CKPTTOOL_VERIFY_MODEL": "tiny", "CKPTTOOL_LOCK_MODEL": "tiny"}
    return subprocess.run(
        command,
        cwd=workspace,
        env={**environment, **models, **variables},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def program(path: Path, script: str) -> Path:
    """Write a shell script that can be run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/usr/bin/env bash\n{script}\n")
    path.chmod(0o755)
    return path
