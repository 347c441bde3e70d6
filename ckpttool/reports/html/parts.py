"""The sections that pages of several commands have, made of what is known of a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterable, Iterator, NamedTuple, Sequence

from ckpttool.findings.text import printable
from ckpttool.reports.counts import counts
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
from ckpttool.reports.html.page import LOOKS, Fact, Part, Section
from ckpttool.reports.html.pictures import pictures_of
from ckpttool.reports.html.room import Room, written
from ckpttool.reports.html.shown import name
from ckpttool.reports.html.tensors import Tensors, table_of
from ckpttool.reports.html.tree_map import tree_map

if TYPE_CHECKING:
    from ckpttool.findings.results import FileReport
    from ckpttool.findings.statistics import Statistics

#: Said of a result without statistics, in place of empty charts.
NO_STATISTICS = (
    "This result has no statistics of the tensors, so there is no heat map, no histogram and no "
    "table of them. verify --stats adds them to a JSON result; --report html=FILE does so unasked."
)
_MOST_FIRST = 300  # rows for tensors of findings, which come before others


def part_of(
    anchor: str,
    file: FileReport,
    version: str,
    room: dict[str, Room],
    no_statistics: str = NO_STATISTICS,
) -> Part:
    """Return the part of a page on one file that was verified.

    Args:
        anchor: of the part.
        file: what is known of it.
        version: of the ckpttool that found it.
        room: of the page.
        no_statistics: what is said where there are none.
    """
    return Part(
        anchor,
        name(file.path),
        LOOKS[file.verdict],
        _lead(file),
        tuple(tiles(file)),
        unchecked_of(file),
        tuple(_sections(anchor, file, version, room, no_statistics)),
    )


def unchecked_of(file: FileReport) -> tuple[str, ...]:
    """Return what was not checked, safe to show."""
    return tuple(printable(one, LONG) for one in file.unchecked)


def _lead(file: FileReport) -> str:
    told = counts(file.findings, len(file.waived))
    if file.diagnosis is not None:
        return f"{printable(file.diagnosis.text, LONG)}; {told}"
    return told


def _sections(
    anchor: str, file: FileReport, version: str, room: dict[str, Room], no_statistics: str
) -> Iterator[Section]:
    charts = charts_of(anchor, file, room, no_statistics)
    found = [("", one) for one in file.findings]
    told = findings_of(found, file.waived, charts.anchors, room["findings"])
    yield Section("findings", "Findings", told)
    yield from charts.sections
    if file.reconstructions:
        yield Section("pictures", "Reconstructions", pictures_of(file.reconstructions))
    yield facts_section("facts", "Facts", facts(file), room)
    yield facts_section("provenance", "Provenance and receipt", provenance(file, version), room)


def facts_section(
    key: str, title: str, told: Iterable[Fact], room: dict[str, Room], note: str = ""
) -> Section:
    """Return a section of labels and texts, as far as there is room for them."""
    return Section(key, title, fitting(told, room["facts"]), note, "facts")


class Table(NamedTuple):
    """A table: its caption, its headings and rows, and how many rows are left out."""

    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left_out: int


def table_section(
    key: str,
    title: str,
    caption: str,
    heads: tuple[str, ...],
    rows: Iterable[tuple[str, ...]],
    room: Room,
) -> Section:
    """Return a section with a table, of the rows that there is room for."""
    every = list(rows)
    kept = room.fitting(every, lambda row: sum(written(cell) + 9 for cell in row) + 40)
    content = Table(caption, heads, tuple(kept), len(every) - len(kept))
    return Section(key, title, content, form="table")


def fitting(told: Iterable[Fact], room: Room) -> tuple[Fact, ...]:
    """Return the facts that there is room for."""
    return tuple(room.fitting(told, lambda fact: written(fact.text) + 80))


class Charts:
    """The charts of one file, and where each tensor has its row."""

    def __init__(self, sections: Iterable[Section], anchors: dict[str, str]) -> None:
        self.sections = tuple(sections)
        self.anchors = anchors


def charts_of(
    anchor: str, file: FileReport, room: dict[str, Room], no_statistics: str = NO_STATISTICS
) -> Charts:
    """Return the heat map, histograms, tree map and table of a file."""
    statistics = file.statistics
    if statistics is None:
        told = [] if file.stopped else [Section("tensors", "Tensors", None, no_statistics)]
        return Charts([*_parameters(file, room["tree map"]), *told], {})
    table = _table(anchor, file, statistics, room["tensors"])
    anchors = _anchors(anchor, statistics, table)
    sections = [
        _map(statistics, file, anchors, room["heat map"]),
        histograms_section([statistics], ("",), room),
        *_parameters(file, room["tree map"]),
        Section("tensors", "Tensors", table),
    ]
    return Charts(sections, anchors)


def _table(anchor: str, file: FileReport, statistics: Statistics, room: Room) -> Tensors:
    named = {tensor for found in file.findings for tensor in found.tensors[:_MOST_FIRST]}
    first = [at for at, one in enumerate(statistics.tensors) if one.name in named]
    number = len(statistics.tensors)
    return table_of(COLUMNS, number, row_maker(statistics, anchor), first[:_MOST_FIRST], room)


def _anchors(anchor: str, statistics: Statistics, table: Tensors) -> dict[str, str]:
    """Return the anchor of each tensor that has a row."""
    shown = {row.anchor for row in table.rows}
    every = ((one.name, anchor_of(anchor, at)) for at, one in enumerate(statistics.tensors))
    return {tensor: at for tensor, at in every if at in shown}


def _map(statistics: Statistics, file: FileReport, anchors: dict[str, str], room: Room) -> Section:
    held = points(statistics, anchors)
    lacking = missing_points(statistics, file.coverage if file.is_sized else None)
    drawn = heat_map([*held, *lacking], MEASURES, (), room)
    note = "" if drawn else "No tensor has numbers to draw a map of."
    return Section("map", "Heat map", drawn, note, "heat_map")


def histograms_section(
    sides: Sequence[Statistics], side_names: tuple[str, ...], room: dict[str, Room]
) -> Section:
    """Return the histograms of the blocks of a file, or of both files of a comparison."""
    drawn = histograms(list(blocks_of(sides)), side_names, room["histograms"])
    note = "" if drawn else "No tensor has numbers to count."
    return Section("histograms", "Histograms by block", drawn, note)


def _parameters(file: FileReport, room: Room) -> Iterator[Section]:
    coverage = file.coverage if file.is_sized else None
    tree = tree_map(leaves_of(file.statistics, coverage), room)
    covered = () if coverage is None else tuple(coverage_rows(coverage))
    if tree is not None or covered:
        yield Section("parameters", "Parameters", (tree, covered))
