"""Python's search for garbage in cycles, which finds nothing while a file is opened or listed.

A catalogue is a million small objects that refer to each other in one direction. The collector
would go through them again and again while they are made, for a fifth of the time that opening a
file of 100,000 tensors takes.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import Iterator

# Whether the process is the command line's own: only then may it be left in another state.
_ours = False


def the_process_is_ours() -> None:
    """Let what was opened be left out of every later search, for the rest of the process."""
    global _ours
    _ours = True


@contextmanager
def paused() -> Iterator[None]:
    """Pause the search in the block, and leave it afterwards as it was.

    In a process of somebody else other threads do without it for that long, and nothing more.
    """
    # reference counts free what is in no cycle, as ever
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
        if _ours:
            gc.freeze()
    finally:
        gc.enable()
