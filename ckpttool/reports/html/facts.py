"""The facts on one file, in words: what it is, what it covers, where it is from."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Iterator

from ckpttool.findings.rules import Severity
from ckpttool.findings.text import count, percent, printable, size
from ckpttool.reports.details import LONG
from ckpttool.reports.html.page import Fact
from ckpttool.reports.html.shown import name, number, parameters

if TYPE_CHECKING:
    from ckpttool.findings.results import Coverage, FileReport, ForwardSummary, ValuesSummary


def tiles(file: FileReport) -> Iterator[Fact]:
    """Yield the facts that matter most, a few words each."""
    coverage = file.coverage if file.is_sized else None
    if coverage is not None and coverage.groups and not coverage.unrelated:
        for group, covered in coverage.groups.items():
            told = "absent" if covered.absent else f"{covered.matched:,} / {covered.expected:,}"
            yield Fact(f"{name(group)} tensors", told)
    elif file.tensors is not None:
        yield Fact("tensors", f"{file.tensors:,}")
    if file.parameters is not None:
        yield Fact("parameters", parameters(file.parameters))
    if file.size is not None:
        yield Fact("size", size(file.size))
    if file.forward is not None:
        yield Fact("forward pass", _outcome(file.forward))


def _outcome(forward: ForwardSummary) -> str:
    if forward.status != "run":
        return "not run"
    finite = all(output.finite for output in forward.outputs.values())
    return "all finite" if finite else "NOT ALL FINITE"


def facts(file: FileReport) -> Iterator[Fact]:
    """Yield what is known of a file beside its findings."""
    diagnosis = file.diagnosis
    if diagnosis is not None:
        established = f" ({diagnosis.established})" if diagnosis.established else ""
        yield Fact("what it is", printable(f"{diagnosis.text}{established}", LONG))
        for assumed in diagnosis.assumed:
            yield Fact("assumed", printable(assumed, LONG))
    if file.quantized is not None:
        yield Fact("quantized", printable(file.quantized, LONG))
    if file.loading is not None:
        load = file.loading
        yield Fact(
            f"{printable(load.loader)} fills",
            f"{load.filled:,} of {count(load.tensors, 'tensor')}, "
            f"{percent(load.filled_parameters, load.parameters)} of the parameters",
        )
    if file.values is not None:
        yield Fact("values", _values(file.values))
        for table, told in file.values.position_tables.items():
            yield Fact("position table", f"{name(table)}: {printable(told.text)}")
    if file.forward is not None:
        yield from _forward(file.forward)
    if diagnosis is not None and diagnosis.next is not None:
        yield Fact("next", printable(diagnosis.next, LONG), code=True)


def _values(values: ValuesSummary) -> str:
    told = [f"{count(values.examined, 'tensor')} read"]
    told.append(f"NaN in {count(values.nan, 'tensor')}" if values.nan else "no NaN")
    told.append(
        f"infinity in {count(values.infinite, 'tensor')}" if values.infinite else "no infinity"
    )
    if values.skipped:
        told.append(f"{count(values.skipped, 'tensor')} not read")
    if values.checksums:
        right = values.checksums - values.bad_checksums
        told.append(f"{right:,} of {count(values.checksums, 'stored checksum')} right")
    else:
        told.append("the file stores no checksums")
    return ", ".join(told)


def _forward(forward: ForwardSummary) -> Iterator[Fact]:
    if forward.status != "run":
        yield Fact("forward pass", f"not run: {printable(forward.reason or '', LONG)}")
        return
    yield Fact("forward pass", f"{forward.scope} on {printable(str(forward.device))}")
    for output, told in forward.outputs.items():
        sizes = " x ".join(map(str, told.shape))
        yield Fact(
            f"output {name(output)}",
            f"{sizes}: mean {number(told.mean)}, std {number(told.std)}, from {number(told.min)} "
            f"to {number(told.max)}{'' if told.finite else ', NOT ALL FINITE'}",
        )
    if forward.loss is not None:
        yield Fact("loss on hidden patches", number(forward.loss, 4))


def provenance(file: FileReport, version: str) -> Iterator[Fact]:
    """Yield which file this was, what it was held against, and how to do it again."""
    yield from origin(file)
    told = file.fingerprint or "not computed (verify --fingerprint computes it)"
    yield Fact("fingerprint of the weights", told, code=file.fingerprint is not None)
    yield from _held_to(file)
    yield Fact("fails on", file.fail_on.value)
    yield Fact("command", _command(file), code=True)
    yield Fact("made by", f"ckpttool {printable(version)}")


def origin(file: FileReport) -> Iterator[Fact]:
    """Yield which file this was: what every command knows of it."""
    yield Fact("file", name(file.path), code=True)
    if file.size is not None:
        yield Fact("size", f"{file.size:,} bytes")
    if file.format is not None:
        yield Fact("container", file.format)
    if file.wrapper is not None:
        yield Fact("wrapper", name(file.wrapper), code=True)
    if file.layout is not None:
        yield Fact("naming convention", file.layout)
    if file.published is not None:
        yield Fact("published", f"the MD5 sum is that of the published {file.published}")
    if file.schema_from is not None:
        yield Fact("schema", printable(file.schema_from, LONG))
    if file.configuration is not None:
        yield Fact("configuration", name(file.configuration.path), code=True)
        yield Fact("its SHA-256", file.configuration.sha256, code=True)


def _held_to(file: FileReport) -> Iterator[Fact]:
    if file.lock is not None:
        yield Fact("lock file", name(file.lock), code=True)
    if file.locked is not None:
        of = count(file.locked.tensors, "tensor")
        yield Fact("locked weights", f"{file.locked.same:,} of {of} are as locked")
    if file.against is not None:
        other = file.against
        yield Fact("held against", name(other.path), code=True)
        yield Fact(
            "the same there",
            f"{other.same:,} of {count(other.tensors, 'tensor')}; demanded: "
            f"{printable(other.demanded, LONG)}",
        )


def _command(file: FileReport) -> str:
    """Return a command that asks the same of the file, as far as the result says what was asked."""
    words = ["ckpttool", "verify", name(file.path)]
    if file.lock is not None:
        words += ["--lock", name(file.lock)]
    if file.against is not None:
        words += ["--against", name(file.against.path)]
    if file.fail_on is not Severity.ERROR:
        words += ["--fail-on", file.fail_on.value]
    return " ".join(map(shlex.quote, words))


def coverage_rows(coverage: Coverage) -> Iterator[tuple[str, ...]]:
    """Yield a row for each part of the model: its tensors and parameters in the file, and not."""
    for group, covered in coverage.groups.items():
        yield (
            name(group),
            f"{covered.matched:,} of {covered.expected:,}",
            f"{len(covered.missing):,}",
            f"{len(covered.mismatched):,}",
            f"{covered.covered:,} of {covered.parameters:,}",
            percent(covered.covered, covered.parameters),
        )
