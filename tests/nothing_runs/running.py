"""The plan of a run: a process of its own takes files through the entries."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Dict, List, NamedTuple, Sequence

from tests.builders.repository import ROOT
from tests.nothing_runs.files import Watched, good
from tests.nothing_runs.started import Seen, run, wrong

#: Seconds after which a process is no longer waited for; all pairs take minutes.
_PATIENCE = 7200


class Told(NamedTuple):
    """What a process found: the forbidden events, and what of a tool with faults it saw."""

    events: List[List[str]]
    pairs: int
    entries: int
    modules: List[str]
    faults: Dict[str, List[str]]


def watched(
    folder: Path, files: Sequence[Watched], step: int = 1, start: int = 0, *, faults: bool = False
) -> Told:
    """Take each ``step``-th pair of a file and an entry, in a process of its own."""
    number = f"{step}-{start}"
    plan = {
        "files": files,
        "step": step,
        "start": start,
        "faults": faults,
        "out": str(folder / f"out-{number}"),
        "good": str(good(folder)),
        "sound": [one.path for one in files if one.kind == "sound"],
        # the package has its templates and rules, Python its modules for tracebacks
        "readable": [str(folder), str(ROOT), *_code()],
    }
    path = folder / f"plan-{number}.json"
    path.write_text(json.dumps(plan), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.nothing_runs.child", str(path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=_PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    return Told(**json.loads(done.stdout))


def _code() -> List[str]:
    return [sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"), "/usr/share/zoneinfo"]


# --- whole processes ---------------------------------------------------------------------

#: Commands that are run as whole processes, and the names of what they write.
COMMANDS: Dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "verify": (("verify", "--no-forward", "{path}"), ()),
    "inspect": (("inspect", "--stats", "{path}"), ()),
    "convert": (
        ("convert", "{path}", "--to", "safetensors", "-o", "{out}/a.safetensors"),
        ("a.safetensors",),
    ),
    "textconv": (("textconv", "{path}"), ()),
    "diff": (("diff", "{path}", "{path}", "--report", "html={out}/a.html"), ("a.html",)),
    "lock": (("lock", "--no-forward", "{path}", "-o", "{out}/a.lock"), ("a.lock",)),
    "prove": (("prove", "{path}", "--from", "{path}"), ()),
}


def of_process(command: str, path: str, out: Path) -> Seen:
    """Run one of the commands on a file, as a process."""
    words, _ = COMMANDS[command]
    return run([word.format(path=path, out=out) for word in words], out)


def sound(command: str, files: Sequence[Watched], out: Path) -> Seen:
    """Return what a command loads for sound files of every container."""
    seen = [of_process(command, one.path, out) for one in files if one.kind == "sound"]
    return seen[0]._replace(modules={module for one in seen for module in one.modules})


def wrong_in_process(command: str, file: Watched, out: Path, plain: Seen) -> List[str]:
    """Return what is wrong with a process that was given a hostile file."""
    _, writes = COMMANDS[command]
    named = {name.rpartition(".")[0] or name for name in file.names}
    seen = of_process(command, file.path, out)
    return wrong(seen, [str(out / name) for name in writes], sorted(named), plain)
