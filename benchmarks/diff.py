"""diff against cmp and against a torch script: ``python -m benchmarks.diff``.

Both files are made of the stand-in: the same weights as safetensors, and the same weights with
noise on every element. Everything runs on a warm cache, interleaved, medians of the repeats.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import yardsticks
from benchmarks.measure import PYTHON, Row, memory_row, ratio_row, side_by_side, table

CMP, TORCH = "cmp", "torch.load(mmap), 3 reductions"
SAME, PACKED, NOISE = "diff, identical", "diff, .pth and .safetensors", "diff, all different"


def main() -> int:
    """Measure, print the table, and exit 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", nargs="?", default="data/mae_pretrain_vit_large.pth")
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        copy, packed, noisy = (
            str(Path(folder) / name) for name in ("copy.pth", "packed.safetensors", "noisy.pth")
        )
        made = [PYTHON, "-c", yardsticks.DIFF_INPUTS, options.checkpoint, copy, packed, noisy]
        subprocess.run(made, check=True)
        rows = compare(options.checkpoint, (copy, packed, noisy), options.repeats)
    print(table(rows))
    return 0 if all(row.met for row in rows) else 1


def compare(checkpoint: str, others: tuple[str, str, str], repeats: int) -> list[Row]:
    """Time whole processes, from start to exit."""
    copy, packed, noisy = others
    tool = str(Path(PYTHON).with_name("ckpttool"))
    runs = side_by_side(
        {
            CMP: ["cmp", checkpoint, copy],
            SAME: [tool, "diff", checkpoint, copy],
            PACKED: [tool, "diff", checkpoint, packed],
            # exit status 1, different, is what is wanted there
            NOISE: ["sh", "-c", '"$@"; test $? = 1', "sh", tool, "diff", checkpoint, noisy],
            TORCH: [PYTHON, "-c", yardsticks.TORCH_DIFF, checkpoint, noisy],
        },
        repeats,
    )
    return [
        ratio_row(runs, SAME, CMP, 1.5),
        ratio_row(runs, PACKED, CMP, 1.5),
        ratio_row(runs, NOISE, CMP, 1.8),
        ratio_row(runs, NOISE, TORCH, 4.0, faster=True),
        memory_row(runs, SAME, 150, "whatever the files' size"),
        memory_row(runs, NOISE, 150, "whatever the files' size"),
    ]


if __name__ == "__main__":
    sys.exit(main())
