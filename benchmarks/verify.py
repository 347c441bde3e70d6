"""verify and inspect against what a user would run instead: ``python -m benchmarks.verify``.

Prints one Markdown table; ``docs/benchmarks.md`` holds the last one. The file is the stand-in
that ``make demo`` writes; everything runs on a warm cache, interleaved, medians of the repeats.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks import yardsticks
from benchmarks.measure import PYTHON, TOOL, Row, memory_row, ratio_row, side_by_side
from benchmarks.results import report

VERIFY, NO_FORWARD, SUMS = "verify", "verify --no-forward", "verify --fingerprint"
INSPECT, HELP = "inspect", "--help"
TORCH, PLAIN = "import torch", "plain script"
CLICK, RICH = "import click", "import click, rich.table"


def main() -> int:
    """Measure, print the table, and exit 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", nargs="?", default="data/mae_pretrain_vit_large.pth")
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    rows = whole_commands(options.checkpoint, options.repeats)
    return report("verify", rows)


def whole_commands(checkpoint: str, repeats: int) -> list[Row]:
    """Time whole processes, from start to exit."""
    light = side_by_side(
        {
            CLICK: [PYTHON, "-c", yardsticks.IMPORT_CLICK],
            HELP: [TOOL, "--help"],
            RICH: [PYTHON, "-c", yardsticks.IMPORT_CLICK_RICH],
            INSPECT: [TOOL, "inspect", checkpoint],
        },
        3 * repeats,
    )
    heavy = side_by_side(
        {
            TORCH: [PYTHON, "-c", yardsticks.IMPORT_TORCH],
            VERIFY: [TOOL, "verify", checkpoint],
            NO_FORWARD: [TOOL, "verify", "--no-forward", checkpoint],
            SUMS: [TOOL, "verify", "--fingerprint", checkpoint],
            PLAIN: [PYTHON, "-c", yardsticks.PLAIN_SCRIPT, checkpoint],
        },
        repeats,
    )
    file_mb = Path(checkpoint).stat().st_size / 1e6
    return [
        ratio_row(heavy, VERIFY, TORCH, 1.5),
        ratio_row(heavy, VERIFY, PLAIN, 4.0, faster=True),
        ratio_row(heavy, NO_FORWARD, TORCH, 0.6),
        ratio_row(heavy, SUMS, TORCH, 2.0),
        ratio_row(light, INSPECT, RICH, 2.5),
        ratio_row(light, HELP, CLICK, 2.0),
        memory_row(heavy, VERIFY, file_mb + 450, f"the file's {file_mb:.0f} MB + 450"),
        memory_row(heavy, NO_FORWARD, 60, "whatever the file's size"),
        memory_row(light, INSPECT, 60, "whatever the file's size"),
    ]


if __name__ == "__main__":
    sys.exit(main())
