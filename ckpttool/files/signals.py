"""Running the blocks that clean up also when the process is asked to stop."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING, Iterator, NoReturn

if TYPE_CHECKING:
    from types import FrameType


# Sent by the system, and by a terminal that is closed (not on Windows). SIGINT raises
# KeyboardInterrupt in Python anyway.
_STOPS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into SystemExit, unless something else handles or ignores them."""
    # only the main thread may set handlers; under nohup SIGHUP is ignored, and stays so
    ours = threading.current_thread() is threading.main_thread()
    taken = [number for number in _STOPS if ours and signal.getsignal(number) is signal.SIG_DFL]
    for number in taken:
        signal.signal(number, _terminated)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


def _terminated(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001
    raise SystemExit(128 + number)  # the status that a shell reports for a process so ended
