"""Findings as a page lists them: worst first, with what one can filter by."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Iterable, Mapping, NamedTuple, Sequence

from ckpttool.findings.rules import Severity
from ckpttool.findings.text import printable
from ckpttool.reports.details import LONG, details_of
from ckpttool.reports.html.room import Room, written
from ckpttool.reports.html.shown import name

if TYPE_CHECKING:
    from ckpttool.findings.finding import Finding
    from ckpttool.findings.results import FileReport, Waived

_SIGNS = {Severity.ERROR: "✗", Severity.WARNING: "!", Severity.NOTE: "·"}
_MOST_NAMES = 30
_AFTER_ALL = len(Severity)  # where waived findings stand


class Named(NamedTuple):
    """A tensor that a finding is about; ``anchor`` of its row, where the table has one."""

    name: str
    anchor: str | None


class Item(NamedTuple):
    """A finding; ``of`` is the file it is on, where a page has findings of several."""

    severity: str
    sign: str
    code: str
    rule: str
    message: str
    of: str
    details: tuple[tuple[str, str], ...]
    tensors: tuple[Named, ...]
    more_tensors: int
    waived: str


class Findings(NamedTuple):
    """The findings that fit, how many more there are, and what one can filter by."""

    items: tuple[Item, ...]
    left_out: int
    severities: tuple[tuple[str, int], ...]
    codes: tuple[str, ...]


def findings_of(
    found: Iterable[tuple[str, Finding]],
    waived: Sequence[Waived],
    anchors: Mapping[str, str],
    room: Room,
) -> Findings:
    """Return findings for the page, in order of their weight.

    Args:
        found: the findings that count, each with the file that it is on, in words.
        waived: the findings that do not count.
        anchors: tensor -> the anchor of its row.
        room: of all findings of the page.
    """
    ordered = sorted(found, key=lambda pair: -pair[1].severity.weight)
    # made as they are asked for: there may be many more than fit
    items = chain(
        (_item(one, of, anchors) for of, one in ordered),
        (_item(one.finding, "", anchors, _reason(one)) for one in waived),
    )
    kept = room.fitting(items, _cost)
    counted = [
        (severity.value, sum(item.severity == severity.value for item in kept))
        for severity in Severity
    ]
    return Findings(
        tuple(kept),
        len(ordered) + len(waived) - len(kept),
        tuple((word, number) for word, number in counted if number),
        tuple(sorted({item.code for item in kept})),
    )


def shared_out(files: Sequence[FileReport], room: Room) -> list[Room]:
    """Return the room of each file's findings: of all errors first, then of warnings, and so on."""
    every: list[tuple[int, int, Finding, str]] = []
    for at, file in enumerate(files):
        every += [(-found.severity.weight, at, found, "") for found in file.findings]
        every += [(_AFTER_ALL, at, one.finding, _reason(one)) for one in file.waived]
    shares = [Room(0) for _ in files]
    for _, at, found, waived in sorted(every, key=lambda one: one[0]):
        cost = _cost(_item(found, "", {}, waived))
        if not room.take(cost):
            break
        shares[at].left += cost
    return shares


def _item(one: Finding, of: str, anchors: Mapping[str, str], waived: str = "") -> Item:
    shown = one.tensors[:_MOST_NAMES]
    return Item(
        one.severity.value,
        _SIGNS[one.severity],
        one.rule.code,
        printable(one.rule.name),
        printable(one.message, LONG),
        of,
        tuple(details_of(one).items()),
        tuple(Named(name(tensor), anchors.get(tensor)) for tensor in shown),
        len(one.tensors) - len(shown),
        waived,
    )


def _reason(waived: Waived) -> str:
    until = waived.expires and f"until {waived.expires}"
    return ", ".join(printable(text, LONG) for text in (waived.reason, waived.owner, until) if text)


def _cost(item: Item) -> int:
    texts = [item.message, item.waived, item.of, *(text for _, text in item.details)]
    names = sum(written(named.name) + 40 for named in item.tensors)
    return 700 + sum(map(written, texts)) + names
