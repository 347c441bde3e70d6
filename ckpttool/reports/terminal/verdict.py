"""What the first line on a file says beside its verdict: what it is, how much of it, what is wrong.

``✓ PASS model.pth  mae_vit_large_patch16 encoder · 294/294 tensors · forward ok``
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Iterator, Sequence

from rich.text import Text

from ckpttool.findings import rules
from ckpttool.findings.rules import Severity
from ckpttool.findings.text import count, printable
from ckpttool.reports.terminal.headline import VERDICTS, write_headline
from ckpttool.reports.terminal.page import styled

if TYPE_CHECKING:
    from ckpttool.findings.finding import Finding
    from ckpttool.findings.results import Coverage, FileReport, ForwardSummary
    from ckpttool.reports.terminal.page import Page

#: The style of each severity, wherever its word stands.
STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "bold yellow", Severity.NOTE: "cyan"}

_SIDES = 2  # parts of a model that are counted each for itself where one is not whole
_NAMED = 2  # rules of a severity that are named on the line
#: Of these the reader must know whatever else is found: they are named before others.
ALWAYS = (rules.LAYERNORM_INITIAL.code,)
# Of these kinds the sentence of the diagnosis says what the file is: no model of it is known.
_BY_SENTENCE = ("other", "part", "unknown", "empty")
_ENDS = re.compile(r"[,:;]\s|\s\(")  # what ends the part of a sentence that says what it is


def write_verdict(page: Page, file: FileReport, findings: Sequence[Finding] | None = None) -> None:
    """Write the first line on a file; with ``findings`` it names these instead of all."""
    facts = facts_of(file, file.findings if findings is None else findings)
    write_headline(page, VERDICTS[file.verdict], [file.path], facts)


def facts_of(file: FileReport, findings: Sequence[Finding]) -> Iterator[Text]:
    """Yield what a file is, how much of its model it has, whether it computes, what is wrong."""
    yield Text(what_it_is(file))
    if file.coverage is not None and not file.coverage.unrelated:
        yield share_of(file.coverage)
    if file.forward is not None:
        yield _computed(file.forward, file.findings)
    if file.locked is not None:
        whole = file.locked.same == file.locked.tensors
        yield Text("as locked") if whole else styled("not as locked", "bold red")
    yield from found_in(findings)
    if file.published is not None:
        yield Text("as published")
    if file.waived:
        yield Text(f"{len(file.waived):,} waived")


def what_it_is(file: FileReport) -> str:
    """Return what a file is in a few words, safe to print; empty where that was not asked."""
    known = file.diagnosis
    if known is None:
        held = file.coverage is not None and file.coverage.groups
        return printable(file.coverage.schema) if file.coverage is not None and held else ""
    if known.kind in _BY_SENTENCE or known.model is None:
        words = _ENDS.split(known.text, 1)[0]
        return "model not known" if known.kind == "unknown" else printable(words)
    if known.kind == "full":
        groups = file.coverage.groups if file.coverage is not None else {}
        parts = " and ".join(name for name, group in groups.items() if not group.absent)
        return printable(f"{known.model}, {parts}" if parts else known.model)
    return printable(f"{known.model} {known.kind}")


def share_of(coverage: Coverage) -> Text:
    """Return how many tensors of the model are there, of each part that is there at all."""
    there = {name: one for name, one in coverage.groups.items() if not one.absent}
    # the first is the core: it counts even where nothing of it is there
    there = there or dict(list(coverage.groups.items())[:1])
    if not there:
        return Text()
    whole = all(group.complete for group in there.values())
    style = "bold green" if whole else "bold red"
    if whole or len(there) > _SIDES:
        matched, expected = (
            sum(getattr(group, field) for group in there.values())
            for field in ("matched", "expected")
        )
        return styled(f"{matched:,}/{expected:,} tensors", style)
    each = [f"{one.matched:,}/{one.expected:,} {printable(name)}" for name, one in there.items()]
    return styled(f"{', '.join(each)} tensors", style)


def _computed(forward: ForwardSummary, findings: Sequence[Finding]) -> Text:
    if forward.status != "run":
        return styled("forward not run", "bold yellow")
    wrong = any("forward" in one.rule.needs for one in findings if one.severity is Severity.ERROR)
    if wrong or not all(output.finite for output in forward.outputs.values()):
        return styled("forward wrong", "bold red")
    return Text("forward ok")


def found_in(findings: Sequence[Finding], notes: bool = False) -> Iterator[Text]:
    """Yield the errors and warnings by the names of their rules, the worst first."""
    for severity in Severity:
        alike = [found for found in findings if found.severity is severity]
        if not alike:
            continue
        if severity is Severity.NOTE:
            if notes:
                yield Text(count(len(alike), "note"))
            continue
        alike.sort(key=lambda found: found.rule.code not in ALWAYS)
        names = list(dict.fromkeys(printable(found.rule.name) for found in alike))
        named = ", ".join(name.replace("-", " ") for name in names[:_NAMED])
        word = severity.value if len(alike) == 1 else count(len(alike), severity.value)
        more = ", ..." if len(names) > _NAMED else ""
        yield styled(word, STYLES[severity]).append(f": {named}{more}")
