"""A comparison as text: a map, the largest changes, what lies beside the weights, a verdict."""

from __future__ import annotations

from math import inf, prod
from typing import TYPE_CHECKING, Any, Callable, Mapping, Sequence, TextIO

from rich.text import Text

from ckpttool.comparison.result import Comparison, DiffKind, Outcome, TensorDiff
from ckpttool.findings.finding import Verdict
from ckpttool.findings.names import summarise
from ckpttool.findings.text import count, printable
from ckpttool.reports.terminal.diff_map import sign_of, write_map
from ckpttool.reports.terminal.diff_numbers import lines_of, percent
from ckpttool.reports.terminal.facts import describe
from ckpttool.reports.terminal.findings import write_findings
from ckpttool.reports.terminal.page import BAD, DOUBTFUL, GOOD, SHADES, Page, styled
from ckpttool.reports.terminal.pictures import write_changes
from ckpttool.reports.terminal.view import DiffView

if TYPE_CHECKING:
    from ckpttool.comparison.result import Side, StateDiff
    from ckpttool.findings.results import FileReport

#: Tensors of a class that are listed without --top.
TOP = 10

_SHOWN_STATE = 20  # entries beside the tensors, before the rest is counted
_VALUE = 60  # characters of one value
_BAR = 20  # columns

_VERDICTS = {
    Outcome.SAME: (GOOD, "SAME", "bold green"),
    Outcome.DIFFERENT: (BAD, "DIFFERENT", "bold red"),
    Outcome.CANNOT_TELL: (DOUBTFUL, "CANNOT TELL", "bold yellow"),
}
_TITLES = {
    DiffKind.CHANGED: "changed",
    DiffKind.SHAPE: "shape differs",
    DiffKind.DTYPE: "dtype differs",
    DiffKind.ONLY_LEFT: "only in the left file",
    DiffKind.ONLY_RIGHT: "only in the right file",
    DiffKind.NOT_COMPARED: "not compared",
    DiffKind.RENAMED: "renamed",
    DiffKind.MOVED: "moved into or out of a wrapper",
    DiffKind.CAST: "equal after a cast",
    DiffKind.WITHIN_TOLERANCE: "within the tolerance",
    DiffKind.WITHIN_ULP: "within the ULPs allowed",
    DiffKind.IDENTICAL: "identical",
}


def write(comparison: Comparison, stream: TextIO, view: DiffView = DiffView()) -> None:  # noqa: B008 (a constant)
    """Write the report; one line where nothing differs."""
    page = Page(stream)
    if comparison.outcome is not Outcome.SAME:
        for label, file in (("left", comparison.left), ("right", comparison.right)):
            _write_file(page, label, file)
        if comparison.tensors or comparison.beside or comparison.state:
            _write_body(page, comparison, view)
        page.blank()
    if comparison.reconstructions:
        write_changes(page, comparison.reconstructions)
        page.blank()
    _write_verdict(page, comparison)


def _write_file(page: Page, label: str, file: FileReport) -> None:
    text = styled(printable(file.path), "bold")
    if file.format is not None:
        text.append(f": {describe(file)}")
    page.row(label, text, 0, 7)
    if file.findings:
        write_findings(page, file.findings)


def _write_body(page: Page, comparison: Comparison, view: DiffView) -> None:
    for fact in comparison.structure:
        told = f"{printable(fact.left)} | {printable(fact.right)}"
        page.row(fact.name, Text(told), 0, max(len(fact.name) + 2, 11))
    if view.stat:
        _write_stat(page, comparison, view)
    else:
        if any(tensor.kind is not DiffKind.IDENTICAL for tensor in comparison.tensors):
            write_map(page, comparison)
        _write_tensors(page, comparison.tensors, view)
        _write_tensors(page, comparison.beside, view, " beside the weights")
    _write_state(page, comparison)


# --- tensors ---------------------------------------------------------------------------


def _write_tensors(
    page: Page, every: Sequence[TensorDiff], view: DiffView, where: str = ""
) -> None:
    top = TOP if view.top is None else view.top
    for kind in DiffKind:
        tensors = [tensor for tensor in every if tensor.kind is kind]
        if not tensors or kind is DiffKind.IDENTICAL:
            continue
        page.blank()
        head = f"{_TITLES[kind]}{where}: {count(len(tensors), 'tensor')}"
        page.line(Text(head, style="bold"), 2)
        # a missing decoder is a hundred names: ranges of blocks are shorter than a line each
        if kind in (DiffKind.ONLY_LEFT, DiffKind.ONLY_RIGHT):
            names = [tensor.name for tensor in tensors]
            page.line(Text(printable(summarise(names, top), 4000)), 4, 6)
            continue
        tensors.sort(key=_ORDERS[view.sort])
        for tensor in tensors[:top]:
            _write_tensor(page, tensor)
        if len(tensors) > top:
            page.line(Text(f"and {len(tensors) - top:,} more (--top shows them)"), 4)


def _by_change(tensor: TensorDiff) -> tuple[float, ...]:
    if tensor.change is None:
        return (1.0, 0.0, -_elements(tensor))
    # NaN and infinity first, then tensors without a finite norm
    share = tensor.change.relative_rms
    return (-tensor.change.odd, -(inf if share is None else share), -_elements(tensor))


def _elements(tensor: TensorDiff) -> int:
    side = tensor.left or tensor.right
    return prod(side.shape) if side else 0


_ORDERS: dict[str, Callable[[TensorDiff], Any]] = {
    "change": _by_change,
    "name": lambda tensor: tensor.name,
    "size": lambda tensor: -_elements(tensor),
}


