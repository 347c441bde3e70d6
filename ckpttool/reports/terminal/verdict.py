"""What the first line on a file says beside its verdict: what it is, how much of it, what is wrong.

``✓ PASS model.pth  mae_vit_large_patch16 encoder · 294/294 tensors · forward ok``
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Iterator, Sequence

from rich.text import Text

from ckpttool.findings import rules
from ckpttool.findings.rules import Severity
from ckpttool.findings.text import count, printable
from ckpttool.reports.terminal.findings import STYLES
from ckpttool.reports.terminal.headline import VERDICTS, write_headline
from ckpttool.reports.terminal.page import styled

if TYPE_CHECKING:
    from ckpttool.findings.finding import Finding
    from ckpttool.findings.results import Coverage, FileReport, ForwardSummary
    from ckpttool.reports.terminal.page import Page

# Outputs for two images that differ by less than this part of their spread are as good as equal.
_SAME = 1e-3
_FULL = "full"  # the scope of a forward pass of all of the model
_SIDES = 2  # parts of a model that are counted each for itself where one is not whole
_NAMED = 2  # rules of a severity that are named on the line
#: Of these the reader must know whatever else is found: they are named before others.
ALWAYS = (rules.LAYERNORM_INITIAL.code,)
# Of these kinds the sentence of the diagnosis says what the file is: no model of it is known.
_BY_SENTENCE = ("other", "part", "unknown", "empty")
# What ends the part of a sentence that says what it is; not ", or", as then it may be either.
_ENDS = re.compile(r"[,:;]\s(?!or\s)|\s\(")


def write_verdict(page: Page, file: FileReport, findings: Sequence[Finding] | None = None) -> None:
    """Write the first line on a file; with ``findings`` it names these instead of all."""
    facts = facts_of(file, file.findings if findings is None else findings)
    write_headline(page, VERDICTS[file.verdict], [file.path], facts)


def facts_of(file: FileReport, findings: Sequence[Finding]) -> Iterator[Text]:
    """Yield what a file is, how much of its model it has, whether it computes, what is wrong."""
    yield Text(what_it_is(file))
    if file.coverage is not None and not file.coverage.unrelated and file.is_sized:
        # a schema that was named has no part that a file may do without
        yield share_of(file.coverage, demanded=file.diagnosis is None)
    if file.forward is not None:
        yield _computed(file.forward, file)
    if file.locked is not None:
        yield Text("as locked") if _is_locked(file) else styled("not as locked", "bold red")
    yield from found_in(findings, fail_on=file.fail_on)
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


def share_of(coverage: Coverage, demanded: bool = False) -> Text:
    """Return how many tensors of the model are there, of each part that is there at all.

    Args:
        coverage: the checkpoint against the model.
        demanded: whether parts of which nothing is there count as well.
    """
    there = {name: one for name, one in coverage.groups.items() if demanded or not one.absent}
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


def _computed(forward: ForwardSummary, file: FileReport) -> Text:
    if forward.status != "run":
        return styled("forward not run", "bold yellow")
    # outputs that are not the locked ones may be right all the same
    wrong = any("forward" in need and "lock" not in need for need in _broken(file))
    finite = all(output.finite for output in forward.outputs.values())
    if wrong or not finite or not math.isfinite(forward.loss or 0):
        return styled("forward wrong", "bold red")
    if is_same_for_both(forward):
        return styled("forward nearly the same for two images", "bold yellow")
    others = file.coverage.others.values() if file.coverage is not None else ()
    if forward.scope != _FULL and not all(group.absent for group in others):
        return Text(f"{printable(forward.scope or '')} forward ok")
    return Text("forward ok")


def is_same_for_both(forward: ForwardSummary) -> bool:
    """Whether the output is as good as equal for the two test images."""
    spread = next((output.std for output in forward.outputs.values()), 1.0)
    far = forward.difference
    return far is not None and far <= _SAME * spread  # NaN is no difference that says anything


def _is_locked(file: FileReport) -> bool:
    """Whether nothing is other than it was locked: no tensor more or less, and the outputs."""
    locked = file.locked
    if locked is None or locked.same != locked.tensors or any("lock" in n for n in _broken(file)):
        return False
    if locked.distance is None or locked.tolerance is None:
        return True
    return locked.distance <= locked.tolerance


def _broken(file: FileReport) -> list[tuple[str, ...]]:
    """Return what a run must do to find each of the errors of a file, waived or not."""
    found = [*file.findings, *(one.finding for one in file.waived)]
    return [one.rule.needs for one in found if one.severity is Severity.ERROR]


def found_in(
    findings: Sequence[Finding], notes: bool = False, fail_on: Severity = Severity.ERROR
) -> Iterator[Text]:
    """Yield errors and warnings by the names of their rules, the worst first.

    Args:
        findings: of a file.
        notes: whether notes are counted.
        fail_on: the least severity that fails the file; notes are named, too, where they do.
    """
    for severity in Severity:
        alike = [found for found in findings if found.severity is severity]
        if not alike:
            continue
        if severity is Severity.NOTE and fail_on is not Severity.NOTE:
            if notes:
                yield Text(count(len(alike), "note"))
            continue
        alike.sort(key=lambda found: found.rule.code not in ALWAYS)
        names = list(dict.fromkeys(printable(found.rule.name) for found in alike))
        named = ", ".join(name.replace("-", " ") for name in names[:_NAMED])
        word = severity.value if len(alike) == 1 else count(len(alike), severity.value)
        more = ", ..." if len(names) > _NAMED else ""
        yield styled(word, STYLES[severity]).append(f": {named}{more}")
