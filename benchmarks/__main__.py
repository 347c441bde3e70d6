"""Every benchmark, one after the other: ``python -m benchmarks`` (``make bench``)."""

from __future__ import annotations

import sys

from benchmarks import convert, diff, forward, gate, verify


def main() -> int:
    """Run them all; exit 1 if a target is missed."""
    return max(run() for run in (verify.main, gate.main, convert.main, diff.main, forward.main))


if __name__ == "__main__":
    sys.exit(main())