def _write_tensor(page: Page, tensor: TensorDiff) -> None:
    sign = sign_of(tensor)
    text = styled(f"{page.sign(sign.character)} ", sign.style)
    text.append(printable(tensor.name), "bold").append(f"  {_sides(tensor)}")
    page.line(text, 4, 8)
    if tensor.note is not None:
        page.line(Text(printable(tensor.note)), 8)
    if tensor.change is not None:
        for line in lines_of(tensor.change):
            page.line(Text(line), 8, 10)


def _sides(tensor: TensorDiff) -> str:
    left, right = tensor.left, tensor.right
    told = [_describe(side) for side in (left, right) if side]
    text = " -> ".join(dict.fromkeys(told))
    if left and right and left.names != right.names:
        names = (", ".join(map(printable, side.names)) for side in (left, right))
        text += f": {' -> '.join(names)}"
    return text


def _describe(side: Side) -> str:
    return f"{side.dtype} {list(side.shape)}"


def _write_stat(page: Page, comparison: Comparison, view: DiffView) -> None:
    every = (*comparison.tensors, *comparison.beside)
    tensors = [tensor for tensor in every if tensor.kind is not DiffKind.IDENTICAL]
    tensors.sort(key=_ORDERS[view.sort])
    shown = tensors if view.top is None else tensors[: view.top]
    widest = max((len(printable(tensor.name)) for tensor in shown), default=0)
    names = min(widest, max((page.width or 100) - _BAR - 22, 12))
    page.blank()
    for tensor in shown:
        sign = sign_of(tensor)
        name = printable(tensor.name)
        # the end of a name says more than its start
        name = name if len(name) <= names else f"~{name[1 - names :]}"
        text = Text(f"{name.ljust(names)} | ")
        if tensor.change is None:
            text.append(_TITLES[tensor.kind], sign.style)
        else:
            share = tensor.change.changed / max(tensor.change.elements, 1)
            text.append(percent(share).rjust(8) + " ")
            text.append(page.sign(SHADES[-1]) * max(round(_BAR * share), 1), sign.style)
        page.line(text, 1, 4)
    if len(tensors) > len(shown):
        page.line(Text(f"and {len(tensors) - len(shown):,} more (--top shows them)"), 1)


# --- beside the weights, and the end -----------------------------------------------------


def _write_state(page: Page, comparison: Comparison) -> None:
    if not comparison.state:
        return
    page.blank()
    page.line(Text(f"beside the weights: {_entries(len(comparison.state))}", style="bold"), 2)
    for entry in comparison.state[:_SHOWN_STATE]:
        left, right = _values(entry)
        page.line(Text(f"{printable(entry.key)}: {left} -> {right}"), 4, 8)
    if len(comparison.state) > _SHOWN_STATE:
        rest = len(comparison.state) - _SHOWN_STATE
        page.line(Text(f"and {rest:,} more (--format json lists all)"), 4)


def _values(entry: StateDiff) -> tuple[str, str]:
    """Return both values, shortened."""
    left, right = ("absent" if value is None else value for value in (entry.left, entry.right))
    shown = printable(left, _VALUE), printable(right, _VALUE)
    if shown[0] != shown[1]:
        return shown
    # what differs was cut out, so show the piece around it instead
    differs = (place for place, pair in enumerate(zip(left, right)) if pair[0] != pair[1])
    start = next(differs, 0) - _VALUE // 2
    first, second = (f"...{printable(text[start:][:_VALUE])}..." for text in (left, right))
    return first, second


def _entries(number: int) -> str:
    return "1 entry differs" if number == 1 else f"{number:,} entries differ"


_TROUBLE = {Verdict.FAIL: "has errors", Verdict.CANNOT_TELL: "cannot be read"}


def _write_verdict(page: Page, comparison: Comparison) -> None:
    sign, word, style = _VERDICTS[comparison.outcome]
    text = styled(f"{page.sign(sign)} {word}", style)
    text.append(f" {printable(comparison.left.path)} | {printable(comparison.right.path)}: ")
    text.append("; ".join(_summary(comparison)))
    page.line(text, 0, 2)


def _summary(comparison: Comparison) -> list[str]:
    told = [
        f"the {side} file {_TROUBLE[file.verdict]}"
        for side, file in (("left", comparison.left), ("right", comparison.right))
        if file.verdict in _TROUBLE
    ]
    if comparison.tensors:
        told.append(_counts(comparison.counts, len(comparison.tensors)))
    if comparison.beside:
        told.append(
            f"beside the weights {_counts(comparison.counts_beside, len(comparison.beside))}"
        )
    if comparison.tolerance:
        told.append(f"with {comparison.tolerance}")
    if comparison.state:
        told.append(f"{_entries(len(comparison.state))} beside them")
    # otherwise _write_body has written these
    if comparison.outcome is Outcome.SAME and comparison.structure:
        facts = (f"{fact.name} {fact.left} | {fact.right}" for fact in comparison.structure)
        told.append(printable(", ".join(facts), 400))
    if comparison.excluded:
        told.append(f"{count(comparison.excluded, 'name')} left out")
    for side, keys in zip(("left", "right"), comparison.aside):
        if keys:
            told.append(f"left aside of the {side} file: {printable(summarise(keys), 400)}")
    if comparison.notes:
        told.append(f"not compared: {printable(', '.join(comparison.notes), 400)}")
    return told


def _counts(counts: Mapping[DiffKind, int], total: int) -> str:
    told = [f"{number:,} {_TITLES[kind]}" for kind, number in counts.items() if number]
    return f"{', '.join(told)} of {count(total, 'tensor')}"
