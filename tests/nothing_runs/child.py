"""What runs in a process of its own: files through entries, under the hook.

Called with a JSON file: the files, which of the pairs, a folder for results, and whether faults are
to be planted in the tool, to show that the hook sees them.
"""

from __future__ import annotations

import ast
import importlib
import json
import pickle
import pkgutil
import shutil
import socket
import subprocess
import sys
import threading
import warnings
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Set
from unittest import mock

from rich.cells import cell_len

from ckpttool.files.sources import FileSource
from tests.nothing_runs.entries import Entry, Place, entries
from tests.nothing_runs.files import Watched
from tests.nothing_runs.watching import LATE, Watch

#: What is imported when it is first used, whatever the file.
_LATE = (
    "rich.progress rich.table rich.live click.testing click._textwrap"
    " concurrent.futures.thread difflib traceback linecache zoneinfo _strptime"
    " PIL.Image PIL.ImageOps"
).split()


def main(plan_file: str) -> None:
    """Run a plan, and print what was forbidden, and how much was run."""
    warnings.simplefilter("ignore")
    plan = json.loads(Path(plan_file).read_text(encoding="utf-8"))
    files = [Watched(one[0], one[1], tuple(one[2])) for one in plan["files"]]
    out = Path(plan["out"])
    watch = Watch(plan["readable"])
    every = entries()
    _preload()
    for entry in every:  # once without the hook: what they are made of is imported now
        for path in plan["sound"]:
            _call(entry, path, plan["good"], out, lambda function, _: _quietly(function))
    before = set(sys.modules)
    watch.install()
    count = 0
    for file, entry in _pairs(files, every, plan["step"], plan["start"]):
        number = len(watch.events)
        count += _call(entry, file.path, plan["good"], out, watch.run)
        for index in range(number, len(watch.events)):
            what, event = watch.events[index]
            watch.events[index] = (what, f"{entry.name} of {file.kind}, {file.path}: {event}")
    told: Dict[str, Any] = {
        "events": list(watch.events),
        "pairs": count,
        "entries": len(every),
        "modules": sorted(set(sys.modules) - before),
        "faults": {name: _seen(name, plan, watch) for name in FAULTS if plan["faults"]},
    }
    sys.__stdout__.write(json.dumps(told))  # type: ignore[union-attr]


def _seen(fault: str, plan: Dict[str, Any], watch: Watch) -> List[str]:
    """Return what the hook sees of a tool that has a fault."""
    watch.events.clear()
    out = Path(plan["out"])
    with _planted(fault, out):
        (entry,) = (one for one in entries() if one.name == "ckpttool.inspect")
        _call(entry, plan["sound"][0], plan["good"], out, watch.run)
    return [what for what, _ in watch.events]


def _pairs(
    files: List[Watched], every: List[Entry], step: int, start: int
) -> Iterator[tuple[Watched, Entry]]:
    """Yield each ``step``-th pair, so that each entry gets files of each kind."""
    number = start
    for file in files:
        folder = Path(file.path).is_dir()
        for entry in every:
            number += 1
            if number % step == 0 and (folder or not entry.folders):
                yield file, entry
        number += 1  # or each file would meet the same entries


def _call(
    entry: Entry,
    path: str,
    good: str,
    out: Path,
    run: Callable[[Callable[[], object], List[str]], None],
) -> int:
    """Call an entry with an empty folder for what it writes."""
    if entry.folders and not Path(path).is_dir():
        return 0
    out.mkdir()
    place = Place(path, good, str(out))
    if entry.prepare is not None:
        entry.prepare(place)
    writable = [f"{out}{name}" if name == "/" else f"{out}/{name}" for name in entry.writes]
    try:
        run(lambda: entry.call(place), writable)
    finally:
        shutil.rmtree(out)
    return 1


def _quietly(function: Callable[[], object]) -> None:
    with suppress(Exception):  # only what it imports matters
        function()


# --- what is imported before -------------------------------------------------------------


def _preload() -> None:
    """Import every module of the tool, and what the code of these imports late.

    None is asked for by a file: whatever is imported from now on is an event.
    """
    named: Set[str] = {*_LATE, *LATE}
    for package in ("ckpttool", "mae"):
        root = importlib.import_module(package)
        for one in pkgutil.walk_packages(root.__path__, f"{package}."):
            if not one.name.endswith("__main__"):
                named.add(one.name)
        for file in Path(root.__path__[0]).rglob("*.py"):
            named |= set(_imports(ast.parse(file.read_text(encoding="utf-8"))))
    for name in sorted(named):
        _quietly(lambda name=name: importlib.import_module(name))  # type: ignore[misc]
    from PIL import Image

    Image.init()
    cell_len("\u4e2d\u0301")  # loads the widths of characters


#: Built from a configuration on request alone, with a test of their own.
_HEAVY = ("transformers", "diffusers", "tests")


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names if not one.name.startswith(_HEAVY))
        elif isinstance(node, ast.ImportFrom) and not (node.module or "").startswith(_HEAVY):
            yield str(node.module)
            yield from (f"{node.module}.{one.name}" for one in node.names)


# --- faults ------------------------------------------------------------------------------


@contextmanager
def _planted(fault: str, out: Path) -> Iterator[None]:
    """Have the tool do, whenever it opens a file, what it must not."""
    real = FileSource.__init__
    act = FAULTS[fault]

    def wrong(self: Any, *args: Any, **kwargs: Any) -> None:
        real(self, *args, **kwargs)
        act(str(args[0]), str(out))

    with mock.patch.object(FileSource, "__init__", wrong):
        yield


def _unpickle(_: str, __: str) -> None:
    pickle.loads(b"cposixpath\njoin\n(Va\nVb\ntR.")


def _import_a_module(_: str, __: str) -> None:
    import tabnanny

    assert tabnanny


def _in_a_thread(_: str, __: str) -> None:
    thread = threading.Thread(target=lambda: compile("1", "file", "eval"))
    thread.start()
    thread.join()


def _spawn(_: str, __: str) -> None:
    subprocess.run([sys.executable, "-c", "0"], check=True)


def _connect(_: str, __: str) -> None:
    with socket.socket() as one:
        one.settimeout(0.01)
        one.bind(("127.0.0.1", 0))


def _by_name(_: str, __: str) -> None:
    name = "".join(["o", "s"])
    __import__(name)  # one that is loaded already, so that no event tells


#: Faults by name: what the tool does with each file that it opens.
FAULTS: Dict[str, Callable[[str, str], object]] = {
    "unpickle": _unpickle,
    "import": _import_a_module,
    "import by name": _by_name,
    "import by name, of the library": lambda _, __: importlib.import_module("json"),
    "import by name, by parts": lambda _, __: importlib.__import__("json"),
    "evaluate": lambda _, __: eval(compile("1", "file", "eval")),  # noqa: S307
    "run code": lambda _, __: exec("1"),  # noqa: S102
    "in a thread": _in_a_thread,
    "start a program": _spawn,
    "open a socket": _connect,
    "write": lambda path, _: Path(f"{path}.written").write_text("x"),
    "write beside the results": lambda _, out: Path(f"{out}-more").write_text("x"),
    "remove": lambda path, _: Path(f"{path}.nothing").unlink(missing_ok=True),
    "read elsewhere": lambda _, __: (
        Path("/etc/hostname").exists() and Path("/etc/hostname").read_bytes()
    ),
}


if __name__ == "__main__":
    main(sys.argv[1])
