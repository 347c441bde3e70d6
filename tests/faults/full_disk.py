"""Writers on a disk that is really full, a few pages or names at a time.

Run in a mount namespace of its own: ``unshare -rm python -m tests.faults.full_disk FOLDER``. A
small tmpfs is mounted below the folder, filled up to some pages, and a writer runs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Iterator, List, NamedTuple

from ckpttool.files import room
from tests.faults.judging import content, hidden_in, is_new
from tests.faults.writers import SAMPLE, WRITERS, Writer, make_sources

PAGE = 4096
SIZE = 8 << 20
#: Pages that are left free: none, what small files need, and up to what a large one does.
FREE = (0, 1, 2, 3, 4, 6, 9, 40, 100, 146, 148, 150, 200)
#: Files that may be made, beside those that are there.
NAMES = (0, 1, 2, 3, 4, 5, 8)


class Full(NamedTuple):
    """What came of a run on a full disk."""

    writer: str
    free: str
    told: str
    wrong: List[str]


def on_full_disks(folder: Path) -> Iterator[Full]:
    """Let each writer run with so much room, and so many names."""
    # what looks for room beforehand would not let a run begin
    room.SLACK = -(1 << 40)
    for number, writer in enumerate([*WRITERS, SAMPLE]):
        sources = folder / f"sources{number}"
        sources.mkdir()
        make_sources(sources)
        new = _written(folder / f"ample{number}", sources, writer)
        for pages in FREE if writer is not SAMPLE else FREE[::4]:
            yield _run(folder / f"{number}-pages-{pages}", sources, writer, new, pages=pages)
        for names in NAMES if writer is not SAMPLE else NAMES[:2]:
            yield _run(folder / f"{number}-names-{names}", sources, writer, new, names=names)


def _mount(folder: Path, options: str) -> None:
    folder.mkdir(exist_ok=True)
    remount = ["-o", f"remount,{options}"] if folder.is_mount() else ["-o", options]
    subprocess.run(["mount", "-t", "tmpfs", *remount, "none", folder], check=True)


def _written(folder: Path, sources: Path, writer: Writer) -> dict[str, bytes]:
    folder.mkdir()
    writer.prepare(folder)
    assert writer.write(sources, folder) == []
    return content(folder)


def _run(
    folder: Path,
    sources: Path,
    writer: Writer,
    new: dict[str, bytes],
    pages: int | None = None,
    names: int | None = None,
) -> Full:
    _mount(folder, f"size={SIZE},nr_inodes=1000")
    try:
        writer.prepare(folder)
        old = content(folder)
        filler = folder / "filler"
        if pages is not None:
            _fill(filler, pages)
        else:
            status = os.statvfs(folder)
            used = status.f_files - status.f_ffree
            _mount(folder, f"size={SIZE},nr_inodes={used + (names or 0)}")
        told = writer.write(sources, folder)
        filler.unlink(missing_ok=True)
        found = content(folder)
    finally:
        subprocess.run(["umount", folder], check=True)
    free = f"{pages} pages" if pages is not None else f"{names} names"
    return Full(writer.name, free, "; ".join(told), list(_wrong(found, old, new, told)))


def _fill(filler: Path, pages: int) -> None:
    with filler.open("wb") as file:
        free = os.statvfs(filler).f_bfree
        for _ in range(max(0, free - pages)):
            file.write(bytes(PAGE))


def _wrong(
    found: dict[str, bytes], old: dict[str, bytes], new: dict[str, bytes], told: List[str]
) -> Iterator[str]:
    if hidden_in(found):
        yield f"left are {', '.join(hidden_in(found))}"
    if told and found != old:
        yield "an error is told, and the old is not there"
    if not told and not is_new(found, old, new):
        yield "no error is told, and the new is not there"
    if told and not all("No space left on device" in one for one in told):
        yield f"the reason is not told: {told}"


def main(folder: str) -> None:
    """Print what came of each run as JSON."""
    sys.stdout.write(json.dumps([one._asdict() for one in on_full_disks(Path(folder))]))


if __name__ == "__main__":
    main(*sys.argv[1:])
