"""The attacks of the corpus are real: each runs its payload when torch.load reads the file."""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.metadata
import json
import os
import pickle
import resource
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

import pytest

from tests.builders.attacks import ATTACKS, Attack
from tests.builders.repository import ROOT

# What the table was tried on; other versions move the modules that it names.
_TRIED = sys.version_info[:2] == (3, 11) and importlib.metadata.version("torch")[:5] == "2.13."
_SECONDS, _AT_ONCE = 10, 4
#: What many attacks import: once here rather than in each fork.
_SHARED = "fsspec jinja2 networkx numpy.testing sympy torch._inductor.cpp_builder torch._dynamo"

#: The child's whole program.
_PROGRAM = "from tests.ckpttool.formats.safety.test_attacks_fire import fire_all; fire_all()"


def test_names_are_unique() -> None:
    every = [attack.what for attack in ATTACKS]
    assert sorted(set(every)) == sorted(every)


@pytest.mark.fires
@pytest.mark.skipif(not _TRIED, reason="the attacks are those of Python 3.11 and torch 2.13")
def test_every_attack_fires(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _PROGRAM, str(tmp_path)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        check=True,
        timeout=300,
    )
    said = json.loads((tmp_path / "said.json").read_text())
    silent = {what: words for what, words in said.items() if words is not None}
    assert len(said) == sum(attack.fires is None for attack in ATTACKS)
    assert not silent, "these did not act:\n" + "\n".join(map(" - ".join, silent.items()))


def fire_all() -> None:
    """Load every file in a fork of this process and write down which of them acted.

    ``said.json`` holds null for what acted and else what the load said.
    """
    import torch  # noqa: F401 (before the forks, which then share it)

    for name in _SHARED.split():
        importlib.import_module(name)
    gc.freeze()  # a fork that collects would copy every page of what is shared
    base = Path(sys.argv[1])
    waiting = [attack for attack in ATTACKS if attack.fires is None]
    every = {attack.what: base / attack.what for attack in waiting}
    running: set[int] = set()
    groups = []
    while waiting or running:
        if waiting and len(running) < _AT_ONCE:
            running.add(_fork(waiting[0], every[waiting.pop(0).what]))
            continue
        ended, _ = os.wait()
        running.discard(ended)
        groups.append(ended)
    said = _outcome(every)
    for group in groups:  # what an attack started and left behind
        with contextlib.suppress(OSError):
            os.killpg(group, signal.SIGKILL)
    (base / "said.json").write_text(json.dumps(said))


def _fork(attack: Attack, folder: Path) -> int:
    folder.mkdir()
    child = os.fork()
    if child:
        return child
    try:
        _confine(folder)
        _load(attack, folder)
    except BaseException:  # noqa: BLE001 (an attack may raise anything once it acted)
        with contextlib.suppress(BaseException):
            (folder / "said").write_text(traceback.format_exc(limit=0))
    # what the traceback held is finalized now, as it would be where the load's caller goes on
    with contextlib.suppress(BaseException):
        gc.collect()
        _wait_for_threads(folder)
    os._exit(0)


def _confine(folder: Path) -> None:
    """A session of its own, in the folder, silent, and not for long."""
    os.setsid()
    os.chdir(folder)
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    signal.alarm(_SECONDS)
    for limit, most in (
        (resource.RLIMIT_CPU, _SECONDS),
        (resource.RLIMIT_FSIZE, 1 << 26),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (most, most))


def _load(attack: Attack, folder: Path) -> None:
    import torch

    file = Path(attack.what + attack.suffix)  # some attacks name their own file, in this folder
    file.write_bytes(attack.data(str(folder / "marker")))
    if attack.suffix == ".pkl":
        with file.open("rb") as stream:
            pickle.load(stream)
    else:
        torch.load(file, weights_only=False)


def _wait_for_threads(folder: Path) -> None:
    """A moment for the thread that an attack may have started, which ends with the process."""
    for _ in range(10):
        if list(folder.glob("marker*")):
            return
        time.sleep(0.02)


def _outcome(every: dict[str, Path]) -> dict[str, str | None]:
    """What acted and what did not, after a moment for processes that were only started."""
    silent = set(every)
    deadline = time.monotonic() + 3
    while silent and time.monotonic() < deadline:
        silent = {what for what in silent if not list(every[what].glob("marker*"))}
        time.sleep(0.05)
    return {what: _words(folder) if what in silent else None for what, folder in every.items()}


def _words(folder: Path) -> str:
    said = folder / "said"
    return said.read_text().strip() if said.exists() else "it loaded, or was ended"
