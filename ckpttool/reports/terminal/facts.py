"""The facts of a file that ``verify`` has read: what its verdict rests on, a row each.

What the first line or a finding has said already is not said again: a row is there for what is new.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Collection, Iterable, Sequence

from rich.text import Text

from ckpttool.findings import rules
from ckpttool.findings.text import count, percent, printable, size
from ckpttool.reports.details import LONG
from ckpttool.reports.terminal.diagnosis import write_diagnosis
from ckpttool.reports.terminal.page import styled
from ckpttool.reports.terminal.pictures import write_reconstructions
from ckpttool.reports.terminal.verdict import is_same_for_both

if TYPE_CHECKING:
    from ckpttool.findings.finding import Finding
    from ckpttool.findings.results import (
        AgainstSummary,
        Coverage,
        FileReport,
        ForwardSummary,
        GroupCoverage,
        Loading,
        LockSummary,
        ValuesSummary,
    )
    from ckpttool.reports.terminal.page import Page

# Rules whose findings say that something was not looked at -> how it is said of the file.
_SAY_UNCHECKED = {
    rules.FORWARD_NOT_RUN.code: "the forward pass (",
    rules.NO_SCHEMA.code: "names, shapes and dtypes (",
}
# Where one of these is found, it says what is wrong with a position table.
_OF_POSITIONS = (rules.POS_EMBED.code, rules.LEARNED_POSITIONS.code)


def write_facts(page: Page, file: FileReport) -> None:
    """Write the facts of a file, but for what was not looked at."""
    if file.diagnosis is not None:
        # where every tensor is the model's, the first line has said by how many names that is known
        told = file.coverage is not None and _is_plain(file.coverage)
        more = ";" in file.diagnosis.established  # for example what was taken out of the names
        write_diagnosis(page, file.diagnosis, established=more or not told)
    if file.format is not None:
        page.row("file", Text(describe(file)))
    _write_held(page, file)
    _write_values(page, file)
    if file.forward is not None and not _says_why_not(file):
        page.row("forward", Text(_forward(file.forward)))
    write_reconstructions(page, file.reconstructions)
    if file.locked is not None:
        page.row("lock", Text(_locked(file.locked, printable(file.lock or ""))))
    if file.published is not None:
        page.row("published", Text(f"the MD5 sum is that of the published {file.published}"))
    if file.fingerprint is not None:
        page.whole("fingerprint", Text(file.fingerprint))


def write_configuration(page: Page, files: Sequence[FileReport]) -> None:
    """Write the configurations that files were judged by, each once."""
    numbers = Counter(file.configuration for file in files)
    for configuration, number in numbers.items():
        if configuration is not None:
            path, sha256 = configuration
            some = f": {count(number, 'file')}" if number < len(files) else ""
            page.whole("config", Text(f"{printable(path)} (SHA-256 {sha256}){some}"))


def untold(file: FileReport, findings: Iterable[Finding]) -> list[str]:
    """Return what was not looked at in a file, but for what these findings say of it."""
    told = tuple(
        _SAY_UNCHECKED[one.rule.code] for one in findings if one.rule.code in _SAY_UNCHECKED
    )
    return [text for text in file.unchecked if not text.startswith(told)]


def write_unchecked(page: Page, unchecked: Iterable[str]) -> None:
    """Write what was not looked at: it is never left out."""
    # each shortened for itself: in a long list the middle would be gone
    told = "; ".join(printable(text, LONG) for text in unchecked)
    if told:
        page.row("not checked", Text(told))


def _says_why_not(file: FileReport) -> bool:
    """Whether the forward pass was not run, and what was not checked says why."""
    reason = file.forward.reason if file.forward and file.forward.status != "run" else None
    return reason is not None and any(reason in text for text in file.unchecked)


def _write_held(page: Page, file: FileReport) -> None:
    """Write what the file was held against: a model, a schema, another checkpoint."""
    if file.schema_from is not None:
        page.row("schema", Text(printable(file.schema_from)))
    # without a schema, what was not checked says so
    if file.coverage is not None and file.coverage.groups and file.is_sized:
        _write_coverage(page, file, file.coverage)
    if file.against is not None:
        page.row("against", against_text(file.against))


def _write_coverage(page: Page, file: FileReport, coverage: Coverage) -> None:
    said = [found.message for found in file.findings if found.rule is rules.DECODER_ABSENT]
    absent = {name for name, one in coverage.groups.items() if one.absent}
    absent = {name for name in absent if any(text.startswith(f"{name} ") for text in said)}
    left = [name for name in coverage.others if name in absent]
    # all of one part and no more: the first line says how many, the row "file" how large
    if not _is_plain(coverage) or len(left) < sum(one.absent for one in coverage.others.values()):
        page.row("coverage", coverage_text(coverage, left))
    if file.loading is not None and not coverage.unrelated:
        page.row("loads", loading_text(file.loading, coverage))


def _is_plain(coverage: Coverage) -> bool:
    """Whether every part of the model is whole or absent, and no tensor is left over."""
    parts = coverage.groups.values()
    core = coverage.core.complete and bool(coverage.groups)
    return core and not coverage.unexpected and all(one.complete or one.absent for one in parts)


def _write_values(page: Page, file: FileReport) -> None:
    if file.quantized is not None:
        page.row("quantized", Text(printable(file.quantized)))
    values = file.values
    if values is None:
        return
    page.row("values", Text(_values(values)))
    wrong = {
        name
        for found in file.findings
        if found.rule.code in _OF_POSITIONS
        for name in found.tensors
    }
    tables = [
        f"{name} {table.text}"
        for name, table in values.position_tables.items()
        if name not in wrong
    ]
    if tables:
        page.row("positions", Text("; ".join(tables)))


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


def coverage_text(coverage: Coverage, told: Collection[str] = ()) -> Text:
    """Return how much of the model comes from the checkpoint.

    Args:
        coverage: the checkpoint against the model.
        told: parts of which a finding says that they are absent.
    """
    if not coverage.groups:
        return Text("not checked: there is no schema")
    if coverage.unrelated:
        others = count(len(coverage.unexpected), "tensor")
        none = f"none of the names of {printable(coverage.schema)}; {others} of others"
        return styled(none, "bold red")
    text = _share(next(iter(coverage.groups)), coverage.core).append(" from the checkpoint")
    for name, group in coverage.others.items():
        if name in told:
            continue
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
    matched = sum(group.matched for group in coverage.groups.values())
    text = Text(f"{loading.loader} ")
    if loading.filled == loading.renamed == matched and not loading.refused:
        return text.append(f"fills these {matched:,} by the names in the file")
    # of which model: a loader of another library, which spells names as the file does, fills more
    number = f"{loading.filled:,} of {count(loading.tensors, 'tensor')} of "
    number += printable(coverage.schema)
    share = percent(loading.filled_parameters, loading.parameters)
    text.append("fills ")
    text.append(f"{number}, {share} of the parameters", "" if loading.filled else "bold red")
    if loading.renamed != loading.filled:
        share = percent(loading.renamed_parameters, loading.parameters)
        after = f"after ckpttool convert --to safetensors --layout {loading.layout}"
        text.append(
            f"; {after if loading.layout else 'under its own names'} {loading.renamed:,}, {share}"
        )
    left = list(_left_random(loading, coverage))
    if left:
        text.append(f"; left random: {', '.join(left)}")
    if loading.refused:
        differ = count(loading.refused, "tensor")
        text.append(f"; raises an error: {differ} of another shape", "bold red")
    return text


def _left_random(loading: Loading, coverage: Coverage) -> Iterable[str]:
    if not loading.filled:  # all of it is
        return
    for name, tensors in loading.random.items():
        group = coverage.groups.get(name)  # a stored result may have none of that name
        whole = group is not None and tensors == group.expected
        yield printable(f"the {name}" if whole else f"{tensors:,} of the {name}")


def against_text(against: AgainstSummary) -> Text:
    """Return how much of another checkpoint a file has, and how much of that is the same."""
    complete = (against.found, against.found_parameters) == (against.tensors, against.parameters)
    share = percent(against.found_parameters, against.parameters)
    wrapper = "" if against.wrapper is None else f", wrapper {printable(against.wrapper)}"
    text = Text(f"{printable(against.path)}{wrapper}: ").append(
        f"{against.found:,} of {count(against.tensors, 'tensor')}, {share} of the parameters",
        "bold green" if complete else "bold red",
    )
    share = percent(against.same_parameters, against.parameters)
    text.append(f"; the same {against.same:,}, {share}")
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
    told += percent(group.covered, group.parameters)
    return Text().append(told, "bold green" if group.complete else "bold red")


def millions(parameters: int, unit: str = " parameters") -> str:
    """Return a number of parameters in millions: ``303.3 M parameters``."""
    if parameters < 1_000_000:
        return f"{parameters:,}{unit}"
    return f"{parameters / 1e6:,.1f} M{unit}"


def _values(values: ValuesSummary) -> str:
    read = count(values.examined, "tensor")
    if values.skipped:
        read = f"{values.examined:,} of {count(values.examined + values.skipped, 'tensor')}"
    nan = f"NaN in {count(values.nan, 'tensor')}" if values.nan else "no NaN"
    infinite = f"infinity in {count(values.infinite, 'tensor')}"
    text = f"{read} read: {nan}, {infinite if values.infinite else 'no infinity'}"
    if not values.checksums:
        return f"{text}; the file stores no checksums to compare"
    if values.bad_checksums:
        wrong = f"{values.bad_checksums:,} of {count(values.checksums, 'stored checksum')}"
        return f"{text}; {wrong} wrong"
    return f"{text}; {count(values.checksums, 'stored checksum')} right"


def _forward(forward: ForwardSummary) -> str:
    """Say what the model computed; JSON has the numbers in full."""
    if forward.status != "run":
        return f"not run: {printable(forward.reason or 'no reason given')}"
    whole = "whole model" if forward.scope == "full" else forward.scope
    head = f"{whole} on {printable(str(forward.device))}"
    if forward.inputs is not None:
        head += f", called with {printable(forward.inputs)}"
    parts = [
        f"{printable(name)} {' x '.join(map(str, output.shape))}, "
        + (
            f"all finite, from {output.min:.3g} to {output.max:.3g}"
            if output.finite
            else "NOT ALL FINITE"
        )
        for name, output in forward.outputs.items()
    ]
    if forward.difference is not None and math.isfinite(forward.difference):
        parts.append(_apart(forward, forward.difference))
    if forward.loss is not None:
        parts.append(f"loss on hidden patches {forward.loss:.3g}")
    if forward.unused:
        parts.append(f"not used: {printable(', '.join(forward.unused))}")
    return f"{head}: {'; '.join(parts)}"


def _apart(forward: ForwardSummary, difference: float) -> str:
    """Say whether the output depends on the image; not in numbers that have no scale."""
    if not is_same_for_both(forward):
        return "different for the two test images"
    return f"nearly the SAME for the two test images (at most {difference:.2g} apart)"


def _locked(locked: LockSummary, path: str) -> str:
    text = f"{locked.same:,} of {count(locked.tensors, 'tensor')} as locked in {path}"
    if locked.distance is None or locked.tolerance is None:
        return f"{text}; outputs not compared"
    word = "within" if locked.distance <= locked.tolerance else "BEYOND"
    far = f"{locked.distance:.2g} from the locked ones"
    return f"{text}; outputs {far}, {word} the tolerance of {locked.tolerance:.2g}"
