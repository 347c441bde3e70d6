"""Quantized weights against a script with torch: ``python -m benchmarks.quantized``.

The file is fine-grained fp8 of 300 MB, written here: codes, and a scale for each block of
128 x 128. Everything runs on a warm cache, interleaved, medians of the repeats.
``docs/benchmarks.md`` holds the last table.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from benchmarks import yardsticks
from benchmarks.convert import remove
from benchmarks.measure import PYTHON, TOOL, Row, memory_row, ratio_row, side_by_side
from benchmarks.results import report

DEQUANTISE, SCRIPT = "convert --no-sync --dequantise bfloat16", "a script with torch"
BACK, FORTH, DIFF = "prove: dequantised", "prove: quantised", "diff of two decoded files"
LIMIT_MB, MOST_MB = 120, 150


def main() -> int:
    """Measure, print the table, and exit 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", default=None, help="where to write; a temporary folder else")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        return report("quantized", rows_in(Path(folder), options.repeats))


def rows_in(folder: Path, repeats: int) -> list[Row]:
    """Time whole processes, from start to exit, each with nothing at its destination."""
    source, before, out = folder / "fp8.safetensors", folder / "bf16.safetensors", folder / "out"
    plain = folder / "plain.safetensors"
    write = [PYTHON, "-c", yardsticks.FP8_IN_BLOCKS, str(source), str(before)]
    subprocess.run(write, check=True)
    to = [TOOL, "convert", "--to", "safetensors", "--no-sync"]
    decode = [*to, "--dequantise", "bfloat16", str(source), "-o"]
    subprocess.run([*decode, str(plain)], check=True, stdout=subprocess.DEVNULL)
    runs = side_by_side(
        {
            DEQUANTISE: [*decode, str(out)],
            SCRIPT: [PYTHON, "-c", yardsticks.DEQUANTISE, str(source), str(out)],
        },
        repeats,
        partial(remove, out),
    )
    proofs = side_by_side(
        {
            BACK: [TOOL, "prove", str(plain), "--from", str(source)],
            FORTH: [TOOL, "prove", str(source), "--from", str(before)],
            DIFF: [TOOL, "diff", str(plain), str(before)],
        },
        repeats,
        statuses={DIFF: 1},
    )
    script = f"{SCRIPT}: {runs[SCRIPT].peak_mb:.0f} MB"
    return [
        ratio_row(runs, DEQUANTISE, SCRIPT, 1.0),
        memory_row(runs, DEQUANTISE, LIMIT_MB, script),
        ratio_row(proofs, BACK, DIFF, 2.0),
        ratio_row(proofs, FORTH, DIFF, 3.0),
        memory_row(proofs, BACK, MOST_MB, f"{DIFF}: {proofs[DIFF].peak_mb:.0f} MB"),
        memory_row(proofs, FORTH, MOST_MB, f"{DIFF}: {proofs[DIFF].peak_mb:.0f} MB"),
    ]


if __name__ == "__main__":
    sys.exit(main())
