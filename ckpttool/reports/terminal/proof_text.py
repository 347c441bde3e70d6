"""A proof as text: a line for each operation, what is unexplained, what is missing, a verdict."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Iterable, Iterator, Sequence, TextIO, Union

from rich.text import Text

from ckpttool.findings.finding import Verdict
from ckpttool.findings.names import summarise
from ckpttool.findings.text import count, printable, size
from ckpttool.proof.result import Operation, Proof, ProofOutcome
from ckpttool.reports.terminal.facts import describe
from ckpttool.reports.terminal.findings import write_findings
from ckpttool.reports.terminal.page import BAD, DOUBTFUL, GOOD, Page, styled

if TYPE_CHECKING:
    from ckpttool.findings.results import FileReport
    from ckpttool.proof.result import (
        AdapterFacts,
        AdapterPart,
        Cast,
        Explained,
        Merging,
        Missing,
        Unexplained,
    )

_SHOWN = 40  # lines of a list, before the rest is counted
_PAIRS = 8  # pairs of names in a line
_LONG = 4000  # characters of names in a line

_VERDICTS = {
    ProofOutcome.PROVEN: (GOOD, "PROVEN", "bold green"),
    ProofOutcome.NOT_PROVEN: (BAD, "NOT PROVEN", "bold red"),
    ProofOutcome.CANNOT_TELL: (DOUBTFUL, "CANNOT TELL", "bold yellow"),
}
_TITLES = {
    Operation.TIED: "tied",
    Operation.MERGED: "merged",
    Operation.REPLACED: "replaced",
}
_TROUBLE = {Verdict.FAIL: "cannot be trusted", Verdict.CANNOT_TELL: "cannot be judged"}


def write(proof: Proof, stream: TextIO) -> None:
    """Write the report."""
    page = Page(stream)
    _write_file(page, "B", proof.made)
    _write_file(page, "from A", proof.source, proof.digests_from)
    for adapter in proof.adapters:
        _write_adapter(page, adapter)
    for fact in proof.structure:
        told = f"{printable(fact.left)} -> {printable(fact.right)}"
        page.row(fact.name, Text(told), 2, max(len(fact.name) + 4, 15))
    for operation, number in proof.counts.items():
        if number:
            _write_operation(page, operation, number, proof.explained)
    unexplained, unmerged = proof.unexplained, proof.unmerged
    _write_reasons(page, f"unexplained: {count(len(unexplained), 'tensor')} of B", unexplained)
    _write_missing(page, proof.missing)
    _write_reasons(page, f"not merged: {count(len(unmerged), 'part')} of the adapter", unmerged)
    page.blank()
    _write_verdict(page, proof)


def _write_file(page: Page, label: str, file: FileReport, listed: str | None = None) -> None:
    text = styled(printable(file.path), "bold")
    if listed is not None:
        text.append(f": {listed}, digests of {count(file.tensors or 0, 'tensor')} alone")
    elif file.format is not None:
        text.append(f": {describe(file)}")
    page.row(label, text, 0, 8)
    if file.findings:
        write_findings(page, file.findings)


def _write_adapter(page: Page, adapter: AdapterFacts) -> None:
    text = styled(printable(adapter.file.path), "bold")
    if adapter.file.format is not None:
        told = [f"{adapter.file.format}, {size(adapter.file.size or 0)}"]
        told.append(count(adapter.modules, "module"))
        if adapter.modules:
            told[-1] += f", rank {_listed(adapter.ranks)}, scale {_listed(adapter.scales)}"
        if adapter.whole:
            told.append(f"{count(adapter.whole, 'tensor')} to put in A's place")
        text.append(f": {'; '.join(told)}")
    page.row("adapter", text, 0, 8)
    for note in adapter.notes:
        page.line(Text(printable(note, _LONG)), 8)
    if adapter.file.findings:
        write_findings(page, adapter.file.findings)


def _listed(numbers: Sequence[float]) -> str:
    shown = ", ".join(f"{number:g}" for number in numbers[:_PAIRS])
    return shown if len(numbers) <= _PAIRS else f"{shown} and {len(numbers) - _PAIRS:,} more"


def _write_operation(
    page: Page, operation: Operation, number: int, explained: Sequence[Explained]
) -> None:
    chosen = [one for one in explained if operation in one.operations]
    text = count(number, "tensor")
    details = list(_details(operation, chosen))
    if details:
        text = f"{text}: {'; '.join(details)}"
    page.row(_TITLES.get(operation, operation.value), Text(text))


def _details(operation: Operation, chosen: Sequence[Explained]) -> Iterator[str]:
    if operation is Operation.CAST:
        yield from _casts(one.cast for one in chosen if one.cast)
        return
    if operation is Operation.MERGED:
        yield from _merges([one for one in chosen if one.merge])
        return
    if operation in (Operation.DEQUANTISED, Operation.QUANTISED):
        yield from _quantisations(operation, chosen)
        return
    if operation in (Operation.SPLIT, Operation.JOINED):
        yield f"{count(len(chosen), 'time')}, {_pair(chosen[0])} first"
        return
    named = [one for one in chosen if not one.by_content]
    found = [one for one in chosen if one.by_content]
    if operation is not Operation.IDENTICAL and named:
        first = "" if len(named) == 1 else " first"
        yield f"{_pair(named[0])}{first}"
    if found:
        pairs = ", ".join(map(_pair, found[:_PAIRS]))
        rest = f" and {len(found) - _PAIRS:,} more" if len(found) > _PAIRS else ""
        yield f"{count(len(found), 'tensor')} by content, {pairs}{rest}"


def _merges(chosen: Sequence[Explained]) -> Iterator[str]:
    groups: dict[tuple[str, ...], list[Merging]] = {}
    for one in chosen:
        if one.merge is not None:
            merge = one.merge
            groups.setdefault((merge.source, merge.target, merge.arithmetic), []).append(merge)
    for (source, target, arithmetic), alike in groups.items():
        cast = "" if source == target else f"{source} -> {target}, "
        number = f"{len(alike):,} of them " if len(groups) > 1 else ""
        yield f"{number}{cast}replayed within {arithmetic} arithmetic"
        still = sum(not merge.changed for merge in alike)
        if still:
            yield f"{count(still, 'time')} it adds nothing that {target} can show"
        nan = sum(merge.nan for merge in alike)
        if nan:
            yield f"it makes {count(nan, 'element')} NaN"


def _quantisations(operation: Operation, chosen: Sequence[Explained]) -> Iterator[str]:
    schemes: dict[str, list[Explained]] = {}
    for one in chosen:
        if one.quantisation is not None:
            schemes.setdefault(one.quantisation.scheme, []).append(one)
    back = operation is Operation.DEQUANTISED
    how = "exactly" if back else "each number within half a step of its code"
    for scheme, alike in schemes.items():
        first = "" if len(alike) == 1 else " first"
        yield f"{scheme}, {how}, {_pair(alike[0])}{first}"
        for number, text in (
            (sum(one.quantisation.rounded for one in alike if one.quantisation), _ROUNDED),
            (sum(one.quantisation.clipped for one in alike if one.quantisation), _CLIPPED),
        ):
            if number and not back:
                yield f"{count(number, 'number')} {text}"


_ROUNDED = "only if the quotient was rounded to A's type first"
_CLIPPED = "clipped to the outermost code, as the format does it"


def _pair(one: Explained) -> str:
    sides = (printable(" + ".join(names), 400) for names in (one.sources, one.names))
    return " -> ".join(sides)


def _casts(casts: Iterable[Cast]) -> Iterator[str]:
    ordered = sorted(casts, key=lambda cast: cast[:2])
    for (source, target), group in groupby(ordered, key=lambda cast: cast[:2]):
        alike = list(group)
        lost = [
            f"{number:,} {'number' if number == 1 else 'numbers'} became {what}"
            for number, what in (
                (sum(cast.overflow for cast in alike), "infinite"),
                (sum(cast.underflow for cast in alike), "zero"),
            )
            if number
        ]
        told = f" ({', '.join(lost)})" if lost else ""
        yield f"{source} -> {target}, to nearest, ties to even{told}"


def _write_reasons(
    page: Page, title: str, parts: Sequence[Union[Unexplained, AdapterPart]]
) -> None:
    """Write the names of what is in a proof's way, by reasons; nothing if there is nothing."""
    if not parts:
        return
    page.blank()
    page.line(Text(title, style="bold"), 2)
    groups: dict[str, list[str]] = {}
    for one in parts:
        groups.setdefault(one.reason, []).append(one.name)
    for reason, names in list(groups.items())[:_SHOWN]:
        sign = styled(f"{page.sign(BAD)} ", "red")
        shown = [name for name in names if name]  # what is said of an adapter may have no name
        if shown:
            sign.append(printable(summarise(shown, _SHOWN), _LONG), "bold")
            sign.append(": ")
        page.line(sign.append(printable(reason, _LONG)), 4, 8)
    if len(groups) > _SHOWN:
        rest = sum(map(len, list(groups.values())[_SHOWN:]))
        page.line(Text(f"and {rest:,} more (--format json lists all)"), 4)


