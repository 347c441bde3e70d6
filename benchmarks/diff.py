"""diff against cmp and against a torch script: ``python -m benchmarks.diff``.

Both files are made of the stand-in: the same weights as safetensors, and the same weights with
noise on every element. Then come other kinds of change, a few files at a time, each beside noise,
and 100,000 tensors of four elements. Everything runs on a warm cache, interleaved, medians of the
repeats. ``--kinds`` measures tolerances and narrow floats against the plain comparison instead.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Sequence

from benchmarks import yardsticks
from benchmarks.measure import (
    PYTHON,
    TOOL,
    Row,
    memory_row,
    ratio_row,
    side_by_side,
)
from benchmarks.results import report

# The exit status of diff where files differ.
DIFFERENT = 1
CMP, TORCH = "cmp", "torch.load(mmap), 3 reductions"
SAME, PACKED, NOISE = "diff, identical", "diff, .pth and .safetensors", "diff, all different"
ACROSS = "diff, all different, across layouts"
# With the statistics that take the most memory, and as many threads as there are unasked.
MANY = "diff, all different, 6 workers"
# What each kind of change does, by its name in yardsticks.DIFF_KINDS.
CHANGES = {
    "moved": "every element moved by the same amount",
    "step": "one step up or down, as of Lion or signSGD",
    "neighbour": "the next number up or down",
    "decay": "weight decay, times 0.999",
    "some": "1 % of the elements",
    "block": "one block of 24",
    "negated": "negated",
    "zero": "became zero",
    "twice": "times 2",
    "bfloat16": "rounded to bfloat16",
    "nan": "noise, and a NaN in each tensor",
    "infinity": "noise, and an infinity in each tensor",
    "tiny": "times 1e-25",
    "huge": "times 1e25",
}
# How many files of a kind lie on the disk at once, of 1.2 GB each.
_AT_ONCE = 3
TINY, TINY_TORCH = "diff, 100,000 tensors that differ", "torch.load, 3 reductions a tensor"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, and exit 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", nargs="?", default="data/mae_pretrain_vit_large.pth")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--kinds", action="store_true", help="tolerances and narrow floats")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        copy, packed, noisy = (
            str(Path(folder) / name) for name in ("copy.pth", "packed.safetensors", "noisy.pth")
        )
        made = [PYTHON, "-c", yardsticks.DIFF_INPUTS, options.checkpoint, copy, packed, noisy]
        subprocess.run(made, check=True)
        if options.kinds:
            rows = kinds(options.checkpoint, noisy, Path(folder), options.repeats)
        else:
            renamed = str(Path(folder) / "renamed.pth")
            made = [TOOL, "convert", noisy, "--to", "pth", "--layout", "hf", "-o", renamed]
            subprocess.run([*made, "--no-sync"], check=True, capture_output=True)
            rows = compare(options.checkpoint, (copy, packed, noisy, renamed), options.repeats)
            for path in (packed, renamed):
                Path(path).unlink()
            rows += changes(options.checkpoint, (copy, noisy), Path(folder), options.repeats)
            rows += many(Path(folder), options.repeats)
    return report("diff of further kinds" if options.kinds else "diff", rows)


def compare(checkpoint: str, others: tuple[str, str, str, str], repeats: int) -> list[Row]:
    """Time whole processes, from start to exit."""
    copy, packed, noisy, renamed = others
    runs = side_by_side(
        {
            CMP: ["cmp", checkpoint, copy],
            SAME: [TOOL, "diff", checkpoint, copy],
            PACKED: [TOOL, "diff", checkpoint, packed],
            NOISE: [TOOL, "diff", checkpoint, noisy],
            ACROSS: [TOOL, "diff", checkpoint, renamed],
            MANY: [TOOL, "diff", checkpoint, noisy, "--rtol", "1e-4", "--workers", "6"],
            TORCH: [PYTHON, "-c", yardsticks.TORCH_DIFF, checkpoint, noisy],
        },
        repeats,
        statuses={NOISE: DIFFERENT, ACROSS: DIFFERENT, MANY: DIFFERENT},
    )
    return [
        ratio_row(runs, SAME, CMP, 1.2),
        ratio_row(runs, PACKED, CMP, 1.2),
        ratio_row(runs, NOISE, CMP, 2.0),
        ratio_row(runs, NOISE, TORCH, 4.0, faster=True),
        ratio_row(runs, ACROSS, NOISE, 1.2),
        memory_row(runs, SAME, 150, "whatever the files' size"),
        memory_row(runs, NOISE, 150, "whatever the files' size"),
        memory_row(runs, MANY, 150, "whatever the files' size"),
    ]


def changes(checkpoint: str, others: tuple[str, str], folder: Path, repeats: int) -> list[Row]:
    """Time every other kind of change beside noise, cmp and the script."""
    copy, noisy = others
    names, rows = list(CHANGES), []
    for start in range(0, len(names), _AT_ONCE):
        part = names[start : start + _AT_ONCE]
        made = [PYTHON, "-c", yardsticks.DIFF_KINDS, checkpoint, str(folder), *part]
        subprocess.run(made, check=True)
        commands: dict[str, Sequence[str]] = {
            CMP: ["cmp", checkpoint, copy],
            NOISE: [TOOL, "diff", checkpoint, noisy],
            TORCH: [PYTHON, "-c", yardsticks.TORCH_DIFF, checkpoint, noisy],
        }
        for name in part:
            commands[CHANGES[name]] = [TOOL, "diff", checkpoint, str(folder / f"{name}.pth")]
        different = dict.fromkeys((NOISE, *(CHANGES[name] for name in part)), DIFFERENT)
        runs = side_by_side(commands, repeats, statuses=different)
        for name in part:
            rows += [
                ratio_row(runs, CHANGES[name], NOISE, 1.5),
                ratio_row(runs, CHANGES[name], CMP, 2.0),
                ratio_row(runs, CHANGES[name], TORCH, 4.0, faster=True),
            ]
            (folder / f"{name}.pth").unlink()
    return rows


def many(folder: Path, repeats: int) -> list[Row]:
    """Time 100,000 tensors of four elements, in both containers; the script reads the ``.pth``."""
    subprocess.run([PYTHON, "-c", yardsticks.DIFF_MANY, str(folder)], check=True)
    pth, packed = (
        [str(folder / f"many-{side}.{kind}") for side in "ab"] for kind in ("pth", "safetensors")
    )
    other, same = f"{TINY}, .safetensors", "diff, 100,000 equal tensors"
    commands: dict[str, Sequence[str]] = {
        TINY: [TOOL, "diff", *pth],
        other: [TOOL, "diff", *packed],
        same: [TOOL, "diff", pth[0], packed[0]],
        TINY_TORCH: [PYTHON, "-c", yardsticks.TORCH_DIFF, *pth],
    }
    runs = side_by_side(commands, repeats, statuses={TINY: DIFFERENT, other: DIFFERENT})
    return [ratio_row(runs, name, TINY_TORCH, 1.0) for name in (TINY, other, same)]


def kinds(checkpoint: str, noisy: str, folder: Path, repeats: int) -> list[Row]:
    """Time what takes further steps an element, against float32 without a tolerance."""
    subprocess.run(
        [PYTHON, "-c", yardsticks.NARROW_INPUTS, checkpoint, noisy, str(folder)], check=True
    )
    bfloat16, noisy_bfloat16, float16, noisy_float16 = (
        str(folder / f"{name}-{dtype}.pth")
        for dtype in ("bfloat16", "float16")
        for name in ("same", "noisy")
    )
    plain = "float32"
    compared = {
        plain: [checkpoint, noisy],
        "float32, --atol 1e-4": [checkpoint, noisy, "--atol", "1e-4"],
        "float32, --rtol 1e-4": [checkpoint, noisy, "--rtol", "1e-4"],
        "both in bfloat16": [bfloat16, noisy_bfloat16],
        "both in float16": [float16, noisy_float16],
        "float32 and its own bfloat16": [checkpoint, bfloat16],
        "float32 and its own float16": [checkpoint, float16],
        "bfloat16 and float16 of the same": [bfloat16, float16],
    }
    commands: dict[str, Sequence[str]] = {
        name: [TOOL, "diff", *arguments] for name, arguments in compared.items()
    }
    runs = side_by_side(commands, repeats, statuses=dict.fromkeys(commands, DIFFERENT))
    return [
        Row(
            name,
            plain,
            f"{run.seconds / runs[plain].seconds:.2f} x ({run.seconds:.2f} s)",
            "-",
            True,
        )
        for name, run in runs.items()
    ]


if __name__ == "__main__":
    sys.exit(main())
