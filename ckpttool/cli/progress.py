"""Progress: a bar of bytes on a terminal, or lines with ``--verbose``."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Iterator

from ckpttool.cli.display import quiet, verbose
from ckpttool.cli.messages import say
from ckpttool.cli.summary import duration
from ckpttool.findings.text import printable, size

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

# Characters of a path beside the bar.
_SHOWN = 32


class Bar:
    """A bar that threads may advance; see ``ckpttool.tensors.workers.Progress``."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def start(self, total: int) -> None:
        """Begin, with ``total`` bytes to go."""
        # until now the bar ran without an end: the size is known once the file is opened
        self._progress.update(self._task, total=total)

    def advance(self, nbytes: int) -> None:
        """Add bytes that were read."""
        self._progress.advance(self._task, nbytes)


class Lines:
    """Lines for a log, in place of a bar."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._started = time.perf_counter()
        say(f"{path}: opening")

    def start(self, total: int) -> None:
        """Begin, with ``total`` bytes to go."""
        say(f"{self._path}: reading {size(total)}")

    def advance(self, nbytes: int) -> None:
        """Write nothing: a log has no use for every step."""

    def finish(self) -> None:
        """Write that the file is done, and the time it took."""
        say(f"{self._path}: done ({duration(time.perf_counter() - self._started)})")


@contextmanager
def progress_bar(path: str) -> Iterator[Bar | Lines | None]:
    """Show how far a file is as long as the block lasts; ``None`` where nobody would see it."""
    if verbose():
        lines = Lines(path)
        yield lines
        lines.finish()
        return
    if quiet() or sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    # late: 35 ms that no pipe and no log has to wait for
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn
    from rich.table import Column

    with Progress(
        # on a narrow terminal the path gives way, and the bar stays one line
        TextColumn(
            "{task.description}",
            markup=False,
            table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1),
        ),
        BarColumn(),
        DownloadColumn(table_column=Column(no_wrap=True)),
        console=Console(stderr=True),
        transient=True,  # the report that follows says what was read
    ) as progress:
        yield Bar(progress, progress.add_task(printable(path[-_SHOWN:]), total=None))
