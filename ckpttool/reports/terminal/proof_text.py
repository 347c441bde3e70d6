"""A proof as text: the verdict, what is unexplained or missing, what was done, the files."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Iterable, Iterator, Sequence, TextIO

from rich.text import Text

from ckpttool.findings.finding import Verdict
from ckpttool.findings.name_rules import rules_of
from ckpttool.findings.text import count, printable, size
from ckpttool.proof.result import Operation, Proof, ProofOutcome
from ckpttool.reports.terminal.headline import Sign, write_headline
from ckpttool.reports.terminal.page import BAD, DOUBTFUL, GOOD, Page
from ckpttool.reports.terminal.pair import write_files, write_findings_of, write_structure
from ckpttool.reports.terminal.proof_reasons import write_missing, write_reasons

if TYPE_CHECKING:
    from ckpttool.proof.result import (
        AdapterFacts,
        Cast,
        Explained,
        Merging,
    )

_PAIRS = 8  # pairs of names in a line
_RULES = 3  # rules of names, before the rest is counted
_LONG = 4000  # characters of names in a line
_NOTE = 400  # characters of a note

_VERDICTS = {
    ProofOutcome.PROVEN: Sign(GOOD, "PROVEN", "bold green"),
    ProofOutcome.NOT_PROVEN: Sign(BAD, "NOT PROVEN", "bold red"),
    ProofOutcome.CANNOT_TELL: Sign(DOUBTFUL, "CANNOT TELL", "bold yellow"),
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
    sign, paths = _VERDICTS[proof.outcome], (proof.made.path, proof.source.path)
    write_headline(page, sign, paths, _summary(proof), " from ")
    write_findings_of(page, "B", proof.made)
    write_findings_of(page, "A", proof.source)
    for adapter in proof.adapters:
        write_findings_of(page, "adapter", adapter.file)
    write_reasons(page, "unexplained", proof.unexplained)
    write_missing(page, proof.not_allowed, "missing from B")
    write_reasons(page, "parts of the adapter that are not merged", proof.unmerged)
    allowed = [one for one in proof.missing if one.allowed]
    write_missing(page, allowed, "missing from B, as allowed")
    _write_facts(page, proof)


def _write_facts(page: Page, proof: Proof) -> None:
    page.blank()
    for operation, number in proof.counts.items():
        if number:
            _write_operation(page, operation, number, proof.explained)
    if proof.digests_from is None:
        write_files(page, ("B", "from A"), (proof.made, proof.source))
    else:
        write_files(page, ("B",), (proof.made,))
        listed = f"{proof.digests_from}, digests of {count(proof.source.tensors or 0, 'tensor')}"
        page.row("from A", Text(f"{listed} alone"))
    for adapter in proof.adapters:
        _write_adapter(page, adapter)
    write_structure(page, proof.structure, " -> ", described=proof.digests_from is None)
    if proof.receipt is not None:
        page.row("receipt", Text(printable(proof.receipt)))
    for note in proof.notes:
        page.row("not checked", Text(printable(note, _NOTE)))


def _write_adapter(page: Page, adapter: AdapterFacts) -> None:
    text = Text(printable(adapter.file.path))
    if adapter.file.format is not None:
        told = [f"{adapter.file.format}, {size(adapter.file.size or 0)}"]
        told.append(count(adapter.modules, "module"))
        if adapter.modules:
            told[-1] += f", rank {_listed(adapter.ranks)}, scale {_listed(adapter.scales)}"
        if adapter.whole:
            told.append(f"{count(adapter.whole, 'tensor')} to put in A's place")
        text.append(f": {'; '.join(told)}")
    page.row("adapter", text)
    for note in adapter.notes:
        page.row("", Text(printable(note, _LONG)))


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
        yield from _rules(named)
    if found:
        pairs = ", ".join(map(_pair, found[:_PAIRS]))
        rest = f" and {len(found) - _PAIRS:,} more" if len(found) > _PAIRS else ""
        yield f"{count(len(found), 'tensor')} by content, {pairs}{rest}"


def _rules(named: Sequence[Explained]) -> Iterator[str]:
    """Yield what turns the names of A into those of B, the most frequent first."""
    pairs = [(" + ".join(one.sources), " + ".join(one.names)) for one in named]
    rules = sorted(rules_of(pairs).items(), key=lambda item: -len(item[1]))
    for rule, alike in rules[:_RULES]:
        number = f"{len(alike):,} of them " if len(rules) > 1 < len(alike) else ""
        yield f"{number}{printable(rule.left, 400)} -> {printable(rule.right, 400)}"
    if len(rules) > _RULES:
        yield f"and {sum(len(alike) for _, alike in rules[_RULES:]):,} more"


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


def _summary(proof: Proof) -> list[str]:
    files = [("B", proof.made), ("A", proof.source)]
    files += [("the adapter", one.file) for one in proof.adapters]
    told = [
        f"{which} {_TROUBLE[file.verdict]}" for which, file in files if file.verdict in _TROUBLE
    ]
    explained = sum(len(one.names) for one in proof.explained)
    total = explained + len(proof.unexplained)
    if total and explained == total:
        told.append(f"{'the only tensor' if total == 1 else f'all {total:,} tensors'} explained")
    elif total or not told:
        told.append(f"{explained:,} of {count(total, 'tensor')} explained")
    if proof.not_allowed:
        told.append(f"{count(len(proof.not_allowed), 'tensor')} of A missing")
    if proof.unmerged:
        told.append(f"{count(len(proof.unmerged), 'part')} of the adapter not merged")
    return told
