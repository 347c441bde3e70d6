"""Progress: one bar for the whole run on a terminal, or lines with ``--verbose``."""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Callable, ContextManager, Iterator, Optional, Sequence, Union

from ckpttool.cli.display import quiet, verbose
from ckpttool.cli.messages import say
from ckpttool.cli.summary import duration
from ckpttool.findings.text import printable, size

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn, TaskID

# Characters of a path beside the bar.
_SHOWN = 32

# Columns from which on the rate is shown, and the time left.
_FOR_RATE, _FOR_TIME = 70, 50

# Set for what runs in a cell of a notebook, which shows each state of a bar on a line of its own.
_NOTEBOOKS = ("JPY_PARENT_PID", "COLAB_RELEASE_TAG", "KAGGLE_KERNEL_RUN_TYPE")


class Bar:
    """The bar of a run, which threads may advance; see ``ckpttool.tensors.workers.Progress``.

    Of one file, each pass over its bytes starts the bar again. Of several, the bar is about all of
    them, by their sizes; what is done with a file after the first pass does not move it.
    """

    def __init__(self, progress: Progress, task: TaskID, sizes: dict[str, int]) -> None:
        self._progress, self._task = progress, task
        self._sizes = sizes
        self._number = 0
        self._path = ""
        self._passes = 0
        self._phase = "reading"

    def begin(self, path: str) -> None:
        """Begin with a file."""
        self._number += 1
        self._path, self._passes, self._phase = path, 0, "reading"
        self._sizes.setdefault(path, 0)
        self._describe()

    def end(self) -> None:
        """Count the file as done, however much of it was read."""
        if len(self._sizes) > 1:
            done = sum(list(self._sizes.values())[: self._number])
            self._progress.update(self._task, completed=done)

    def phase(self, name: str) -> None:
        """Say what is being done."""
        self._phase = name
        self._describe()

    def start(self, total: int) -> None:
        """Begin a pass, with ``total`` bytes to go."""
        self._passes += 1
        if len(self._sizes) == 1:
            self._progress.reset(self._task, total=total)
        elif self._passes == 1:
            # until now the size of the file stood for it, which is none of its bytes for an index
            self._sizes[self._path] = total
            self._progress.update(self._task, total=sum(self._sizes.values()))

    def advance(self, nbytes: int) -> None:
        """Add bytes that are done."""
        if self._passes == 1 or len(self._sizes) == 1:
            self._progress.advance(self._task, nbytes)

    def _describe(self) -> None:
        several = f"{self._number}/{len(self._sizes)} " if len(self._sizes) > 1 else ""
        name = printable(os.path.basename(self._path) or self._path, _SHOWN)  # noqa: PTH119 (text)
        self._progress.update(self._task, description=f"{several}{self._phase} {name}")


class Lines:
    """Lines for a log, in place of a bar."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._phase = "reading"
        self._started = time.perf_counter()
        say(f"{path}: opening")

    def phase(self, name: str) -> None:
        """Say what is being done."""
        self._phase = name

    def start(self, total: int) -> None:
        """Begin a pass, with ``total`` bytes to go."""
        say(f"{self._path}: {self._phase} {size(total)}")

    def advance(self, nbytes: int) -> None:
        """Write nothing: a log has no use for every step."""

    def finish(self) -> None:
        """Write that the file is done, and the time it took."""
        say(f"{self._path}: done ({duration(time.perf_counter() - self._started)})")


#: Opens what is told how far a file is; ``None`` where nobody would see it.
OfEach = Callable[[str], ContextManager[Optional[Union[Bar, Lines]]]]


@contextmanager
def progress_of(paths: Sequence[str]) -> Iterator[OfEach]:
    """Show how far a run over files is, as long as the block lasts."""
    if verbose():
        yield _lines
    elif quiet() or not _is_watched():
        yield _nothing
    else:
        with _shown(paths) as bar:

            @contextmanager
            def of_file(path: str) -> Iterator[Bar]:
                bar.begin(path)
                yield bar
                bar.end()

            yield of_file


@contextmanager
def progress_bar(path: str) -> Iterator[Bar | Lines | None]:
    """Show how far a run over one file is, as long as the block lasts."""
    with progress_of([path]) as of_file, of_file(path) as bar:
        yield bar


@contextmanager
def _lines(path: str) -> Iterator[Lines]:
    lines = Lines(path)
    yield lines
    lines.finish()


@contextmanager
def _nothing(_: str) -> Iterator[None]:
    yield None


def _is_watched() -> bool:
    """Whether standard error is a terminal that can draw over a line, and not a log."""
    stream = sys.stderr
    if stream is None or not stream.isatty() or os.environ.get("TERM") == "dumb":
        return False
    # some CI systems give their jobs a terminal, and keep each state of a bar in the log
    if os.environ.get("CI", "").lower() not in ("", "0", "false"):
        return False
    return not any(os.environ.get(name) for name in _NOTEBOOKS)


@contextmanager
def _shown(paths: Sequence[str]) -> Iterator[Bar]:
    # late: 35 ms that no pipe and no log has to wait for
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.table import Column

    from ckpttool.reports.terminal.page import with_sizes

    console = Console(stderr=True, _environ=with_sizes(os.environ))
    # a terminal writes ^C behind the bar, which must not begin another line
    console.width = max(console.width - len("^C") - 1, 1)
    one_line = Column(no_wrap=True)
    columns: list[ProgressColumn] = [
        # on a narrow terminal the path gives way, and the bar stays one line
        TextColumn(
            "{task.description}",
            markup=False,
            table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1),
        ),
        BarColumn(bar_width=20 if console.width >= _FOR_RATE else 10),
        TextColumn("{task.percentage:>3.0f} %", table_column=one_line),
    ]
    if console.width >= _FOR_RATE:
        columns.append(TransferSpeedColumn(table_column=one_line))
    if console.width >= _FOR_TIME:
        columns.append(TimeRemainingColumn(table_column=Column(no_wrap=True)))
    # transient: the report that follows says what was read
    with Progress(*columns, console=console, transient=True, expand=True) as progress:
        sizes = {path: _size_of(path) for path in paths}
        yield Bar(progress, progress.add_task("", total=sum(sizes.values()) or None), sizes)


def _size_of(path: str) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116 (any text may be a path here)
    except (OSError, ValueError):
        return 0
