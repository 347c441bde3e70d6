"""Every benchmark, one after the other: ``python -m benchmarks`` (``make bench``)."""

from __future__ import annotations

import sys

from benchmarks import (
    against,
    convert,
    diff,
    forward,
    gate,
    opening,
    prove,
    quantized,
    stats,
    verify,
)


def main() -> int:
    """Run them all; exit 1 if a target is missed."""
    runs = (
        verify.main,
        opening.main,
        gate.main,
        against.main,
        convert.main,
        diff.main,
        prove.main,
        quantized.main,
        stats.main,
        forward.main,
    )
    return max(*(run() for run in runs), diff.main(["--kinds"]))


if __name__ == "__main__":
    sys.exit(main())
