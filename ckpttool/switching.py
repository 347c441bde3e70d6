"""How long a thread waits for the interpreter's lock."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import Iterator


@contextmanager
def quick_switches() -> Iterator[None]:
    """Let a thread that waits for the interpreter's lock have it within half a millisecond.

    By default it is 5 ms. A thread that imports numpy or torch is busy with Python for long: others
    that read and hash, and need the lock only in between, would get a turn every 5 ms and spend
    most of the import waiting.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
