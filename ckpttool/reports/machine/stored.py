"""Reading a stored result of ``verify``, to render it without the weights.

A field that is missing or has another type is an error. Unknown fields are ignored and unknown
rules accepted: a newer ckpttool may have written them.
"""

from __future__ import annotations

import re
from typing import Callable, TypeVar

from ckpttool.findings.errors import UsageError
from ckpttool.findings.finding import Finding, Verdict
from ckpttool.findings.inventory import Item, Standing
from ckpttool.findings.json_fields import SCHEMA_VERSION
from ckpttool.findings.pictures import Reconstruction
from ckpttool.findings.results import (
    LOAD_STATE_DICT,
    AgainstSummary,
    ConfigurationFile,
    Coverage,
    Diagnosis,
    FileReport,
    ForwardSummary,
    GroupCoverage,
    Loading,
    LockSummary,
    Mismatch,
    OutputSummary,
    PositionTable,
    Report,
    ValuesSummary,
    Waived,
)
from ckpttool.findings.rules import RULES, Rule, Severity
from ckpttool.reports.machine.fields import Fields, parse
from ckpttool.reports.machine.stored_pictures import read_reconstruction
from ckpttool.reports.machine.stored_statistics import read_statistics

_SEVERITIES = {severity.value: severity for severity in Severity}
_STANDINGS = {standing.value: standing for standing in Standing}
_VERDICTS = {verdict.value: verdict for verdict in Verdict}

_CODE = re.compile(r"[A-Z]{3}[0-9]{3}")
_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")

_Read = TypeVar("_Read")


def read_report(text: str, path: str) -> Report:
    """Return the report in a JSON document.

    Args:
        text: the document.
        path: of the document, for errors.

    Raises:
        UsageError: it is no report, is of another command or schema version, or its verdict
            does not follow from its files.
    """
    fields = parse(text, path)
    _check_kind(fields, path)
    report = Report(
        tuple(_file(file) for file in fields.inners("files")),
        _findings(fields, "findings"),
        fields.choice("fail_on", _SEVERITIES),
        fields.text("version"),
        _inventory(fields),
    )
    # a report computes these, so that an edited document cannot turn a failure into a pass
    if fields.choice("verdict", _VERDICTS) is not report.verdict:
        fields.wrong("verdict", f"{report.verdict.value}, which follows from the files")
    if fields.whole("exit_code") != report.exit_code:
        fields.wrong("exit_code", f"{report.exit_code}, that of the verdict")
    return report


def _check_kind(fields: Fields, path: str) -> None:
    """Refuse what is no result of ``verify``."""
    # before any other field is read: the error should say what the file is, not what it lacks
    if "tool" not in fields.names() or fields.text("tool") != "ckpttool":
        raise UsageError(
            "not a result of ckpttool",
            path=path,
            fix="Name a file that ckpttool verify --report json=FILE has written.",
        )
    if fields.whole("schema_version") != SCHEMA_VERSION:
        raise UsageError(
            "the result has another schema version",
            path=path,
            expected=SCHEMA_VERSION,
            found=fields.whole("schema_version"),
            fix=f"It was written by ckpttool {fields.text('version')}: render it with that.",
        )
    if fields.text("command") != "verify":
        raise UsageError(
            "only results of verify can be rendered",
            path=path,
            expected="verify",
            found=fields.text("command"),
        )


