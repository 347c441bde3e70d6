"""A comparison as text: the verdict, what differs (worst first), a map, and what the files are."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Iterator, Mapping, Sequence, TextIO

from rich.text import Text

from ckpttool.comparison.result import Comparison, DiffKind, Outcome
from ckpttool.findings.finding import Verdict
from ckpttool.findings.names import summarise
from ckpttool.findings.text import count, printable
from ckpttool.reports.terminal.cells import columns, end_of, padded
from ckpttool.reports.terminal.diff_classes import ORDERS, TITLES, TOP, write_class
from ckpttool.reports.terminal.diff_map import is_telling, sign_of, write_map
from ckpttool.reports.terminal.diff_numbers import percent
from ckpttool.reports.terminal.diff_state import entries_differ, write_state
from ckpttool.reports.terminal.headline import Sign, write_headline
from ckpttool.reports.terminal.page import BAD, DOUBTFUL, GOOD, SHADES, Page
from ckpttool.reports.terminal.pair import write_files, write_findings_of, write_structure
from ckpttool.reports.terminal.pictures import write_changes
from ckpttool.reports.terminal.view import DiffView

if TYPE_CHECKING:
    from ckpttool.comparison.result import TensorDiff

_BAR = 20  # columns
_LONG = 400

_VERDICTS = {
    Outcome.SAME: Sign(GOOD, "SAME", "bold green"),
    Outcome.DIFFERENT: Sign(BAD, "DIFFERENT", "bold red"),
    Outcome.CANNOT_TELL: Sign(DOUBTFUL, "CANNOT TELL", "bold yellow"),
}
_TROUBLE = {Verdict.FAIL: "has errors", Verdict.CANNOT_TELL: "cannot be read"}


def write(comparison: Comparison, stream: TextIO, view: DiffView = DiffView()) -> None:  # noqa: B008 (a constant)
    """Write the report; little more than one line where nothing differs."""
    page = Page(stream)
    paths = comparison.left.path, comparison.right.path
    write_headline(page, _VERDICTS[comparison.outcome], paths, _summary(comparison))
    for label, file in (("left", comparison.left), ("right", comparison.right)):
        write_findings_of(page, label, file)
    if comparison.outcome is not Outcome.SAME or view.stat or view.top is not None:
        _write_tensors(page, comparison, view)
        write_state(page, comparison.state)
    if comparison.reconstructions:
        page.blank()
        write_changes(page, comparison.reconstructions)
    _write_facts(page, comparison)


# --- the first line ------------------------------------------------------------------------


def _summary(comparison: Comparison) -> Iterator[str]:
    for side, file in (("left", comparison.left), ("right", comparison.right)):
        if file.verdict in _TROUBLE:
            yield f"the {side} file {_TROUBLE[file.verdict]}"
    if comparison.tensors:
        yield from _counts(comparison.counts, len(comparison.tensors))
    beside: list[str] = []
    if comparison.beside:
        beside += _counts(comparison.counts_beside, len(comparison.beside))
    if comparison.state:
        beside.append(entries_differ(len(comparison.state)))
    if beside:
        yield f"beside the weights {', '.join(beside)}"
    if comparison.tolerance:
        yield f"with {comparison.tolerance}"


def _counts(counts: Mapping[DiffKind, int], total: int) -> Iterator[str]:
    """Yield how many tensors are in each class; identical ones only where no others are."""
    told = [(kind, number) for kind, number in counts.items() if number]
    if told[0][1] == total:
        alone = "the only tensor" if total == 1 else f"all {total:,} tensors"
        yield f"{alone} {TITLES[told[0][0]]}"
        return
    for place, (kind, number) in enumerate(told):
        if kind is not DiffKind.IDENTICAL:
            of = f" of {count(total, 'tensor')}" if place == 0 else ""
            yield f"{number:,}{of} {TITLES[kind]}"


# --- tensors -------------------------------------------------------------------------------


def _write_tensors(page: Page, comparison: Comparison, view: DiffView) -> None:
    if view.stat:
        _write_stat(page, comparison, view)
        return
    renamed = all(fact.name != "layout" for fact in comparison.structure)
    for every, where in ((comparison.tensors, ""), (comparison.beside, ", beside the weights")):
        for kind, tensors in _classes(every).items():
            page.blank()
            write_class(page, kind, tensors, view, where, renamed=renamed)
    differing = len(comparison.tensors) - comparison.counts[DiffKind.IDENTICAL]
    # what is listed whole needs no map
    if differing > TOP and is_telling(comparison):
        write_map(page, comparison)


def _classes(tensors: Sequence[TensorDiff]) -> dict[DiffKind, list[TensorDiff]]:
    found: dict[DiffKind, list[TensorDiff]] = {kind: [] for kind in DiffKind}
    for tensor in tensors:
        found[tensor.kind].append(tensor)
    found.pop(DiffKind.IDENTICAL)
    return {kind: alike for kind, alike in found.items() if alike}


def _write_stat(page: Page, comparison: Comparison, view: DiffView) -> None:
    every = chain(comparison.tensors, comparison.beside)
    tensors = [tensor for tensor in every if tensor.kind is not DiffKind.IDENTICAL]
    if not tensors:
        return
    tensors.sort(key=ORDERS[view.sort])
    shown = tensors if view.top is None else tensors[: view.top]
    widest = max((columns(printable(tensor.name)) for tensor in shown), default=0)
    names = min(widest, max((page.width or 100) - _BAR - 22, 12))
    page.blank()
    for tensor in shown:
        sign = sign_of(tensor)
        # the end of a name says more than its start
        name = end_of(printable(tensor.name), names)
        text = Text(f"{padded(name, names)} | ")
        if tensor.change is None:
            text.append(TITLES[tensor.kind], sign.style)
        else:
            share = tensor.change.changed / max(tensor.change.elements, 1)
            text.append(percent(share).rjust(8) + " ")
            text.append(page.sign(SHADES[-1]) * max(round(_BAR * share), 1), sign.style)
        page.line(text, 1, 4)
    if len(tensors) > len(shown):
        page.line(Text(f"and {len(tensors) - len(shown):,} more (--top all lists them)"), 1)


# --- facts ---------------------------------------------------------------------------------


def _write_facts(page: Page, comparison: Comparison) -> None:
    """Write what the files are, and what was not compared."""
    described = comparison.outcome is not Outcome.SAME
    aside = [
        (f"{side} file: {printable(summarise(keys), _LONG)}")
        for side, keys in zip(("left", "right"), comparison.aside)
        if keys
    ]
    files = (comparison.left, comparison.right)
    opened = described and any(file.format is not None for file in files)
    if not (opened or comparison.structure or aside or comparison.excluded or comparison.notes):
        return
    page.blank()
    if opened:
        write_files(page, ("left", "right"), files)
    write_structure(page, comparison.structure, " | ", described=described)
    if comparison.excluded:
        page.row("left out", Text(f"{count(comparison.excluded, 'name')} (--include, --exclude)"))
    for text in aside:
        page.row("left aside", Text(f"of the {text}"))
    for note in comparison.notes:
        page.row("not compared", Text(printable(note, _LONG)))
