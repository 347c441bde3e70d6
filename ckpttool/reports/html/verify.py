"""The page on a run of ``verify``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator, TextIO

from ckpttool.findings.inventory import Standing, account, of
from ckpttool.findings.text import count, printable, size
from ckpttool.reports.details import LONG
from ckpttool.reports.html.facts import coverage_rows, facts, provenance, tiles
from ckpttool.reports.html.findings import findings_of
from ckpttool.reports.html.heat_map import heat_map
from ckpttool.reports.html.histograms import histograms
from ckpttool.reports.html.measured import (
    COLUMNS,
    MEASURES,
    anchor_of,
    blocks_of,
    leaves_of,
    missing_points,
    points,
    row_maker,
)
from ckpttool.reports.html.page import LOOKS, Fact, Overview, Page, Part, Section, write_page
from ckpttool.reports.html.room import Room, rooms, written
from ckpttool.reports.html.shown import name
from ckpttool.reports.html.tensors import Tensors, table_of
from ckpttool.reports.html.tree_map import tree_map
from ckpttool.reports.terminal.counts import counts, counts_of

if TYPE_CHECKING:
    from ckpttool.findings.results import FileReport, Report
    from ckpttool.findings.statistics import Statistics

#: Said of a result without statistics, in place of empty charts.
NO_STATISTICS = (
    "This result has no statistics of the tensors, so there is no heat map, no histogram and no "
    "table of them. verify --stats adds them to a JSON result; --report html=FILE does so unasked."
)
_MOST_BESIDE = 200
_MOST_FIRST = 300  # rows for tensors of findings, which come before others


def write(report: Report, stream: TextIO) -> None:
    """Write the page."""
    write_page(page_of(report), stream)


def page_of(report: Report, command: str = "verify") -> Page:
    """Return the page on a report."""
    room = rooms()
    several = len(report.files) != 1
    overview = _overview(report, room["files"]) if several else None
    listed = len(report.files) if overview is None else len(overview.rows)
    parts = tuple(
        _part(f"f{at}", file, report.version, room) for at, file in enumerate(report.files[:listed])
    )
    title = count(len(report.files), "file") if several else parts[0].title
    lead = f"{counts_of(report)}" if several else parts[0].lead
    sections = tuple(_of_run(report, room))
    look = LOOKS[report.verdict]
    return Page(command, title, look, lead, parts, overview, sections, printable(report.version))


def _part(anchor: str, file: FileReport, version: str, room: dict[str, Room]) -> Part:
    return Part(
        anchor,
        name(file.path),
        LOOKS[file.verdict],
        _lead(file),
        tuple(tiles(file)),
        tuple(printable(one, LONG) for one in file.unchecked),
        tuple(_sections(anchor, file, version, room)),
    )


def _lead(file: FileReport) -> str:
    told = counts(file.findings, len(file.waived))
    if file.diagnosis is not None:
        return f"{printable(file.diagnosis.text, LONG)}; {told}"
    return told


def _sections(
    anchor: str, file: FileReport, version: str, room: dict[str, Room]
) -> Iterator[Section]:
    statistics = file.statistics
    table = None if statistics is None else _table(anchor, file, statistics, room["tensors"])
    anchors = {} if table is None or statistics is None else _anchors(anchor, statistics, table)
    found = [("", one) for one in file.findings]
    yield Section(
        "findings", "Findings", findings_of(found, file.waived, anchors, room["findings"])
    )
    if statistics is not None:
        yield _map(statistics, file, anchors, room["heat map"])
        yield _histograms([statistics], ("",), room["histograms"])
    yield from _parameters(file, room["tree map"])
    if table is not None:
        yield Section("tensors", "Tensors", table)
    elif not file.stopped:
        yield Section("tensors", "Tensors", None, NO_STATISTICS)
    yield Section("facts", "Facts", tuple(_fitting(facts(file), room["facts"])))
    told = tuple(_fitting(provenance(file, version), room["facts"]))
    yield Section("provenance", "Provenance and receipt", told, form="facts")


def _table(anchor: str, file: FileReport, statistics: Statistics, room: Room) -> Tensors:
    named = {name for found in file.findings for name in found.tensors[:_MOST_FIRST]}
    first = [at for at, one in enumerate(statistics.tensors) if one.name in named]
    number = len(statistics.tensors)
    return table_of(COLUMNS, number, row_maker(statistics, anchor), first[:_MOST_FIRST], room)


def _anchors(anchor: str, statistics: Statistics, table: Tensors) -> dict[str, str]:
    """Return the anchor of each tensor that has a row."""
    shown = {row.anchor for row in table.rows}
    every = ((one.name, anchor_of(anchor, at)) for at, one in enumerate(statistics.tensors))
    return {name: at for name, at in every if at in shown}


def _map(statistics: Statistics, file: FileReport, anchors: dict[str, str], room: Room) -> Section:
    held = points(statistics, anchors)
    lacking = missing_points(statistics, file.coverage)
    drawn = heat_map([*held, *lacking], MEASURES, (), room)
    note = "" if drawn else "No tensor has numbers to draw a map of."
    return Section("map", "Heat map", drawn, note, "heat_map")


def _histograms(sides: list[Statistics], side_names: tuple[str, ...], room: Room) -> Section:
    drawn = histograms(list(blocks_of(sides)), side_names, room)
    note = "" if drawn else "No tensor has numbers to count."
    return Section("histograms", "Histograms by block", drawn, note)


def _parameters(file: FileReport, room: Room) -> Iterator[Section]:
    tree = tree_map(leaves_of(file.statistics, file.coverage), room)
    covered = () if file.coverage is None else tuple(coverage_rows(file.coverage))
    if tree is not None or covered:
        yield Section("parameters", "Parameters", (tree, covered))


def _fitting(told: Iterator[Fact], room: Room) -> list[Fact]:
    return room.fitting(told, lambda fact: written(fact.text) + 80)


def _overview(report: Report, room: Room) -> Overview:
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
        for file in report.files
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
    kept = _fitting(iter(items), room["files"])
    left = len(unseen) - len(kept)
    note = f"{printable(told, LONG)}."
    note += f" {left:,} more are not listed here." if left else ""
    yield Section("beside", "Other files", tuple(kept), note, form="facts")