def _file(fields: Fields) -> FileReport:
    lines = fields.inner("lock_lines")
    return FileReport(
        path=fields.text("path"),
        verdict=fields.choice("verdict", _VERDICTS),
        findings=_findings(fields, "findings"),
        format=fields.maybe("format", fields.text),
        size=fields.maybe("size", fields.whole),
        wrapper=fields.maybe("wrapper", fields.text),
        layout=fields.maybe("layout", fields.text),
        tensors=fields.maybe("tensors", fields.whole),
        parameters=fields.maybe("parameters", fields.whole),
        fingerprint=fields.maybe("fingerprint", fields.text),
        coverage=fields.maybe("coverage", lambda name: _coverage(fields.inner(name))),
        values=fields.maybe("values", lambda name: _values(fields.inner(name))),
        forward=fields.maybe("forward", lambda name: _forward(fields.inner(name))),
        published=fields.maybe("published", fields.text),
        unchecked=fields.texts("unchecked"),
        waived=tuple(_waived(waived) for waived in fields.inners("waived")),
        lock=fields.maybe("lock", fields.text),
        lock_lines={name: lines.whole(name) for name in lines.names()},
        locked=fields.maybe("locked", lambda name: _locked(fields.inner(name))),
        configuration=fields.maybe("configuration", lambda name: _source(fields.inner(name))),
        fail_on=fields.choice("fail_on", _SEVERITIES),
        loading=_later_object(fields, "loading", _loaded),
        diagnosis=_later_object(fields, "diagnosis", _told),
        schema_from=_later(fields, "schema_from", fields.text),
        against=_later_object(fields, "against", _held_against),
        quantized=_later(fields, "quantized", fields.text),
        statistics=_later_object(fields, "statistics", read_statistics),
        reconstructions=_reconstructions(fields),
    )


def _reconstructions(fields: Fields) -> tuple[Reconstruction, ...]:
    if "reconstructions" not in fields.names():
        return ()
    return tuple(map(read_reconstruction, fields.inners("reconstructions")))


def _later(fields: Fields, name: str, read: Callable[[str], _Read]) -> _Read | None:
    """Return what results of earlier versions have not."""
    return fields.maybe(name, read) if name in fields.names() else None


def _later_object(fields: Fields, name: str, read: Callable[[Fields], _Read]) -> _Read | None:
    return _later(fields, name, lambda name: read(fields.inner(name)))


def _loaded(fields: Fields) -> Loading:
    random = fields.inner("random")
    return Loading(
        fields.whole("tensors"),
        fields.whole("parameters"),
        fields.whole("filled"),
        fields.whole("filled_parameters"),
        fields.whole("renamed"),
        fields.whole("renamed_parameters"),
        fields.whole("refused"),
        {name: random.whole(name) for name in random.names()},
        fields.maybe("layout", fields.text),
        _later(fields, "loader", fields.text) or LOAD_STATE_DICT,
    )


def _told(fields: Fields) -> Diagnosis:
    return Diagnosis(
        fields.text("kind"),
        fields.maybe("model", fields.text),
        fields.text("text"),
        fields.text("established"),
        fields.texts("assumed"),
        fields.maybe("next", fields.text),
    )


def _inventory(fields: Fields) -> tuple[Item, ...]:
    """Return the inventory."""
    if "inventory" not in fields.names():  # results of the first versions have none
        return ()
    return tuple(_item(item) for item in fields.inners("inventory"))


def _item(fields: Fields) -> Item:
    return Item(
        fields.text("path"),
        fields.choice("standing", _STANDINGS),
        fields.text("what"),
        fields.maybe("link", fields.text),
        fields.truth("weighty"),
    )


def _source(fields: Fields) -> ConfigurationFile:
    return ConfigurationFile(fields.text("path"), fields.text("sha256"))


def _locked(fields: Fields) -> LockSummary:
    return LockSummary(
        fields.text("name"),
        fields.whole("tensors"),
        fields.whole("same"),
        fields.maybe("distance", fields.number),
        fields.maybe("tolerance", fields.number),
    )


def _held_against(fields: Fields) -> AgainstSummary:
    return AgainstSummary(
        fields.text("path"),
        fields.maybe("wrapper", fields.text),
        fields.text("kind"),
        fields.whole("tensors"),
        fields.whole("parameters"),
        fields.whole("found"),
        fields.whole("found_parameters"),
        fields.whole("same"),
        fields.whole("same_parameters"),
        fields.whole("cast"),
        fields.text("demanded"),
    )


def _findings(fields: Fields, name: str) -> tuple[Finding, ...]:
    return tuple(_finding(finding) for finding in fields.inners(name))


