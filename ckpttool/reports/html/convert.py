"""The page on a run of ``convert``: what was written, what changed on the way, the proof."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator, Sequence, TextIO

from ckpttool.conversion.result import PLANNED, WRITTEN
from ckpttool.findings.finding import Verdict
from ckpttool.findings.names import summarise
from ckpttool.findings.text import count, printable, size
from ckpttool.reports.counts import counts
from ckpttool.reports.details import LONG
from ckpttool.reports.html.facts import origin
from ckpttool.reports.html.findings import findings_of, shared_out
from ckpttool.reports.html.page import Fact, Look, Overview, Page, Part, Section, write_page
from ckpttool.reports.html.parts import charts_of, facts_section, table_section, unchecked_of
from ckpttool.reports.html.room import Room, rooms, written
from ckpttool.reports.html.shown import name, parameters, whole

if TYPE_CHECKING:
    from ckpttool.conversion.result import Conversion, Conversions

WRITTEN_LOOK = Look("WRITTEN AND PROVEN", "✓", "pass")
PLANNED_LOOK = Look("NOTHING WRITTEN (dry run)", "·", "told")
REFUSED_LOOK = Look("REFUSED, NOTHING WRITTEN", "✗", "fail")
OPEN_LOOK = Look("NOTHING WRITTEN", "?", "unsure")


def write(conversions: Conversions, stream: TextIO) -> None:
    """Write the page."""
    write_page(page_of(conversions), stream)


def page_of(conversions: Conversions) -> Page:
    """Return the page on the results of a run."""
    room = rooms()
    # what was not converted comes first, so that it is what the page has room for
    files = sorted(conversions.files, key=lambda one: -_LOOKS.index(_look(one)))
    several = len(files) != 1
    overview = _overview(files, room["files"]) if several else None
    listed = files if overview is None else files[: len(overview.rows)]
    shares = shared_out([one.file for one in listed], room["findings"])
    parts = tuple(
        _part(f"f{at}", one, {**room, "findings": share})
        for at, (one, share) in enumerate(zip(listed, shares))
    )
    title = count(len(files), "file") if several else parts[0].title
    look = max(map(_look, files), key=_LOOKS.index, default=OPEN_LOOK)
    lead = _totals(conversions) if several else parts[0].lead
    return Page("convert", title, look, lead, parts, overview)


_LOOKS = [WRITTEN_LOOK, PLANNED_LOOK, REFUSED_LOOK, OPEN_LOOK]


def _look(one: Conversion) -> Look:
    if one.state == WRITTEN:
        return WRITTEN_LOOK
    if one.state == PLANNED:
        return PLANNED_LOOK
    return REFUSED_LOOK if one.file.verdict is Verdict.FAIL else OPEN_LOOK


def _totals(conversions: Conversions) -> str:
    done = sum(one.state in (WRITTEN, PLANNED) for one in conversions.files)
    planned = any(one.state == PLANNED for one in conversions.files)
    word = "would be converted" if planned else "converted"
    return f"{done:,} {word}, {len(conversions.files) - done:,} not"


def _overview(files: Sequence[Conversion], room: Room) -> Overview:
    rows = [
        (
            _look(one),
            name(one.file.path),
            (name(one.result or ""), counts(one.file.findings)),
        )
        for one in files
    ]
    kept = room.fitting(rows, lambda row: written(row[1]) + written(row[2][0]) + 250)
    return Overview(("result", "findings"), tuple(kept), len(rows) - len(kept))


def _part(anchor: str, one: Conversion, room: dict[str, Room]) -> Part:
    lead = f"to {one.to}"
    if one.result is not None:
        lead = f"to {name(one.result)}"
    lead += f"; {counts(one.file.findings)}"
    return Part(
        anchor,
        name(one.file.path),
        _look(one),
        lead,
        tuple(_tiles(one)),
        unchecked_of(one.file),
        tuple(_sections(anchor, one, room)),
    )


def _tiles(one: Conversion) -> Iterator[Fact]:
    if one.file.tensors is not None:
        yield Fact("tensors of the source", whole(one.file.tensors))
    if one.file.parameters is not None:
        yield Fact("parameters", parameters(one.file.parameters))
    if one.file.size is not None:
        yield Fact("size of the source", size(one.file.size))
    if one.outputs:
        planned = "would be written" if one.state == PLANNED else "written"
        yield Fact(planned, size(sum(output.size for output in one.outputs)))
    if one.proof is not None:
        yield Fact("proven", count(one.proof.tensors, "tensor"))


def _sections(anchor: str, one: Conversion, room: dict[str, Room]) -> Iterator[Section]:
    charts = charts_of(anchor, one.file, room) if one.file.statistics else None
    found = [("", each) for each in one.file.findings]
    anchors = charts.anchors if charts else {}
    told = findings_of(found, one.file.waived, anchors, room["findings"])
    yield Section("findings", "Findings", told)
    if one.outputs:
        yield _outputs(one, room["files"])
    yield facts_section("changes", "What differs from the source", _changes(one), room)
    if one.casts:
        yield _casts(one, room["changes"])
    if charts:
        yield from charts.sections
    yield facts_section("proof", "Proof", _proof(one), room)
    yield facts_section("provenance", "Provenance and receipt", _provenance(one), room)


def _outputs(one: Conversion, room: Room) -> Section:
    rows = (
        (name(file.path), size(file.size), whole(file.tensors), file.sha256 or "not computed")
        for file in one.outputs
    )
    title = "To be written" if one.state == PLANNED else "Written"
    heads = ("file", "size", "tensors", "SHA-256")
    return table_section("outputs", title, "The files of the result", heads, rows, room)


def _casts(one: Conversion, room: Room) -> Section:
    # what lost numbers comes first
    casts = sorted(one.casts, key=lambda cast: -(cast.overflow + cast.underflow))
    rows = (
        (
            name(cast.name),
            f"{cast.source} -> {cast.target}",
            whole(cast.overflow),
            whole(cast.underflow),
        )
        for cast in casts
    )
    heads = ("tensor", "types", "became infinite", "became zero")
    return table_section("casts", "Casts", "The tensors that were cast", heads, rows, room)


def _changes(one: Conversion) -> Iterator[Fact]:
    told = [*_names(one), *_values(one), *_beside(one)]
    yield from told or [Fact("tensors", "names and bytes are those of the source")]
    for label, paths in (("replaced", one.replaced), ("removed", one.removed)):
        for path in paths:
            yield Fact(label, name(path), code=True)


def _names(one: Conversion) -> Iterator[Fact]:
    if one.map:
        told = f"{count(len(one.map), 'tensor')} with another name or other rows"
        yield Fact("names", f"{told}, by the convention {one.layout}" if one.layout else told)
    if one.wrapper is not None:
        yield Fact("wrapper", f"the tensors lie under {name(one.wrapper)}")
    for label, names in (
        ("tied, stored once", tuple(one.tied)),
        ("restored", tuple(one.restored)),
        ("dequantised", tuple(weight.name for weight in one.dequantised)),
        ("in parts", tuple(each.name for each in one.in_parts)),
        ("not cast", one.not_cast),
        ("left out by name", one.excluded),
    ):
        if names:
            told = f"{count(len(names), 'tensor')}: {printable(summarise(names), LONG)}"
            yield Fact(label, told)


def _values(one: Conversion) -> Iterator[Fact]:
    for table in one.resized:
        shapes = f"{list(table.before)} -> {list(table.after)}"
        yield Fact("resized", f"{name(table.name)} {shapes}: {printable(table.how)}")
    if one.casts:
        yield Fact("cast", count(len(one.casts), "tensor"))


def _beside(one: Conversion) -> Iterator[Fact]:
    keys = [f"{name(entry.key)} ({printable(entry.kind)})" for entry in one.left_out]
    if keys:
        told = printable(", ".join(keys), LONG)
        yield Fact(
            "left out beside the weights", f"{told}; see the sidecar" if one.sidecar else told
        )


def _proof(one: Conversion) -> Iterator[Fact]:
    proof = one.proof
    if proof is None:
        told = "a dry run writes nothing" if one.state == PLANNED else "nothing was written"
        yield Fact("proof", f"none: {told}")
        return
    told = f"{count(proof.tensors, 'tensor')}, {size(proof.nbytes)}"
    yield Fact("read back", f"{told}, equal to the source in every byte")
    for made, what in (
        (len(one.casts), "the cast"),
        (len(one.dequantised), "dequantising"),
        (len(one.resized), "resizing"),
    ):
        if made:
            yield Fact("of these", f"{made:,} equal to what {what} made of the source's")
    sums = count(proof.checksums, "stored CRC-32 sum")
    yield Fact("checksums of the source", f"{sums} compared" if proof.checksums else "it has none")
    yield Fact("opened by", ", ".join(map(printable, proof.readers)))


def _provenance(one: Conversion) -> Iterator[Fact]:
    yield from origin(one.file)
    if one.file.fingerprint is not None:
        yield Fact("fingerprint of the source", one.file.fingerprint, code=True)
    if one.fingerprint is not None:
        yield Fact("fingerprint as written", one.fingerprint, code=True)
    for label, path in (
        ("model's configuration", one.config),
        ("sidecar", one.sidecar),
        ("receipt", one.receipt),
    ):
        if path is not None:
            yield Fact(label, name(path), code=True)
