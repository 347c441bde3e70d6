"""Whole processes of the command line, watched from before the first import of the tool.

What a process imports at its start is code of this project and of the libraries that it needs, so
the events of that are not forbidden: they are compared with those of a sound file.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Sequence, Set, Tuple

from tests.builders.processes import PATIENCE
from tests.builders.repository import ROOT
from tests.nothing_runs.watching import TURN

#: Runs the command line as its script does, and writes what was seen when the process leaves.
_PROGRAM = """
import os, sys
del sys.path[0]  # the working folder, which the script of the package does not search either
log, seen, on = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT, 0o600), [], [True]
skipped = ("os.listdir", "os.scandir", "object.__getattr__", "sys._getframe", "builtins.id")

def who(depth):
    frame = sys._getframe(depth)
    while frame is not None and "importlib" in frame.f_code.co_filename:
        frame = frame.f_back
    return "" if frame is None else frame.f_code.co_filename

def hook(event, args):
    if not on[0] or event in skipped:
        return
    on[0] = False
    try:
        if event == "import":
            seen.append((event, args[0], who(2)))
        elif event == "exec":
            code = args[0]
            seen.append((event, getattr(code, "co_filename", "?"), who(2)))
        elif event == "open":
            path = args[0] if isinstance(args[0], int) else os.fsdecode(args[0])
            seen.append((event, str(path), [str(args[1]), int(args[2] or 0)]))
        elif event == "compile":
            seen.append((event, str(args[1]), who(2)))
        else:
            seen.append((event, ascii(args)[:300], who(2)))
    finally:
        on[0] = True

sys.addaudithook(hook)
leave = os._exit

def told(code):
    on[0] = False
    import json
    os.write(log, json.dumps([seen, sorted(sys.modules)]).encode())
    leave(code)

os._exit = told
sys.argv[:] = ["ckpttool", *sys.argv[2:]]
PLANTED
from ckpttool.__main__ import run
run()
"""


class Seen(NamedTuple):
    """What a process did.

    Attributes:
        code: its exit code.
        events: name, what, and who did it: the file of the code.
        modules: that it had loaded in the end.
        said: on its streams.
    """

    code: int
    events: List[Tuple[str, str, Any]]
    modules: Set[str]
    said: str


def run(words: Sequence[str], folder: Path, planted: str = "") -> Seen:
    """Run a command in a folder; ``planted`` is code that runs before the tool is imported."""
    log = folder / ".seen.json"
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONPATH", "PYTHONSTARTUP") and not name.startswith("CKPTTOOL_")
    }
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "ignore",
            "-c",
            _PROGRAM.replace("PLANTED", planted),
            str(log),
            *words,
        ],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    events, modules = json.loads(log.read_bytes())
    log.unlink()
    return Seen(done.returncode, [tuple(one) for one in events], set(modules), done.stderr)


#: Folders of code that is no file's.
_TRUSTED = tuple(
    os.path.realpath(path) + os.sep
    for path in (
        str(ROOT),
        *sysconfig.get_paths().values(),
        os.path.dirname(os.__file__),  # noqa: PTH120
    )
)
# Who makes classes of text: the fields of a tuple, of a data class, and templates of pages.
_MAKERS = ("collections/__init__.py", "dataclasses.py", "jinja2/environment.py", "typing.py")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Of libraries that are loaded: ctypes opens the process itself.
_AT_START = {"ctypes.dlopen": "(None,)", "ctypes.dlsym": ""}
_HARMLESS = frozenset(
    "import exec compile open marshal.loads code.__new__ object.__setattr__ object.__delattr__"
    " os.getxattr os.listxattr sys.setprofile fcntl.flock _thread.start_new_thread"
    " _thread.start_joinable_thread sys._getframemodulename os.rename os.link os.remove"
    " os.truncate signal.set_wakeup_fd time.sleep mmap.__new__ glob.glob array.__new__"
    " os.putenv os.unsetenv sys.set_asyncgen_hooks cpython.PyInterpreterState_New".split()
)


def wrong(seen: Seen, writes: Sequence[str], named: Sequence[str], sound: Seen) -> List[str]:
    """Return what a process did that reading a file does not need.

    Args:
        seen: the process.
        writes: files that it was told to write.
        named: modules that the file names.
        sound: the same command on a sound file.
    """
    found = [
        f"{event} {what} by {who}" for event, what, who in seen.events if _odd(event, what, who)
    ]
    found += [
        f"open {what} {how}"
        for event, what, how in seen.events
        if event == "open" and _writes(how) and not _is_of(what, writes)
    ]
    own = tuple(f"{one}." for one in ("ckpttool", "encodings"))
    more = {one for one in seen.modules - sound.modules if not one.startswith(own)}
    asked: Dict[str, str] = {what: who for event, what, who in seen.events if event == "import"}
    for module in more:
        top = module.partition(".")[0]
        if module in named or top in named:
            found.append(f"import of {module}, which the file names")
        elif not asked.get(module, str(ROOT)).startswith(_TRUSTED):
            found.append(f"import of {module} by {asked[module]}")
    return found


def _odd(event: str, what: str, who: object) -> bool:
    if event in ("exec", "compile"):
        from_file = what.startswith(("<frozen", *_TRUSTED))
        return not (from_file or str(who).endswith(_MAKERS) or _is_a_tree(event, who))
    if event in _AT_START:
        return not what.startswith(_AT_START[event])
    return event not in _HARMLESS


def _is_a_tree(event: str, who: object) -> bool:
    return event == "compile" and str(who).endswith("ast.py")


def _writes(how: Any) -> bool:
    mode, flags = how
    return bool(set(mode) & set("wax+")) or bool(flags & _WRITES)


def _is_of(path: str, writes: Sequence[str]) -> bool:
    folder, name = os.path.split(os.path.realpath(path))
    names = [os.path.split(os.path.realpath(one)) for one in writes]
    return path.isdigit() or any(
        folder == at and (name in (one, TURN) or name.startswith(f".{one}.ckpttool-"))
        for at, one in names
    )
