"""The page on a run of ``verify``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator, Sequence, TextIO

from ckpttool.findings.finding import Verdict
from ckpttool.findings.inventory import Standing, account, of
from ckpttool.findings.rules import Severity
from ckpttool.findings.text import count, printable, size
from ckpttool.reports.counts import counts, counts_of
from ckpttool.reports.details import LONG
from ckpttool.reports.html.findings import findings_of, shared_out
from ckpttool.reports.html.page import LOOKS, Fact, Overview, Page, Section, write_page
from ckpttool.reports.html.parts import fitting, part_of
from ckpttool.reports.html.room import Room, rooms, written
from ckpttool.reports.html.shown import name

if TYPE_CHECKING:
    from ckpttool.findings.results import FileReport, Report

_MOST_BESIDE = 200
_ORDER = (Verdict.FAIL, Verdict.CANNOT_TELL, Verdict.PASS)


def write(report: Report, stream: TextIO) -> None:
    """Write the page."""
    write_page(page_of(report), stream)


def page_of(report: Report, command: str = "verify") -> Page:
    """Return the page on a report."""
    room = rooms()
    several = len(report.files) != 1
    # what fails comes first, so that it is what the page has room for
    files = sorted(report.files, key=_weight)
    overview = _overview(files, room["files"]) if several else None
    listed = files if overview is None else files[: len(overview.rows)]
    sections = tuple(_of_run(report, room))
    shares = shared_out(listed, room["findings"])
    parts = tuple(
        part_of(f"f{at}", file, report.version, {**room, "findings": share})
        for at, (file, share) in enumerate(zip(listed, shares))
    )
    title = count(len(report.files), "file") if several else parts[0].title
    lead = f"{counts_of(report)}" if several else parts[0].lead
    look = LOOKS[report.verdict]
    return Page(command, title, look, lead, parts, overview, sections, printable(report.version))


def _weight(file: FileReport) -> tuple[int, int, bool]:
    """Return a key that is less the graver what was found of a file is."""
    gravest = max((found.severity.weight for found in file.findings), default=-len(Severity))
    return _ORDER.index(file.verdict), -gravest, not file.waived


def _overview(files: Sequence[FileReport], room: Room) -> Overview:
    rows = [
        (
            LOOKS[file.verdict],
            name(file.path),
            (
                counts(file.findings, len(file.waived)),
                "" if file.tensors is None else f"{file.tensors:,}",
                "" if file.size is None else size(file.size),
            ),
        )
        for file in files
    ]
    kept = room.fitting(rows, lambda row: written(row[1]) + 250)
    return Overview(("findings", "tensors", "size"), tuple(kept), len(rows) - len(kept))


def _of_run(report: Report, room: dict[str, Room]) -> Iterator[Section]:
    """Yield what concerns the run as a whole, and the files that are no checkpoints."""
    if report.of_run:
        found = findings_of([("", one) for one in report.of_run], (), {}, room["findings"])
        yield Section("run", "Findings on the run as a whole", found, form="findings")
    told = account(report.inventory)
    if not told:
        return
    unseen = of(report.inventory, Standing.UNSEEN, Standing.EXCLUDED)
    items = [
        Fact(item.standing.value.replace("-", " "), f"{name(item.path)}, {printable(item.what)}")
        for item in unseen[:_MOST_BESIDE]
    ]
    kept = fitting(items, room["files"])
    left = len(unseen) - len(kept)
    note = f"{printable(told, LONG)}."
    note += f" {left:,} more are not listed here." if left else ""
    yield Section("beside", "Other files", kept, note, form="facts")
