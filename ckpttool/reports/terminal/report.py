"""The report of ``verify`` as text: what a file covers first, the verdict last."""

from __future__ import annotations

import math
from typing import TextIO

from rich.text import Text

from ckpttool.findings.finding import Verdict
from ckpttool.findings.inventory import account
from ckpttool.findings.results import (
    AgainstSummary,
    Coverage,
    FileReport,
    ForwardSummary,
    GroupCoverage,
    Loading,
    LockSummary,
    PositionTable,
    Report,
    ValuesSummary,
)
from ckpttool.findings.text import count, printable, size
from ckpttool.reports.terminal.counts import counts
from ckpttool.reports.terminal.diagnosis import write_diagnosis
from ckpttool.reports.terminal.findings import (
    verdict_text,
    write_findings,
    write_verdict,
    write_waived,
)
from ckpttool.reports.terminal.inventory import write_inventory
from ckpttool.reports.terminal.page import Page, styled
from ckpttool.reports.terminal.view import TextView


def write(report: Report, stream: TextIO, view: TextView = TextView()) -> None:  # noqa: B008 (a constant)
    """Write the report on a run of ``verify``."""
    page = Page(stream)
    for number, file in enumerate(report.files):
        if number:
            page.blank()
        _write_file(page, file, view)
    if report.inventory:
        page.blank()
        write_inventory(page, report.inventory)
    if report.of_run:
        page.blank()
        page.line(styled("run", "bold"))
        write_findings(page, report.of_run)
    # of one file alone, the line on the file says it all
    if len(report.files) != 1 or report.of_run or report.inventory:
        page.blank()
        page.line(verdict_text(page, report.verdict) + Text(f" {_totals(report)}"), 0, 2)


def _write_file(page: Page, file: FileReport, view: TextView) -> None:
    page.line(Text(printable(file.path), style="bold"), 0, 2)
    if file.configuration is not None:
        path, sha256 = file.configuration
        page.whole("config", Text(f"{printable(path)} (SHA-256 {sha256})"))
    _write_facts(page, file)
    if file.findings:
        page.blank()
        write_findings(page, file.findings)
    if file.waived and view.show_waived:
        page.blank()
        write_waived(page, file.waived)
    page.blank()
    write_verdict(page, file)


def _write_facts(page: Page, file: FileReport) -> None:
    if file.format is not None:
        page.row("file", Text(describe(file)))
    if file.diagnosis is not None:
        write_diagnosis(page, file.diagnosis)
    _write_held(page, file)
    _write_values(page, file)
    if file.forward is not None:
        page.row("forward", Text(_forward(file.forward)))
    if file.locked is not None:
        page.row("lock", Text(_locked(file.locked, printable(file.lock or ""))))
    if file.published is not None:
        page.row("published", Text(f"the MD5 sum is that of the published {file.published}"))
    if file.fingerprint is not None:
        page.whole("fingerprint", Text(file.fingerprint))


def _write_held(page: Page, file: FileReport) -> None:
    """Write what the file was held against: a model, a schema, another checkpoint."""
    if file.schema_from is not None:
        page.row("schema", Text(printable(file.schema_from)))
    # of a part whose sizes are not known, numbers would be those of another model
    unknown = file.loading is None and file.diagnosis and file.diagnosis.kind == "part"
    # another checkpoint takes the place of a schema
    alone = file.against is not None and not (file.coverage and file.coverage.groups)
    if file.coverage is not None and not (unknown or alone):
        _write_coverage(page, file.coverage, file.loading)
    if file.against is not None:
        page.row("against", against_text(file.against))


def _write_coverage(page: Page, coverage: Coverage, loading: Loading | None) -> None:
    page.row("coverage", coverage_text(coverage))
    if loading is not None and not coverage.unrelated:
        page.row("loads", loading_text(loading, coverage))


def _write_values(page: Page, file: FileReport) -> None:
    if file.quantized is not None:
        page.row("quantized", Text(printable(file.quantized)))
    values = file.values
    if values is None:
        return
    page.row("values", Text(_values(values)))
    tables = values.position_tables.items()
    if tables:
        told = "; ".join(f"{name} {_position_table(table)}" for name, table in tables)
        page.row("positions", Text(told))


