"""A folder in memory for what parsers read from paths: one for each process, removed in the end."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path

# Files there cost little time; where the system has none, the usual place has to do.
_MEMORY = "/dev/shm"


def folder(name: str) -> Path:
    """Return the folder of this process by this name, empty when it is first asked for."""
    return shared(f"{name}-{os.getpid()}")


@lru_cache(maxsize=None)
def shared(name: str) -> Path:
    """Return the folder by this name that forked processes share, if it was asked for before."""
    made = _root() / name
    made.mkdir()
    return made


@lru_cache(maxsize=None)
def _root() -> Path:
    """Return the folder of all: that of the first process, which is removed when this one ends."""
    # forked processes have it from the first one, and end without a word
    place = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    root = Path(tempfile.mkdtemp(prefix="ckpttool-fuzzing-", dir=place))
    atexit.register(_remove, root, os.getpid())
    return root


def _remove(root: Path, process: int) -> None:
    if os.getpid() == process:
        shutil.rmtree(root, ignore_errors=True)
