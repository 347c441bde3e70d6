"""Tools that a batch of ``benchmarks/comparison`` starts in tests: they import next to nothing."""

from __future__ import annotations

import os
import pickle
import signal
import sys


def unsafe() -> int:
    """Run what the file says."""
    with open(sys.argv[1], "rb") as stream:
        pickle.load(stream)
    return 0


def ended() -> int:
    """Be ended by the file."""
    os.kill(os.getpid(), signal.SIGKILL)
    return 0
