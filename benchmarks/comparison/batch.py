"""Run one command line on many files, in one fork of an interpreter for each.

``python batch.py REQUEST ANSWER`` is run by the interpreter of the environment that has the tool,
and needs nothing but it. The request is JSON::

    {"entry": "package.module:function", "words": ["-p"], "files": ["a/model.pth", ...],
     "seconds": 60, "warm": "harmless/model.pth"}

``function`` is what the tool's own program calls, and finds the words and the path of a file in
``sys.argv``. It runs in the folder of that file, which becomes its home too. ``warm`` is a file
from which this process learns what a run imports, to share it with its forks. Each answer has what
the run came to: ``exit``, or ``signal`` where one ended it.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import resource
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

#: What a run writes, next to the file.
OUTPUT = "output.txt"
#: Bytes that a run may write to a file.
_MOST_WRITTEN = 1 << 26


def main() -> None:
    """Read the request, run, and write the answer."""
    request = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    _warm(request)
    gc.collect()
    gc.freeze()  # a fork that collects would copy every page of what is shared
    answer = [_run(request, Path(file)) for file in request["files"]]
    Path(sys.argv[2]).write_text(json.dumps(answer), encoding="utf-8")


def _warm(request: Any) -> None:
    """Import here what a run on a harmless file imports."""
    told = Path(sys.argv[2] + ".modules")
    _run(request, Path(request["warm"]), told)
    for name in told.read_text(encoding="utf-8").split() if told.exists() else ():
        with contextlib.suppress(Exception):
            importlib.import_module(name)


def _run(request: Any, file: Path, told: Path | None = None) -> dict[str, int]:
    child = os.fork()
    if not child:
        _confine(file.parent, request["seconds"])
        if told:
            _tell_imports(told)
        os._exit(_exit_code(request, file))
    _, status = os.waitpid(child, 0)
    with contextlib.suppress(OSError):
        os.killpg(child, signal.SIGKILL)  # what it started and left behind
    if os.WIFSIGNALED(status):
        return {"signal": os.WTERMSIG(status)}
    return {"exit": os.WEXITSTATUS(status)}


def _tell_imports(told: Path) -> None:
    """Write down the name of every module that this process imports from now on."""
    file = told.open("w", encoding="utf-8", buffering=1)

    def heard(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "import":
            file.write(f"{arguments[0]}\n")

    sys.addaudithook(heard)


def _confine(folder: Path, seconds: int) -> None:
    """A session of its own, in the folder, and not for long."""
    os.setsid()
    os.chdir(folder)
    os.environ["HOME"] = str(folder)
    output = os.open(OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    signal.alarm(seconds)
    for limit, most in (
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, _MOST_WRITTEN),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (most, most))


def _exit_code(request: Any, file: Path) -> int:
    """Run the program, and return the code that Python would exit with."""
    try:
        module, _, function = request["entry"].partition(":")
        sys.argv = [module, *request["words"], str(file)]
        code = getattr(importlib.import_module(module), function)()
    except SystemExit as ending:
        code = ending.code
    except BaseException:  # noqa: BLE001 (whatever ends the program)
        traceback.print_exc()
        code = 1
    gc.collect()  # what the file made ends before the process does
    with contextlib.suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
    if code is None:
        return 0
    return code & 0xFF if isinstance(code, int) else 1


if __name__ == "__main__":
    main()
