"""Another checkpoint as what a file is held against: ``python -m benchmarks.against``.

``verify --against`` reads both files of 1.2 GB, and does all that ``verify`` does, against ``diff``
of the same pair; torch is loaded by neither. Then the header of a checkpoint in 1,000 shards is
taken for a schema. Prints one Markdown table; ``docs/benchmarks.md`` holds the last one.
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

#: The exit status where files differ, of diff as of verify.
DIFFERENT = 1
DIFF_SAME, DIFF_BLOCK, DIFF_NOISE = (
    "diff, identical",
    "diff, one block of 24",
    "diff, all different",
)
SAME, BLOCK, NOISE = (
    "verify --against, identical",
    "verify --against, one block of 24",
    "verify --against, all different",
)
TUNED = "verify --against --must-change, all different"
#: Seconds and megabytes that the schema of 1,000 shards may take.
SECONDS, MEGABYTES = 3.0, 300
SHARDS, NAMES = 1_000, 100_000


def main() -> int:
    """Measure, print the table, and exit 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", nargs="?", default="data/mae_pretrain_vit_large.pth")
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            *held(options.checkpoint, Path(folder), options.repeats),
            *schema_of_shards(Path(folder), options.repeats),
        ]
    return report("against", rows)


def held(checkpoint: str, folder: Path, repeats: int) -> list[Row]:
    """Time whole processes, from start to exit."""
    copy, packed, noisy = (
        str(folder / name) for name in ("copy.pth", "packed.safetensors", "noisy.pth")
    )
    made = [PYTHON, "-c", yardsticks.DIFF_INPUTS, checkpoint, copy, packed, noisy]
    subprocess.run(made, check=True)
    Path(packed).unlink()
    block = str(folder / "block.pth")
    subprocess.run(
        [PYTHON, "-c", yardsticks.DIFF_KINDS, checkpoint, str(folder), "block"], check=True
    )
    commands: dict[str, Sequence[str]] = {
        DIFF_SAME: [TOOL, "diff", checkpoint, copy],
        DIFF_BLOCK: [TOOL, "diff", checkpoint, block],
        DIFF_NOISE: [TOOL, "diff", checkpoint, noisy],
        SAME: _verify(copy, checkpoint),
        BLOCK: _verify(block, checkpoint),
        NOISE: _verify(noisy, checkpoint),
        TUNED: _verify(noisy, checkpoint, "--must-change", "*"),
    }
    # with noise the position table is none that MAE has, which fails even where all may change
    different = dict.fromkeys((DIFF_BLOCK, DIFF_NOISE, BLOCK, NOISE, TUNED), DIFFERENT)
    runs = side_by_side(commands, repeats, statuses=different)
    return [
        ratio_row(runs, SAME, DIFF_SAME, 1.3),
        ratio_row(runs, BLOCK, DIFF_BLOCK, 1.3),
        ratio_row(runs, NOISE, DIFF_NOISE, 1.3),
        ratio_row(runs, TUNED, DIFF_NOISE, 1.3),
        memory_row(runs, SAME, 150, "whatever the files' size"),
        memory_row(runs, NOISE, 150, "whatever the files' size"),
    ]


def _verify(path: str, other: str, *options: str) -> list[str]:
    return [TOOL, "verify", "--no-forward", path, "--against", other, *options]


def schema_of_shards(folder: Path, repeats: int) -> list[Row]:
    """Take the headers of many shards for a schema, and write it."""
    made = [PYTHON, "-c", yardsticks.MANY_SHARDS, str(folder), str(SHARDS), str(NAMES)]
    subprocess.run(made, check=True)
    index, written = folder / "model.safetensors.index.json", str(folder / "schema.json")
    what = f"schema of {SHARDS:,} shards with {NAMES:,} names"
    runs = side_by_side({what: [TOOL, "schema", str(index), "-o", written]}, max(repeats // 2, 1))
    seconds = runs[what].seconds
    return [
        Row(what, "-", f"{seconds:.2f} s", f"{SECONDS:g} s", seconds <= SECONDS),
        memory_row(runs, what, MEGABYTES, "-"),
    ]


if __name__ == "__main__":
    sys.exit(main())
