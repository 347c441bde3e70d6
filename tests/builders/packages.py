"""Installed packages that are broken, each in a named way, for a process to find first."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.builders.processes import PATIENCE
from tests.builders.repository import ROOT

#: What the package's ``__init__.py`` holds.
BROKEN = {
    "not there": b"raise ModuleNotFoundError(\"No module named 'x'\", name='x')",
    "without a library": b"import ctypes; ctypes.CDLL('libnowhere_at_all.so')",
    "without its extension": b"from . import _C",
    "half installed": b"__version__ = '2.1'",
    "for another numpy": b"raise ValueError('numpy.dtype size changed')",
    "with an attribute lost": b"object().nn",
    "written by a disk that failed": bytes(200),
    "for another Python": b"def f(:",
    "that ends the process": b"import ctypes; ctypes.CDLL(None).exit(1)",
    "that exits": b"raise SystemExit(1)",
    "that exits as if all was well": b"raise SystemExit(0)",
    "that wants memory": b"raise ImportError('lib.so: failed to map segment from shared object')",
}


def with_broken(
    folder: Path, package: str, how: str, *command: str
) -> subprocess.CompletedProcess[str]:
    """Run a command of ckpttool where ``package`` is broken."""
    (folder / package).mkdir(parents=True)
    (folder / package / "__init__.py").write_bytes(BROKEN[how])
    paths = os.pathsep.join([str(folder), str(ROOT)])
    return subprocess.run(
        [sys.executable, "-m", "ckpttool", *command],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
