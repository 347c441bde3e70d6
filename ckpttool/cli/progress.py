"""The progress bar: bytes read, on standard error, on terminals only."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Iterator

from ckpttool.text import printable

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

# Characters of a path beside the bar.
_SHOWN = 32


class Bar:
    """A bar that threads may advance; see ``verify.Progress``."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def start(self, total: int) -> None:
        """Reading begins; ``total`` is in bytes."""
        self._progress.update(self._task, total=total)

    def advance(self, nbytes: int) -> None:
        """So many bytes more were read."""
        self._progress.advance(self._task, nbytes)


@contextmanager
def progress_bar(path: str) -> Iterator[Bar | None]:
    """Show a bar for a file as long as the block lasts; ``None`` where nobody would see it."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as progress:
        yield Bar(progress, progress.add_task(printable(path[-_SHOWN:]), total=None))
