"""A hook on the events of the interpreter: what a reader needs is listed, all else fails."""

from __future__ import annotations

import ast
import builtins
import importlib
import os
import re
import sys
from typing import Any, Callable, Dict, Iterable, List, Set, Tuple

#: Events that say nothing of code: what is looked at, not what is done.
HARMLESS = frozenset(
    "os.listdir os.scandir os.walk os.fwalk glob.glob glob.glob/2 object.__getattr__ sys._getframe"
    " sys._getframemodulename sys._current_frames time.sleep fcntl.flock array.__new__"
    " os.getxattr os.listxattr builtins.id pathlib.Path.glob"
    " sys.unraisablehook gc.get_objects gc.get_referrers gc.get_referents".split()
)
#: Threads are the tool's own; what runs in them is watched by the same hook.
THREADS = frozenset("_thread.start_new_thread _thread.start_joinable_thread".split())
#: Events about a file that is written, with how many of their first arguments are paths.
WRITING = {
    "os.rename": 2,
    "os.remove": 1,
    "os.link": 2,
    "os.truncate": 1,
    "os.chmod": 1,
    "os.mkdir": 1,
    "os.rmdir": 1,
    "os.symlink": 2,
    "os.utime": 1,
}
#: Codecs and parts of libraries that are asked for by name when they are first used.
LATE = (
    "encodings.raw_unicode_escape encodings.latin_1 encodings.ascii encodings.utf_8_sig"
    " encodings.unicode_escape encodings.idna encodings.utf_16 encodings.utf_16_le"
    " encodings.utf_32 stringprep"
    " numpy.ma numpy.ma.core numpy.ma.extras"
).split()
# What functions in C ask for: dates the time, patterns their templates, numpy parts of itself.
_BY_C = re.compile(r"time|re|numpy(?:\._?core)?(?:\.[a-z_]+)?")
#: The file by which runs take turns in a folder: of a run that may write there.
TURN = ".naming.ckpttool-0000000000000000.tmp"
_TEMPORARY = re.compile(r"\.(?P<name>.+)\.ckpttool-[0-9a-f]{16}\.(?:tmp|old|new)", re.DOTALL)
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Watch:
    """Records the events that are forbidden, while it is on.

    Attributes:
        events: what was forbidden: the class (``import``, ``run``, ``write``, ``read``,
            ``other``), and the event in words.
        seen: the names of all events.
    """

    def __init__(self, readable: Iterable[str]) -> None:
        self.events: List[Tuple[str, str]] = []
        self.seen: Set[str] = set()
        self._readable = tuple(os.path.realpath(path) + os.sep for path in readable)
        self._writable: Tuple[str, ...] = ()
        self._on = False

    def install(self) -> None:
        """Add the hook, which cannot be taken away, and see what is asked for by name."""
        sys.addaudithook(self._hook)
        builtins.__import__ = self._asked(builtins.__import__)
        # what import_module and importlib.__import__ call, and no import statement
        bootstrap: Any = importlib._bootstrap
        bootstrap._gcd_import = self._asked_for(bootstrap._gcd_import)

    def run(self, function: Callable[[], object], writable: Iterable[str] = ()) -> None:
        """Call a function under the hook; it may write these files, and those below ``/`` ends.

        What it raises is its own affair: a hostile file is refused in many ways.
        """
        self._writable = tuple(
            os.path.realpath(path) + os.sep * path.endswith("/") for path in writable
        )
        self._on = True
        try:
            function()
        except Exception as error:  # noqa: BLE001 (which error is right is for other tests)
            self._on = False
            if not type(error).__module__.startswith("ckpttool."):
                self.events.append(("error", f"{type(error).__name__}: {error}"[:300]))
        finally:
            self._on = False
            self._writable = ()

    # -------------------------------------------------------------------------------------

    def _hook(self, event: str, args: Tuple[Any, ...]) -> None:
        if not self._on:
            return
        self.seen.add(event)
        found = self._forbidden(event, args)
        if found is not None:
            self._on = False  # of what says it
            self.events.append((found, f"{event} {_words(args)}"))
            self._on = True

    def _forbidden(self, event: str, args: Tuple[Any, ...]) -> str | None:
        """Return the class of a forbidden event."""
        if event in HARMLESS or event in THREADS:
            return None
        if event == "open":
            return self._opened(*args)
        if event in WRITING:
            paths = args[: WRITING[event]]
            return None if all(map(self._may_write, paths)) else "write"
        if event == "import":
            return "import"
        if event == "mmap.__new__" and args[0] == -1:  # memory, and no file
            return None
        if event == "object.__setattr__" and _is_of_the_model(*args):
            return None
        if event == "compile" and _is_a_tree():
            return None
        return _CLASSES.get(event.partition(".")[0], "other")

    def _opened(self, path: object, mode: object, flags: int | None) -> str | None:
        writes = isinstance(mode, str) and bool(set(mode) & set("wax+"))
        if writes or (flags or 0) & _WRITES:
            return None if self._may_write(path) else "write"
        if isinstance(path, int):  # a descriptor, whose opening was an event of its own
            return None
        real = os.path.realpath(os.fsdecode(path))  # type: ignore[arg-type]
        inside = real == os.devnull or (real + os.sep).startswith(self._readable)
        return None if inside or self._may_write(path) else "read"

    def _may_write(self, path: object) -> bool:
        if isinstance(path, int):
            return True
        folder, name = os.path.split(os.path.realpath(os.fsdecode(path)))  # type: ignore[arg-type]
        temporary = _TEMPORARY.fullmatch(name)
        final = os.path.join(folder, temporary["name"] if temporary else name)  # noqa: PTH118
        return any(
            final == one
            or (one.endswith(os.sep) and folder + os.sep == one)
            or (name == TURN and folder == os.path.dirname(one))  # noqa: PTH120
            for one in self._writable
        )

    # --- modules that are asked for by name --------------------------------------------------

    def _asked(self, real: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``__import__`` that records a name which no import statement has in its code."""

        def seen(name: str, *args: Any, **kwargs: Any) -> Any:
            if self._on:
                code = sys._getframe(1).f_code
                asked = name in code.co_names or name in LATE or _BY_C.fullmatch(name)
                if not asked and not _is_of_the_import_system(code.co_filename):
                    self.events.append(("import", f"__import__({name!a}) in {code.co_filename}"))
            return real(name, *args, **kwargs)

        return seen

    def _asked_for(self, real: Callable[..., Any]) -> Callable[..., Any]:
        """Return what ``import_module`` calls: it records any module but those of the tool."""

        def seen(name: str, *args: Any) -> Any:
            if self._on and not (name.startswith("ckpttool.") or name == "jinja2"):
                self.events.append(("import", f"import_module({name!a})"))
            return real(name, *args)

        return seen


#: Beginnings of events -> what they do. What is in no table here is forbidden, too.
_CLASSES: Dict[str, str] = {
    **dict.fromkeys("exec compile code marshal pickle function cpython builtins".split(), "run"),
    **dict.fromkeys("subprocess os pty webbrowser socket ctypes sqlite3 urllib".split(), "process"),
    **dict.fromkeys("shutil tempfile".split(), "write"),
}


def _is_of_the_model(_: object, name: str, value: object) -> bool:
    """Whether a layer of the tool's own model becomes one that multiplies in another way."""
    return name == "__class__" and getattr(value, "__module__", "") == "ckpttool.models.forward"


def _is_a_tree() -> bool:
    """Whether the event is of ``ast.parse``: a tree alone is nothing that can run."""
    return sys._getframe(3).f_code is ast.parse.__code__


def _is_of_the_import_system(file: str) -> bool:
    return "importlib" in file


def _words(args: Tuple[Any, ...]) -> str:
    return ascii(args)[:300]
