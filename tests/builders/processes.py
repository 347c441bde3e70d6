"""Processes that tests start, and that cannot keep them waiting for ever."""

from __future__ import annotations

import subprocess
import sys
import threading

#: Seconds after which a process is no longer waited for: many times what the slowest takes.
PATIENCE = 120


def started(script: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a script in Python and wait until it has written the line ``ready``."""
    process = subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    # killed, it says nothing more, and the reading of its line ends
    watch = threading.Timer(PATIENCE, process.kill)
    watch.start()
    try:
        assert process.stdout.readline() == "ready\n"
    finally:
        watch.cancel()
    return process
