"""convert against what a user would run instead: ``python -m benchmarks.convert``.

Prints one Markdown table; ``docs/benchmarks.md`` holds the last one. The file is the stand-in
that ``make demo`` writes; everything runs on a warm cache, interleaved, medians of the repeats.
The copies lie in a folder beside the checkpoint, so that all of them go to the same disk.
"""

from __future__ import annotations

import argparse
import json
import os
import struct
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from benchmarks import yardsticks
from benchmarks.measure import PYTHON, TOOL, Row, memory_row, once, ratio_row, side_by_side
from benchmarks.results import report

NO_SYNC, SYNCED = "convert --no-sync", "convert"
HASHED = "convert --no-sync --fingerprint"
CP, CP_SYNC, SCRIPT = "cp", "cp, then sync", "torch.load + save_file"
LARGE = "convert --no-sync, 12 GB"
MANY, MANY_SCRIPT = f"{NO_SYNC}, 100,000 tensors", f"{SCRIPT}, 100,000 tensors"
LIMIT_MB = 80


def main() -> int:
    """Measure, print the table, and exit 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", nargs="?", default="data/mae_pretrain_vit_large.pth")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--no-large", action="store_true", help="leave the 12 GB file out")
    options = parser.parse_args()
    beside = Path(options.checkpoint).resolve().parent
    with tempfile.TemporaryDirectory(dir=beside) as folder:
        rows = whole_commands(options.checkpoint, Path(folder), options.repeats)
        rows.append(many_tensors(Path(folder), options.repeats))
        if not options.no_large:
            rows.append(large_file(Path(folder)))
    return report("convert", rows)


def whole_commands(checkpoint: str, folder: Path, repeats: int) -> list[Row]:
    """Time whole processes, from start to exit, each with nothing at its destination."""
    quick = side_by_side(
        {
            CP: ["cp", checkpoint, str(folder / "out")],
            NO_SYNC: convert(checkpoint, folder / "out", "--no-sync"),
            HASHED: convert(checkpoint, folder / "out", "--no-sync", "--fingerprint"),
            SCRIPT: [PYTHON, "-c", yardsticks.SAVE_FILE, checkpoint, str(folder / "out")],
        },
        repeats,
        partial(remove, folder / "out"),
    )
    synced = side_by_side(
        {
            CP_SYNC: ["sh", "-c", 'cp "$0" "$1" && sync "$1"', checkpoint, str(folder / "out")],
            SYNCED: convert(checkpoint, folder / "out"),
        },
        repeats,
        partial(remove, folder / "out"),
    )
    return [
        ratio_row(quick, NO_SYNC, CP, 1.6),
        ratio_row(quick, NO_SYNC, SCRIPT, 8.0, faster=True),
        ratio_row(synced, SYNCED, CP_SYNC, 1.2),
        ratio_row(quick, HASHED, CP, 3.0),
        memory_row(quick, NO_SYNC, LIMIT_MB, f"{SCRIPT}: {quick[SCRIPT].peak_mb:.0f} MB"),
    ]


def many_tensors(folder: Path, repeats: int) -> Row:
    """Convert a file whose tensors are tiny, so that what each of them costs is all there is."""
    source, packed = str(folder / "many.pth"), str(folder / "many.safetensors")
    written = [PYTHON, "-c", yardsticks.MANY_IN_BOTH, "100000", source, packed]
    subprocess.run(written, check=True)
    runs = side_by_side(
        {
            MANY: convert(source, folder / "out", "--no-sync"),
            MANY_SCRIPT: [PYTHON, "-c", yardsticks.SAVE_FILE, source, str(folder / "out")],
        },
        repeats,
        partial(remove, folder / "out"),
    )
    return ratio_row(runs, MANY, MANY_SCRIPT, 1.0)


def large_file(folder: Path) -> Row:
    """Convert a file ten times as large once, for its memory."""
    source, target = folder / "large.safetensors", folder / "large.out.safetensors"
    sparse_file(source, tensors=12, nbytes=10**9)
    try:
        _, peak = once(convert(str(source), target, "--no-sync"))
    finally:
        source.unlink()
        target.unlink(missing_ok=True)
    return Row(f"{LARGE}: peak memory", "-", f"{peak:.0f} MB", f"{LIMIT_MB} MB", peak <= LIMIT_MB)


def convert(checkpoint: str, target: Path, *options: str) -> list[str]:
    """Return the whole command, proof included."""
    fixed = ["convert", checkpoint, "--to", "safetensors", "-o", str(target)]
    return [TOOL, *fixed, *options]


def remove(path: Path) -> None:
    """Let the disk finish, so that it does not slow down the next run, and remove what was written.

    In this order: memory that was freed a while ago may have gone back to the host of a virtual
    machine, and to get it again takes longer than to copy into it.
    """
    os.sync()
    path.unlink(missing_ok=True)


def sparse_file(path: Path, tensors: int, nbytes: int) -> None:
    """Write a safetensors file of zeros that takes no room on the disk."""
    header = {
        f"layer.{n}": {
            "dtype": "U8",
            "shape": [nbytes],
            "data_offsets": [n * nbytes, (n + 1) * nbytes],
        }
        for n in range(tensors)
    }
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + tensors * nbytes)


if __name__ == "__main__":
    sys.exit(main())
