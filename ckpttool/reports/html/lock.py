"""The page on a run of ``lock``: what was locked and what that detects, and the verification."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Iterator, NamedTuple, TextIO

from ckpttool.findings.portable import portable
from ckpttool.findings.text import count, printable, size
from ckpttool.reports.html.changed import Bar
from ckpttool.reports.html.page import Fact, Look, Page, Section, write_page
from ckpttool.reports.html.parts import facts_section, table_section
from ckpttool.reports.html.room import Room, rooms
from ckpttool.reports.html.shown import name, number, whole
from ckpttool.reports.html.verify import page_of as verification_of

if TYPE_CHECKING:
    from ckpttool.verification.lock.content import Lock, LockedCheckpoint, LockedForward

_LOCKED = Look("LOCKED", "✓", "pass")
_NOT_LOCKED = "Nothing was locked: what is locked has to pass."
_MOST_CHECKPOINTS = 20  # with sections of their own; the table has all


class Controls(NamedTuple):
    """How far defects move the outputs: bars, and where the tolerance lies among them."""

    bars: tuple[Bar, ...]
    rounding: str
    tolerance: str
    line: float | None


def write(lock: Lock, stream: TextIO) -> None:
    """Write the page."""
    write_page(page_of(lock), stream)


def page_of(lock: Lock) -> Page:
    """Return the page: of a run that locked nothing, that of its verification."""
    lead = f"{count(len(lock.checkpoints), 'checkpoint')} in {name(lock.path)}"
    if lock.report is None:  # a lock file that was read
        sections = tuple(_sections(lock, rooms()))
        return Page("lock", name(lock.path), _LOCKED, lead, (), None, sections)
    page = verification_of(portable(lock.report), "lock")
    if lock.exit_code:
        note = Section("locked", "Lock file", None, _NOT_LOCKED)
        return page._replace(sections=(note, *page.sections))
    sections = (*_sections(lock, rooms()), *page.sections)
    parts = page.parts
    if page.overview is None and len(parts) == 1:
        parts = (parts[0]._replace(look=_LOCKED, lead=f"{lead}; {parts[0].lead}"),)
    return page._replace(look=_LOCKED, lead=lead, sections=sections, parts=parts)


def _sections(lock: Lock, room: dict[str, Room]) -> Iterator[Section]:
    rows = (
        (
            name(one.name),
            whole(len(one.tensors)),
            size(sum(file.size for file in one.files)),
            "" if one.schema == "none" else printable(one.schema),
            one.fingerprint,
        )
        for one in lock.checkpoints
    )
    heads = ("checkpoint", "tensors", "size", "model", "fingerprint")
    caption = f"The weights that {name(lock.path)} has"
    yield table_section("locked", "Locked", caption, heads, rows, room["files"])
    for at, one in enumerate(lock.checkpoints[:_MOST_CHECKPOINTS]):
        title = "Controls" if len(lock.checkpoints) == 1 else f"Controls of {name(one.name)}"
        yield from _controls(f"controls-{at}", title, one.forward)
    yield facts_section("files", "Lock file", _facts(lock), room)


def _controls(key: str, title: str, forward: LockedForward | None) -> Iterator[Section]:
    if forward is None:
        yield Section(key, title, None, "The model was not run: outputs will not be compared.")
        return
    if forward.tolerance is None or not forward.controls:
        note = "Outputs will not be compared: no control moved them far enough."
        yield Section(key, title, _bars(forward), note, "controls")
        return
    yield Section(key, title, _bars(forward), form="controls")


def _bars(forward: LockedForward) -> Controls:
    distances = [one.distance for one in forward.controls if math.isfinite(one.distance)]
    low, high = forward.rounding, max([forward.rounding, *distances])
    bars = tuple(
        Bar(
            printable(one.name),
            None,
            _place(one.distance, low, high),
            (number(one.distance), "yes" if one.counts else "no: too near to rounding"),
        )
        for one in forward.controls
    )
    tolerance = forward.tolerance
    line = None if tolerance is None else _place(tolerance, low, high)
    told = "none" if tolerance is None else number(tolerance)
    return Controls(bars, number(forward.rounding), told, line)


def _place(value: float, low: float, high: float) -> float:
    """Return where a number lies between two others, by its logarithm, from 0 to 100."""
    if not 0 < low < high or value <= low:
        return 0.0
    if value >= high:
        return 100.0
    return round(100 * math.log(value / low) / math.log(high / low), 1)


def _facts(lock: Lock) -> Iterator[Fact]:
    yield Fact("lock file", name(lock.path), code=True)
    if lock.replaced:
        yield Fact("replaced", "the lock file that stood there")
    for one in lock.checkpoints:
        yield from _files(one)


def _files(one: LockedCheckpoint) -> Iterator[Fact]:
    for file in one.files:
        yield Fact(f"SHA-256 of {name(file.name)}", file.sha256, code=True)
