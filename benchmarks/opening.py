"""Opening files of many tensors, honest and hostile: ``python -m benchmarks.opening``.

Prints one Markdown table; ``docs/benchmarks.md`` holds the last one. Every row says what it is held
against; whole commands run from start to exit, and openings leave the imports out on both sides.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from functools import lru_cache
from pathlib import Path

from benchmarks import yardsticks
from benchmarks.measure import PYTHON, TOOL, Row, once
from benchmarks.results import report

#: Imports of torch that a whole command may take on a small file whose header claims 100,000
#: ranges, or of 60,000 tensors ...
FEW = 2.0
#: ... and on a million names, with the megabytes that the process may take.
MILLION, MILLION_MB = 20.0, 1_500


def main() -> int:
    """Measure, print the table, and exit 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            *against_the_libraries(Path(folder), options.repeats),
            *inspecting(Path(folder), options.repeats),
            *a_million(Path(folder)),
            *hostile(Path(folder), options.repeats),
        ]
    return report("opening", rows)


def against_the_libraries(folder: Path, repeats: int) -> list[Row]:
    """Open 100,000 small tensors of either container, as the container's own library does."""
    pth, packed = _many(folder, 100_000)
    return [
        _opening(pth, yardsticks.TORCH_OPEN, "torch.load(weights_only, mmap)", repeats),
        _opening(packed, yardsticks.SAFE_OPEN, "safetensors.safe_open, dtypes and shapes", repeats),
    ]


def _opening(path: Path, script: str, yardstick: str, repeats: int) -> Row:
    ours, theirs = [], []
    for _ in range(max(repeats // 2, 1)):
        ours.append(_printed_seconds(yardsticks.OUR_OPEN, path))
        theirs.append(_printed_seconds(script, path))
    mine, yard = statistics.median(ours), statistics.median(theirs)
    return Row(
        f"opening 100,000 tensors{path.suffix}",
        yardstick,
        f"{mine / yard:.2f} x ({mine:.2f} s)",
        "at most 1 x",
        mine <= yard,
    )


def inspecting(folder: Path, repeats: int) -> list[Row]:
    """List 60,000 tensors by whole commands, in both forms of the report."""
    pth, packed = _many(folder, 60_000)
    return [
        _command_row(
            f"inspect of 60,000 tensors{path.suffix}{' as JSON' if options else ''}",
            [TOOL, "inspect", *options, str(path)],
            repeats,
            FEW,
        )
        for path in (pth, packed)
        for options in ((), ("--format", "json"))
    ]


def a_million(folder: Path) -> list[Row]:
    """Inspect a million names as a whole command, once: seconds and peak memory."""
    rows = []
    for path in _many(folder, 1_000_000):
        seconds, peak = once([TOOL, "inspect", str(path)])
        what = f"inspect of 1,000,000 tensors{path.suffix}"
        small = peak <= MILLION_MB
        rows += [
            _against_torch(what, seconds, MILLION),
            Row(f"{what}: peak memory", "-", f"{peak:.0f} MB", f"{MILLION_MB} MB", small),
        ]
        path.unlink()
    return rows


def hostile(folder: Path, repeats: int) -> list[Row]:
    """Refuse a header of 7.5 MB whose 100,000 entries claim the same bytes, by every command."""
    path = folder / "hostile.safetensors"
    subprocess.run([PYTHON, "-c", yardsticks.HOSTILE_HEADER, str(path)], check=True)
    output = str(folder / "output")
    commands = {
        "inspect": ([str(path)], 1),
        "verify --no-forward": ([str(path)], 1),
        "diff": ([str(path), str(path)], 2),
        "convert --to pth": ([str(path), "-o", output], 1),
        "lock": ([str(path), "-o", output], 1),
    }
    return [
        _command_row(
            f"{name} of a hostile header",
            [TOOL, *name.split(), *words],
            repeats,
            FEW,
            status,
        )
        for name, (words, status) in commands.items()
    ]


def _command_row(what: str, command: list[str], repeats: int, limit: float, status: int = 0) -> Row:
    once(command, status)
    taken = statistics.median(once(command, status)[0] for _ in range(max(repeats // 2, 1)))
    return _against_torch(what, taken, limit)


def _against_torch(what: str, seconds: float, limit: float) -> Row:
    """Hold a whole command against what nearly every script begins with."""
    ratio = seconds / _import_torch()
    figure = f"{ratio:.2f} x ({seconds:.2f} s)"
    return Row(what, "import torch", figure, f"at most {limit:g} x", ratio <= limit)


@lru_cache(maxsize=1)
def _import_torch() -> float:
    command = [PYTHON, "-c", yardsticks.IMPORT_TORCH]
    return statistics.median(once(command)[0] for _ in range(5))


def _many(folder: Path, number: int) -> tuple[Path, Path]:
    """Write many tensors of four floats in both containers."""
    pth, packed = folder / f"many-{number}.pth", folder / f"many-{number}.safetensors"
    script = yardsticks.MANY_IN_BOTH
    subprocess.run([PYTHON, "-c", script, str(number), str(pth), str(packed)], check=True)
    return pth, packed


def _printed_seconds(script: str, path: Path) -> float:
    done = subprocess.run([PYTHON, "-c", script, str(path)], check=True, capture_output=True)
    return float(done.stdout)


if __name__ == "__main__":
    sys.exit(main())
