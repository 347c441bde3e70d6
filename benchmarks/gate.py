"""What the gate costs on top of a verify: ``python -m benchmarks.gate``.

A lock file is compared with and four reports are written, everything on. A lock file needs the
SHA-256 of every tensor, so it is measured against ``verify --fingerprint``, which computes them
too; ``benchmarks.verify`` has a row for what they cost. Prints one Markdown table;
``docs/benchmarks.md`` holds the last one.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import TOOL, Row, ratio_row, side_by_side
from benchmarks.results import report

GATE, PLAIN = "verify --lock with four reports", "verify --fingerprint"
REPORTS = {"json": "result.json", "sarif": "result.sarif", "junit": "junit.xml", "markdown": "x.md"}


def main() -> int:
    """Measure, print the table, and exit 1 if the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", nargs="?", default="data/mae_pretrain_vit_large.pth")
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    rows = [gate(options.checkpoint, options.repeats)]
    return report("gate", rows)


def gate(checkpoint: str, repeats: int) -> Row:
    """Time whole processes, with the gate and without it."""
    with tempfile.TemporaryDirectory() as folder:
        lock = str(Path(folder) / "ckpttool.lock")
        subprocess.run([TOOL, "lock", checkpoint, "-o", lock], check=True, capture_output=True)
        reports = [f"--report={name}={Path(folder) / path}" for name, path in REPORTS.items()]
        runs = side_by_side(
            {
                PLAIN: [TOOL, "verify", "--fingerprint", checkpoint],
                GATE: [TOOL, "verify", checkpoint, "--lock", lock, *reports],
            },
            repeats,
        )
    return ratio_row(runs, GATE, PLAIN, 1.15)


if __name__ == "__main__":
    sys.exit(main())