def describe(file: FileReport) -> str:
    """Return the facts of a file that could be opened, in one line."""
    facts = [f"{file.format}, {size(file.size or 0)}"]
    facts.append(f"{count(file.tensors or 0, 'tensor')}, {millions(file.parameters or 0)}")
    if file.wrapper is not None:
        facts.append(f"wrapper {printable(file.wrapper)}")
    # against a schema, names count as they stand: no layout was looked for
    if file.layout or file.coverage is None or file.diagnosis is not None:
        facts.append(f"layout {file.layout}" if file.layout else "layout not recognised")
    return "; ".join(facts)


def _position_table(table: PositionTable) -> str:
    # where a table is none of these, its text says how far it is off
    told = table.kind in ("sin-cos", "interpolated", "stretched")
    return f"{table.text}, residual {table.residual:.3g}" if told else table.text


def coverage_text(coverage: Coverage) -> Text:
    """Return how much of the model comes from the checkpoint."""
    if not coverage.groups:
        return Text("not checked: there is no schema")
    if coverage.unrelated:
        others = count(len(coverage.unexpected), "tensor")
        none = f"none of the names of {printable(coverage.schema)}; {others} of others"
        return styled(none, "bold red")
    text = _share(next(iter(coverage.groups)), coverage.core).append(" from the checkpoint")
    for name, group in coverage.others.items():
        text.append("; ")
        if group.absent:
            random = f"{count(group.expected, 'tensor')} would stay at random initialisation"
            text.append(f"{printable(name)} absent: {random}")
        else:
            text.append_text(_share(name, group))
    if coverage.unexpected:
        text.append(f"; {count(len(coverage.unexpected), 'tensor')} unexpected")
    return text


def loading_text(loading: Loading, coverage: Coverage) -> Text:
    """Return what of the model is filled by the names in the file, and by the model's own."""
    # of which model: a loader of another library, which spells names as the file does, fills more
    number = f"{loading.filled:,} of {count(loading.tensors, 'tensor')} of "
    number += printable(coverage.schema)
    percent = _percent(loading.filled_parameters, loading.parameters)
    text = Text(f"{loading.loader} fills ")
    text.append(f"{number}, {percent} of the parameters", "" if loading.filled else "bold red")
    if loading.renamed != loading.filled:
        percent = _percent(loading.renamed_parameters, loading.parameters)
        after = f"after ckpttool convert --to safetensors --layout {loading.layout}"
        text.append(
            f"; {after if loading.layout else 'under its own names'} {loading.renamed:,}, {percent}"
        )
    left = []
    for name, tensors in loading.random.items():
        if loading.filled:  # else it is all of them
            whole = tensors == coverage.groups[name].expected
            told = f"the {name}" if whole else f"{tensors:,} of the {name}"
            told = printable(told)
            left.append(told)
    if left:
        text.append(f"; left random: {', '.join(left)}")
    if loading.refused:
        differ = count(loading.refused, "tensor")
        text.append(f"; raises an error: {differ} of another shape", "bold red")
    return text


def _percent(part: int, whole: int) -> str:
    # rounded down: 100.00 % is said of the whole only
    return f"{math.floor(10_000 * part / max(whole, 1)) / 100:.2f} %"


def against_text(against: AgainstSummary) -> Text:
    """Return how much of another checkpoint a file has, and how much of that is the same."""
    complete = (against.found, against.found_parameters) == (against.tensors, against.parameters)
    percent = _percent(against.found_parameters, against.parameters)
    wrapper = "" if against.wrapper is None else f", wrapper {printable(against.wrapper)}"
    text = Text(f"{printable(against.path)}{wrapper}: ").append(
        f"{against.found:,} of {count(against.tensors, 'tensor')}, {percent} of the parameters",
        "bold green" if complete else "bold red",
    )
    percent = _percent(against.same_parameters, against.parameters)
    text.append(f"; the same {against.same:,}, {percent}")
    if against.cast:
        text.append(f", {against.cast:,} of them cast")
    if against.kind == "digests":
        text.append("; compared by their digests")
    return text.append(f"; demanded: {printable(against.demanded)}")


