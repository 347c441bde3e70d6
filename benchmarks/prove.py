"""prove against diff of the same pair: ``python -m benchmarks.prove``.

A is the stand-in, and its bfloat16; B has an adapter merged into every matrix, in float32 or within
bfloat16. What proves is to take not much longer than what compares, in as little memory. Everything
runs on a warm cache, interleaved, medians of the repeats.
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

# The exit status of diff where files differ.
DIFFERENT = 1
#: What was merged how, by the name of its folder: A's type, and the type of what is added.
KINDS = {
    "single": "prove, an adapter merged in float32",
    "half": "prove, an adapter merged into bfloat16",
    "rounded": "prove, an adapter merged within bfloat16",
}
SAME, CAST, DIFF = "prove, identical", "prove, cast to bfloat16", "diff of the pair"
RECEIPT = "prove, identical, with a receipt"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, and exit 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", nargs="?", default="data/mae_pretrain_vit_large.pth")
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args(arguments)
    rows: list[Row] = []
    for kind in KINDS:
        with tempfile.TemporaryDirectory() as folder:
            made = [PYTHON, "-c", yardsticks.PROVE_INPUTS, options.checkpoint, folder, kind]
            subprocess.run(made, check=True)
            rows += merged(Path(folder), KINDS[kind], options.repeats)
    with tempfile.TemporaryDirectory() as folder:
        rows += others(options.checkpoint, Path(folder), options.repeats)
    return report("prove", rows)


def merged(folder: Path, name: str, repeats: int) -> list[Row]:
    """Time the proof of a merge, and diff of the same pair."""
    before, after, adapter = (str(folder / one) for one in ("a.safetensors", "b.safetensors", ""))
    runs = side_by_side(
        {
            DIFF: [TOOL, "diff", before, after],
            name: [TOOL, "prove", after, "--from", before, "--adapter", adapter],
        },
        repeats,
        statuses={DIFF: DIFFERENT},
    )
    return [
        ratio_row(runs, name, DIFF, 3.0),
        memory_row(runs, name, 250, "whatever the files' size"),
    ]


def others(checkpoint: str, folder: Path, repeats: int) -> list[Row]:
    """Time proofs without an adapter."""
    copy, cast, receipt = (str(folder / one) for one in ("copy.pth", "cast.pth", "receipt.json"))
    for path, options in ((copy, []), (cast, ["--dtype", "bfloat16"])):
        command = [TOOL, "convert", checkpoint, "--to", "pth", "-o", path, "--no-sync", *options]
        subprocess.run(command, check=True, capture_output=True)
    proof = [TOOL, "prove", copy, "--from", checkpoint]
    runs = side_by_side(
        {
            DIFF: [TOOL, "diff", checkpoint, copy],
            SAME: proof,
            RECEIPT: [*proof, "--receipt", receipt],
            CAST: [TOOL, "prove", cast, "--from", checkpoint],
        },
        repeats,
    )
    return [
        ratio_row(runs, SAME, DIFF, 1.3),
        ratio_row(runs, RECEIPT, SAME, 12.0),
        ratio_row(runs, CAST, DIFF, 3.0),
        memory_row(runs, CAST, 150, "whatever the files' size"),
    ]


if __name__ == "__main__":
    sys.exit(main())
