"""What ``--stats`` costs, beside the same command without it: ``python -m benchmarks.stats``.

Three kinds of input: the stand-in in float32, the same weights in bfloat16 as safetensors, and
100,000 tensors of eight elements; each verified and compared. Everything runs on a warm cache,
interleaved, medians of the repeats. ``docs/benchmarks.md`` holds the last table.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Sequence

from benchmarks import yardsticks
from benchmarks.measure import PYTHON, TOOL, Row, memory_row, ratio_row, side_by_side
from benchmarks.results import report

# More than this share of the time of the same command without it is a target that is missed.
_LIMIT = 1.1
_DIFFERENT = 1
_CANNOT_TELL = 2


def main() -> int:
    """Measure, print the table, and exit 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", nargs="?", default="data/mae_pretrain_vit_large.pth")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return report("stats", rows_in(options.checkpoint, Path(folder), options.repeats))


def rows_in(checkpoint: str, folder: Path, repeats: int) -> list[Row]:
    """Time whole processes, from start to exit."""
    subprocess.run([PYTHON, "-c", yardsticks.STATS_INPUTS, checkpoint, str(folder)], check=True)
    copy, noisy, narrow, many, others = (str(folder / name) for name in yardsticks.STATS_FILES)
    light = ["verify", "--no-forward"]
    commands: dict[str, Sequence[str]] = {
        "verify": ["verify", checkpoint],
        "verify --no-forward": [*light, checkpoint],
        "verify --no-forward of bfloat16": [*light, narrow],
        "verify --no-forward of 100,000 tensors": [*light, many],
        "diff, identical": ["diff", checkpoint, copy],
        "diff, all different": ["diff", checkpoint, noisy],
        "diff of 100,000 tensors": ["diff", many, others],
    }
    both: dict[str, Sequence[str]] = {
        name: [TOOL, *command]
        for plain, command in commands.items()
        for name, command in ((plain, command), (_with(plain), [*command, "--stats"]))
    }
    statuses = {name: _status(name) for name in both}
    runs = side_by_side(both, repeats, statuses=statuses)
    rows = [ratio_row(runs, _with(name), name, _LIMIT) for name in commands]
    rows += [
        memory_row(
            runs,
            _with(name),
            runs[name].peak_mb + more,
            f"{runs[name].peak_mb:.0f} MB without it + {more}",
        )
        for name, more in (
            ("verify --no-forward", 50),
            ("verify --no-forward of 100,000 tensors", 150),
            ("diff, all different", 50),
            ("diff of 100,000 tensors", 300),
        )
    ]
    return rows


def _with(name: str) -> str:
    return f"{name}, --stats"


def _status(name: str) -> int:
    if name.startswith("verify"):
        return _CANNOT_TELL if "100,000" in name else 0
    return 0 if "identical" in name else _DIFFERENT


if __name__ == "__main__":
    sys.exit(main())
