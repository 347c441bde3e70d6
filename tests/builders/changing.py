"""Files that change while somebody reads them."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Callable

import pytest

_TICK = 0.002  # seconds; the clocks of file systems are finer or go on within a few of these
_TICKS = 1_500


def rewritten(path: Path, content: bytes, at: int = 0) -> None:
    """Write other bytes into a file in place, and put its time of writing back."""
    before = path.stat()

    def rewrite() -> None:
        with path.open("r+b") as file:
            file.seek(at)
            file.write(content)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    _until_it_shows(path, rewrite)


def made_private(path: Path) -> None:
    """Take a file from all others, which changes nothing of its content."""
    _until_it_shows(path, lambda: path.chmod(0o600))


def _until_it_shows(path: Path, change: Callable[[], None]) -> None:
    # what happens within one tick of the file system's clock, no time shows
    before = path.stat().st_ctime_ns
    for _ in range(_TICKS):
        change()
        if path.stat().st_ctime_ns != before:
            return
        time.sleep(_TICK)
    pytest.skip("this file system has no time of change")


def replaced(path: Path, content: bytes) -> None:
    """Put another file in the place of one, as programs do that write beside it and rename."""
    beside = path.with_name(f"{path.name}.new")
    beside.write_bytes(content)
    beside.replace(path)
