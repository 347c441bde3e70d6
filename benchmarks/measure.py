"""Running commands side by side: interleaved, repeated, medians, with peak memory."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable, Mapping, NamedTuple, Sequence

PYTHON = sys.executable
#: The command itself, as it is installed beside that Python.
TOOL = str(Path(PYTHON).with_name("ckpttool"))
_NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"


class Run(NamedTuple):
    """One command's medians over its repeats: wall seconds, and peak resident megabytes."""

    seconds: float
    peak_mb: float


def once(command: Sequence[str], status: int = 0) -> tuple[float, float]:
    """Run a command; return its wall seconds and its own peak resident memory in MB.

    Raises:
        RuntimeError: it did not exit with this status; the figure would mean nothing.
    """
    begin = time.perf_counter()
    # with bytecode cached, as installed programs have it, whatever this shell says
    environment = {key: value for key, value in os.environ.items() if key != _NO_BYTECODE}
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment
    ) as process:
        assert process.stderr is not None
        complaint = process.stderr.read()
        # wait4 gives the usage of this child alone, not of all children so far
        _, ended, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
        process.returncode = os.WEXITSTATUS(ended) if os.WIFEXITED(ended) else -os.WTERMSIG(ended)
    if process.returncode != status:
        raise RuntimeError(f"{command} exited {process.returncode}: {complaint.decode()}")
    scale = 1e6 if sys.platform == "darwin" else 1e3  # ru_maxrss counts bytes there, kB here
    return seconds, usage.ru_maxrss / scale


def side_by_side(
    commands: dict[str, Sequence[str]],
    repeats: int,
    before: Callable[[], None] = lambda: None,
    statuses: Mapping[str, int] | None = None,
) -> dict[str, Run]:
    """Run every command once to warm the cache, then all of them in turn ``repeats`` times.

    ``before`` is called ahead of every run and is not measured: it removes what the last wrote.
    ``statuses`` are those of commands that do not exit with 0.
    """
    expected = {**dict.fromkeys(commands, 0), **(statuses or {})}
    for name, command in commands.items():
        before()
        once(command, expected[name])
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(repeats):
        for name, command in commands.items():
            before()
            taken[name].append(once(command, expected[name]))
    return {
        name: Run(
            statistics.median(seconds for seconds, _ in runs),
            max(peak for _, peak in runs),
        )
        for name, runs in taken.items()
    }


class Row(NamedTuple):
    """One line of a table: what was measured against what, and what the target is."""

    subject: str
    yardstick: str
    figure: str
    target: str
    met: bool

    @property
    def key(self) -> tuple[str, str]:
        """What makes it the same row on another machine."""
        return self.subject, self.yardstick


def ratio_row(
    runs: dict[str, Run], subject: str, yardstick: str, limit: float, *, faster: bool = False
) -> Row:
    """Compare wall times: at most ``limit`` x the yardstick, or at least ``limit`` x faster."""
    ratio = runs[subject].seconds / runs[yardstick].seconds
    value = 1 / ratio if faster else ratio
    met = value >= limit if faster else value <= limit
    return Row(
        subject,
        yardstick,
        f"{value:.2f} x{' faster' if faster else ''} ({runs[subject].seconds:.2f} s)",
        f"at {'least' if faster else 'most'} {limit:g} x{' faster' if faster else ''}",
        met,
    )


def memory_row(runs: dict[str, Run], subject: str, limit_mb: float, meaning: str) -> Row:
    """Compare peak resident memory with a bound in MB."""
    peak = runs[subject].peak_mb
    return Row(
        f"{subject}: peak memory", meaning, f"{peak:.0f} MB", f"{limit_mb:.0f} MB", peak <= limit_mb
    )


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = ["| measured | against | figure | target | met |", "|---|---|---|---|---|"]
    lines += [
        f"| {row.subject} | {row.yardstick} | {row.figure} | {row.target} "
        f"| {'yes' if row.met else '**no**'} |"
        for row in rows
    ]
    return "\n".join(lines)
