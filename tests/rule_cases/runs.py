"""Ways to run the tool on something built in a folder, each giving the findings."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Iterable, NamedTuple
from unittest import mock

from ckpttool.conversion.convert import convert_file, destinations
from ckpttool.conversion.options import ConvertOptions
from ckpttool.findings.finding import Finding
from ckpttool.verification.options import VerifyOptions
from ckpttool.verification.run import verify_file
from mae.config import CONFIGS
from tests.builders import checkpoints
from tests.builders.sizes import TINY

Run = Callable[[Path], Iterable[Finding]]
Build = Callable[[Path], object]


class Case(NamedTuple):
    """What makes a rule fire, and what is like it and leaves it quiet."""

    fires: Run
    quiet: Run


def verified(build: Build, **options: Any) -> Run:
    """Verify what ``build`` puts into the folder, against the tiny model."""

    def run(folder: Path) -> Iterable[Finding]:
        path = str(build(folder))
        with mock.patch.dict(CONFIGS, tiny=TINY):
            chosen = VerifyOptions(**{"model": "tiny", "forward": False, **options})
            return verify_file(path, chosen).findings

    return run


def saved(content: checkpoints.Content, **options: Any) -> Run:
    """Verify a file that torch.save writes."""
    return verified(lambda folder: checkpoints.saved(folder, content), **options)


def holding(data: bytes, **options: Any) -> Run:
    """Verify a file of these bytes."""
    return verified(lambda folder: written(folder, data), **options)


def written(folder: Path, data: bytes, name: str = "file") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def converted(content: checkpoints.Content, to: str = "safetensors", **options: Any) -> Run:
    """Convert a file that torch.save writes to ``out`` in the same folder."""

    def run(folder: Path) -> Iterable[Finding]:
        return convert(checkpoints.saved(folder, content), folder / f"out.{to}", to, **options)

    return run


def convert(
    source: str, output: Path, to: str = "safetensors", **options: Any
) -> tuple[Finding, ...]:
    """Convert one file and return the findings."""
    chosen = ConvertOptions(to, sync=False, output=str(output), **options)
    (destination,) = destinations([source], chosen)
    return convert_file(source, destination, chosen).file.findings


#: What most rules have nothing to say about.
SOUND = saved(checkpoints.sound)