def _write_missing(page: Page, missing: Sequence[Missing]) -> None:
    for allowed in (False, True):
        chosen = [one for one in missing if one.allowed is allowed]
        if not chosen:
            continue
        page.blank()
        end = ", as allowed" if allowed else ""
        head = f"missing from B: {count(len(chosen), 'tensor')} of A{end}"
        page.line(Text(head, style="bold"), 2)
        alone = [one.name for one in chosen if one.same_as is None]
        if alone:
            page.line(Text(printable(summarise(alone, _SHOWN), _LONG)), 4, 6)
        ties = [f"{one.name} (the same tensor as {one.same_as})" for one in chosen if one.same_as]
        for tie in ties[:_SHOWN]:
            page.line(Text(printable(tie, _LONG)), 4, 6)
        if len(ties) > _SHOWN:
            page.line(Text(f"and {len(ties) - _SHOWN:,} more"), 4)


def _write_verdict(page: Page, proof: Proof) -> None:
    sign, word, style = _VERDICTS[proof.outcome]
    text = styled(f"{page.sign(sign)} {word}", style)
    text.append(f" {printable(proof.made.path)} from {printable(proof.source.path)}: ")
    text.append("; ".join(_summary(proof)))
    page.line(text, 0, 2)
    if proof.receipt is not None:
        page.line(Text(f"receipt {printable(proof.receipt)}"), 2)


def _summary(proof: Proof) -> list[str]:
    files = [("B", proof.made), ("A", proof.source)]
    files += [("the adapter", one.file) for one in proof.adapters]
    told = [
        f"{which} {_TROUBLE[file.verdict]}" for which, file in files if file.verdict in _TROUBLE
    ]
    explained = sum(len(one.names) for one in proof.explained)
    total = explained + len(proof.unexplained)
    if total or not told:
        told.append(f"{explained:,} of {count(total, 'tensor')} of B explained by A")
    if proof.not_allowed:
        told.append(f"{count(len(proof.not_allowed), 'tensor')} of A missing")
    if proof.unmerged:
        told.append(f"{count(len(proof.unmerged), 'part')} of the adapter not merged")
    if proof.notes:
        told.append(f"not looked at: {printable('; '.join(proof.notes), 400)}")
    return told
