"""Reading hostile files starts nothing: no code, import, process, socket or file to write."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, Callable

from tests.builders import safetensors, torch_files, zips
from tests.builders.attacks import ATTACKS
from tests.builders.repository import ROOT

_PROGRAM = "from tests.ckpttool.formats.safety.test_nothing_runs import watch_all; watch_all()"

#: Events of the interpreter that a reader of files has no use for.
_FORBIDDEN = (
    "compile exec os.exec os.fork os.forkpty os.posix_spawn os.spawn os.startfile os.system "
    "os.mkdir os.remove os.rename os.rmdir os.symlink os.link os.chmod os.putenv pty.spawn "
    "shutil. socket. subprocess.Popen webbrowser.open ctypes. code.__new__ import marshal. "
    "pickle.find_class sqlite3. urllib. ftplib. smtplib. tempfile."
).split()


def test_nothing_runs_while_hostile_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _PROGRAM, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["events"] == []
    assert said["read"] > 500
    # the hook sees what it looks for; since Python 3.13 subprocess spawns where it can
    expected = {"compile", "exec", "import", "open", "subprocess.Popen"}
    assert set(said["seen"]) - {"os.posix_spawn"} == expected


def watch_all() -> None:
    """Read every file of the tests through every entry point, under a hook on all events."""
    folder = Path(sys.argv[1])
    files = _write(folder / "files")
    entries = _entry_points()
    "".encode("raw-unicode-escape")  # a codec's module is imported when it is first used
    import_module("mae.large.pos_embed")  # and this one when a file has a position table
    for entry in entries:  # once without the hook: what they import, they import now
        for path in files[:3]:
            entry(path)
    events: list[str] = []
    watching = [True]

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if watching[0] and _is_forbidden(event, args):
            events.append(f"{event} {str(args)[:200]}")

    sys.addaudithook(hook)
    for path in files:
        for entry in entries:
            entry(path)
    found = list(events)
    events.clear()
    _act(folder)
    seen = sorted({event.split()[0] for event in events})
    watching[0] = False
    print(json.dumps({"events": found[:20], "read": len(files), "seen": seen}))  # noqa: T201


def _act(folder: Path) -> None:
    """Do what the hook is to see."""
    exec(compile("1", "x", "exec"))  # noqa: S102
    try:
        __import__("nowhere_at_all")
    except ImportError:
        (folder / "written").write_text("x")
    subprocess.run([sys.executable, "-c", "0"], check=True)


def _is_forbidden(event: str, args: tuple[Any, ...]) -> bool:
    if event == "open":
        mode, flags = args[1], args[2]
        writes = isinstance(mode, str) and any(letter in mode for letter in "wax+")
        return writes or bool((flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    if event == "import":
        return args[0] not in sys.modules
    if event == "compile":  # a tree alone, which nothing can run, is not forbidden
        caller = sys._getframe(2).f_code  # of the event, above the hook
        return caller is not ast.parse.__code__
    return any(event == one or (one.endswith(".") and event.startswith(one)) for one in _FORBIDDEN)


def _entry_points() -> list[Callable[[str], object]]:
    from ckpttool.comparison.diff import DiffOptions, diff_files
    from ckpttool.comparison.textconv import lines_or_reason
    from ckpttool.conversion.convert import convert_file
    from ckpttool.conversion.options import ConvertOptions
    from ckpttool.inspection.listing import inspect
    from ckpttool.proof.prove import ProveOptions, prove_files
    from ckpttool.verification.options import VerifyOptions
    from ckpttool.verification.run import verify_file

    dry = ConvertOptions(to="safetensors", dry_run=True)
    return [
        inspect,
        lambda path: verify_file(path, VerifyOptions(forward=False, workers=1)),
        lambda path: convert_file(path, f"{path}.safetensors", dry),
        lambda path: diff_files((path, path), DiffOptions(workers=1)),
        lambda path: prove_files(path, path, ProveOptions(workers=1)),
        lines_or_reason,
    ]


def _write(folder: Path) -> list[str]:
    good = {"good.pth": torch_files.torch_zip(), "good.safetensors": safetensors.file()}
    good["legacy.pth"] = torch_files.torch_legacy()
    hostile = {f"{one.what}{one.suffix}": one.data(str(folder / "marker")) for one in ATTACKS}
    bad = {f"{name}.zip.pth": make() for name, (make, _) in zips.DEFECTS.items()}
    bad.update({f"{name}.safetensors": make() for name, (make, _) in safetensors.DEFECTS.items()})
    paths = []
    for name, data in {**good, **hostile, **bad}.items():
        path = folder / name.replace("/", "_")
        path.write_bytes(data)
        paths.append(str(path))
    return paths