def _finding(fields: Fields) -> Finding:
    severity = fields.choice("severity", _SEVERITIES)
    advice = fields.text("fix")
    rule = _rule(fields, severity, advice)
    return Finding(
        rule,
        fields.text("message"),
        severity,
        fields.texts("tensors"),
        fields.maybe("expected", fields.text),
        fields.maybe("found", fields.text),
        None if advice == rule.fix else advice,  # the document has the rule's advice written out
    )


def _rule(fields: Fields, severity: Severity, advice: str) -> Rule:
    """Return the rule of a code; one of a newer version is made from what its finding says."""
    code, name = fields.text("code"), fields.text("rule")
    # words that tools sort and link by, and that reports write as they are
    if not _CODE.fullmatch(code):
        fields.wrong("code", "three capital letters and three digits")
    if not _NAME.fullmatch(name):
        fields.wrong("rule", "small letters, digits and hyphens")
    known = RULES.get(code)
    if known is not None and known.name == name:
        return known
    return Rule(code, name, severity, f"{name.replace('-', ' ').capitalize()}.", advice)


def _waived(fields: Fields) -> Waived:
    return Waived(
        _finding(fields.inner("finding")),
        fields.text("reason"),
        fields.maybe("owner", fields.text),
        fields.maybe("expires", fields.text),
    )


def _coverage(fields: Fields) -> Coverage:
    groups = fields.inner("groups")
    return Coverage(
        fields.text("schema"),
        {name: _group(groups.inner(name)) for name in groups.names()},
        fields.texts("unexpected"),
    )


def _group(fields: Fields) -> GroupCoverage:
    return GroupCoverage(
        fields.whole("expected"),
        fields.whole("matched"),
        fields.texts("missing"),
        tuple(_mismatch(mismatch) for mismatch in fields.inners("mismatched")),
        fields.whole("parameters"),
        fields.whole("covered"),
    )


def _mismatch(fields: Fields) -> Mismatch:
    expected, found = fields.inner("expected"), fields.inner("found")
    return Mismatch(
        fields.text("name"),
        expected.wholes("shape"),
        expected.text("dtype"),
        found.wholes("shape"),
        found.text("dtype"),
    )


def _values(fields: Fields) -> ValuesSummary:
    errors, tables = fields.inner("pos_embed_errors"), fields.inner("position_tables")
    return ValuesSummary(
        fields.whole("examined"),
        fields.whole("skipped"),
        fields.whole("nan"),
        fields.whole("infinite"),
        fields.whole("checksums"),
        fields.whole("bad_checksums"),
        {name: errors.number(name) for name in errors.names()},
        {name: _position_table(tables.inner(name)) for name in tables.names()},
    )


def _position_table(fields: Fields) -> PositionTable:
    grid = fields.wholes("grid")
    if len(grid) != 2:
        fields.wrong("grid", "two whole numbers")
    return PositionTable(
        fields.text("kind"),
        fields.text("text"),
        fields.number("residual"),
        fields.number("error"),
        fields.number("tolerance"),
        (grid[0], grid[1]),
    )


def _forward(fields: Fields) -> ForwardSummary:
    outputs = fields.inner("outputs")
    return ForwardSummary(
        fields.text("status"),
        fields.maybe("reason", fields.text),
        fields.maybe("scope", fields.text),
        fields.maybe("device", fields.text),
        fields.maybe("tokens", fields.whole),
        {name: _output(outputs.inner(name)) for name in outputs.names()},
        fields.maybe("difference", fields.number),
        fields.maybe("loss", fields.number),
        fields.wholes("kept"),
        _later(fields, "inputs", fields.text),
        fields.texts("unused") if "unused" in fields.names() else (),
    )


def _output(fields: Fields) -> OutputSummary:
    return OutputSummary(
        fields.wholes("shape"),
        fields.number("mean"),
        fields.number("std"),
        fields.number("min"),
        fields.number("max"),
        fields.truth("finite"),
        fields.numbers("projection"),
    )
