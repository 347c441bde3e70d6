"""The process: ``ckpttool`` and ``python -m ckpttool``."""

from __future__ import annotations

import os
import sys


def _forget_the_working_folder() -> None:
    """Look for no module in the working folder, as ``python -m`` does before all others.

    A download may have a numpy.py. The folder of this project is none, and has packages of it.
    """
    try:
        here = os.getcwd()  # noqa: PTH109 (nothing more is imported than must be)
    except OSError:  # it was removed
        return
    project = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))  # noqa: PTH120
    # with -P or PYTHONSAFEPATH, Python has not put it there
    added = sys.path[:1] in ([""], [here]) and not getattr(sys.flags, "safe_path", False)
    if added and os.path.realpath(here) != project:
        del sys.path[0]


if __name__ == "__main__":
    _forget_the_working_folder()

import gc  # noqa: E402
import signal  # noqa: E402
from contextlib import suppress  # noqa: E402
from typing import TYPE_CHECKING, NoReturn  # noqa: E402

from ckpttool.files.collecting import the_process_is_ours  # noqa: E402
from ckpttool.findings.breakdowns import breakdown  # noqa: E402

if TYPE_CHECKING:
    from types import FrameType

_CANNOT_TELL, _INTERNAL, _INTERRUPTED = 2, 3, 130

# what the system calls at the end must not be collected before it
_kept: list[object] = []


def run() -> None:
    """Run the command line and leave at once with its exit code.

    Everything is written and closed by then. Python would go on to take down the hundreds of
    modules of torch one by one, which takes 0.4 s that nobody gets anything for.
    """
    # What a command makes of a catalogue has few cycles, like the catalogue itself.
    gc.set_threshold(100_000, 20, 50)
    the_process_is_ours()
    _catch_libraries_that_exit()
    try:
        code = _run()
    except BaseException as error:  # noqa: BLE001 (while an error was told: no memory, for example)
        with suppress(OSError):
            os.write(2, f"error: the process broke off: {type(error).__name__}\n".encode())
        code = _CANNOT_TELL
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):  # closed, or a pipe nobody reads
            stream.flush()
    os._exit(code)


def _run() -> int:
    """Return the exit code, whatever happens: Python's own for an error is that of a finding."""
    try:
        try:
            from ckpttool.cli import main  # only now: so are modules
        except SystemExit as end:  # of a package; its code may be that of a pass
            _say(f"error: {breakdown(end)}")
            return _CANNOT_TELL
        exit_when_stopped()
        main(prog_name="ckpttool")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0 if end.code is None else _INTERNAL
    except KeyboardInterrupt:
        return _INTERRUPTED
    except Exception as error:  # noqa: BLE001 (click or a module of ours cannot be loaded)
        broken = breakdown(error)
        told = f"internal error: {type(error).__name__}: {error}"
        _say(f"error: {broken or told}")
        return _INTERNAL if broken is None else _CANNOT_TELL
    return 0


def exit_when_stopped() -> None:
    """Turn SIGTERM and SIGHUP into SystemExit, so that blocks remove their temporary files."""
    # The system sends them, or a terminal that is closed (not on Windows). Here and not where files
    # are written: what a signal means is for the process to say, which may be somebody else's.
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        # under nohup SIGHUP is ignored, and stays so
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _stopped)


def _stopped(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001
    raise SystemExit(128 + number)  # the status that a shell reports for a process so ended


def _say(line: str) -> None:
    with suppress(AttributeError, OSError, ValueError):
        sys.stderr.write(line.encode("ascii", "backslashreplace").decode() + "\n")


def _catch_libraries_that_exit() -> None:
    """Give the exit code of "cannot tell" to libraries that end the process themselves.

    OpenBLAS and the runtimes of OpenMP call the C function ``exit`` with 1, the code of a finding,
    when they get no memory or no thread. :func:`run` never ends so.
    """
    try:
        import ctypes

        register = ctypes.CDLL(None).__cxa_atexit
    except (AttributeError, ImportError, OSError, TypeError):  # another C library, or none
        return

    def ended(_: object) -> None:
        told = "error: a library ended the process, for want of memory or threads. See ulimit -a."
        with suppress(OSError):
            os.write(2, f"{told}\n".encode())
        os._exit(_CANNOT_TELL)

    _kept.append(ctypes.CFUNCTYPE(None, ctypes.c_void_p)(ended))
    register(_kept[0], None, None)


if __name__ == "__main__":
    run()