def _share(name: str, group: GroupCoverage) -> Text:
    covered, whole = millions(group.covered, unit=""), millions(group.parameters, unit="")
    if group.covered == group.parameters:
        told = whole
    elif covered == whole:  # a hole that rounding would hide
        told = f"{group.covered:,} of {group.parameters:,}"
    else:
        told = f"{covered} of {whole}"
    told = f"{group.matched}/{group.expected} {printable(name)} tensors, {told} parameters, "
    told += _percent(group.covered, group.parameters)
    return Text().append(told, "bold green" if group.complete else "bold red")


def millions(parameters: int, unit: str = " parameters") -> str:
    """Return a number of parameters in millions: ``303.3 M parameters``."""
    if parameters < 1_000_000:
        return f"{parameters:,}{unit}"
    return f"{parameters / 1e6:,.1f} M{unit}"


def _values(values: ValuesSummary) -> str:
    facts = [f"{count(values.examined, 'tensor')} read"]
    facts.append(f"NaN in {count(values.nan, 'tensor')}" if values.nan else "no NaN")
    facts.append(f"infinity in {count(values.infinite, 'tensor')}" if values.infinite else "no Inf")
    text = ", ".join(facts)
    if values.skipped:
        text += f"; {count(values.skipped, 'tensor')} not read"
    if not values.checksums:
        return f"{text}; no stored checksums to compare"
    if values.bad_checksums:
        return f"{text}; {values.bad_checksums} of {count(values.checksums, 'checksum')} wrong"
    return f"{text}; {count(values.checksums, 'stored checksum')} right"


def _forward(forward: ForwardSummary) -> str:
    if forward.status != "run":
        return f"not run: {printable(forward.reason or 'no reason given')}"
    head = f"{forward.scope} on {printable(str(forward.device))}"
    if forward.inputs is not None:
        head += f", called with {printable(forward.inputs)}"
    parts = [head if forward.tokens is None else f"{head}, {forward.tokens} tokens"]
    for name, output in forward.outputs.items():
        finite = "all finite" if output.finite else "NOT ALL FINITE"
        parts.append(
            f"{printable(name)} {' x '.join(map(str, output.shape))}: mean {output.mean:.3g}, "
            f"std {output.std:.3g}, from {output.min:.3g} to {output.max:.3g}, {finite}"
        )
    if forward.unused:
        parts.append(f"not used: {printable(', '.join(forward.unused))}")
    if forward.difference is not None:
        parts.append(f"two images differ by up to {forward.difference:.3g}")
    if forward.loss is not None:
        parts.append(f"loss {forward.loss:.4g}")
    return "; ".join(parts)


def _locked(locked: LockSummary, path: str) -> str:
    text = f"{locked.same:,} of {count(locked.tensors, 'tensor')} as locked in {path}"
    if locked.distance is None or locked.tolerance is None:
        return f"{text}; outputs not compared"
    word = "within" if locked.distance <= locked.tolerance else "BEYOND"
    far = f"{locked.distance:.2g} from the locked ones"
    return f"{text}; outputs {far}, {word} the tolerance of {locked.tolerance:.2g}"


def _totals(report: Report) -> str:
    verdicts = [file.verdict for file in report.files]
    numbers = [
        (verdicts.count(Verdict.PASS), "pass"),
        (verdicts.count(Verdict.FAIL), "fail"),
        (verdicts.count(Verdict.CANNOT_TELL), "cannot tell"),
    ]
    told = ", ".join(f"{number} {word}" for number, word in numbers if number)
    text = f"{count(len(verdicts), 'file')}"
    text += f": {told}" if told else ""
    if report.of_run:
        text += f"; the run itself: {counts(report.of_run)}"
    beside = account(report.inventory)
    return f"{text}; {beside}" if beside else text
