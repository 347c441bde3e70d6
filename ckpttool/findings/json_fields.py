"""Results as values that JSON has; ``docs/json.md`` documents the fields.

Both ``to_dict`` and the JSON reports use these functions.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Mapping

from ckpttool._version import __version__

if TYPE_CHECKING:
    from ckpttool.findings.finding import Finding
    from ckpttool.findings.inventory import Item
    from ckpttool.findings.results import Coverage, FileReport, Mismatch, Report

#: Raised when a field goes or changes its meaning; new fields may come at any time.
SCHEMA_VERSION = 1


def document(
    command: str, fields: Mapping[str, object], version: str = __version__
) -> dict[str, Any]:
    """Return a command's result in plain values, after the fields that every result has."""
    head = {
        "schema_version": SCHEMA_VERSION,
        "tool": "ckpttool",
        "version": version,
        "command": command,
    }
    return {**head, **plain(fields)}


_PLAIN = frozenset({str, int, bool, type(None)})


def plain(value: Any) -> Any:
    """Return the value with tuples as lists, or by their names, and odd numbers as text."""
    if type(value) in _PLAIN:  # most of them, and a report of 100,000 tensors has four millions
        return value
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    # json.dumps would write NaN, which is no JSON: parsers other than Python's refuse it
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def report_document(report: Report) -> dict[str, Any]:
    """Return the result of ``verify``, with the paths as the report has them."""
    fields = {
        "verdict": report.verdict.value,
        "exit_code": report.exit_code,
        "fail_on": report.fail_on.value,
        "files": [file_fields(file) for file in report.files],
        "findings": [finding_fields(finding) for finding in report.of_run],
        "inventory": [item_fields(item) for item in report.inventory],
    }
    return document("verify", fields, report.version)


def header_fields(file: FileReport) -> dict[str, Any]:
    """Return the fields that every command has for a file."""
    return {
        "path": file.path,
        "format": file.format,
        "size": file.size,
        "wrapper": file.wrapper,
        "layout": file.layout,
    }


def file_fields(file: FileReport) -> dict[str, Any]:
    """Return the fields of one file in a report; :func:`document` makes the rest of it plain."""
    fields = {
        **header_fields(file),
        "verdict": file.verdict.value,
        "tensors": file.tensors,
        "parameters": file.parameters,
        "diagnosis": file.diagnosis,
        "fingerprint": file.fingerprint,
        "coverage": None if file.coverage is None else _coverage(file.coverage),
        "values": file.values,
        "forward": file.forward,
        "published": file.published,
        "unchecked": file.unchecked,
        "findings": [finding_fields(finding) for finding in file.findings],
        "waived": [
            {**waived._asdict(), "finding": finding_fields(waived.finding)}
            for waived in file.waived
        ],
        "lock": file.lock,
        "lock_lines": file.lock_lines,
        "locked": file.locked,
        "configuration": file.configuration,
        "fail_on": file.fail_on.value,
        "loading": file.loading,
        "schema_from": file.schema_from,
        "against": file.against,
        "quantized": file.quantized,
    }
    return {**fields, **statistics_fields(file), **_reconstructions(file)}


def statistics_fields(file: FileReport) -> dict[str, Any]:
    """Return the statistics of the tensors; no field at all where they were not asked for."""
    return {} if file.statistics is None else {"statistics": file.statistics}


def _reconstructions(file: FileReport) -> dict[str, Any]:
    """Return those of images; no field at all where no image was named."""
    found = [one.fields() for one in file.reconstructions]
    return {"reconstructions": found} if found else {}


def item_fields(item: Item) -> dict[str, Any]:
    """Return the fields of a file in the inventory."""
    return {**item._asdict(), "standing": item.standing.value}


def _coverage(coverage: Coverage) -> dict[str, Any]:
    groups = {
        name: {**group._asdict(), "mismatched": list(map(_mismatch, group.mismatched))}
        for name, group in coverage.groups.items()
    }
    return {**coverage._asdict(), "groups": groups}


def _mismatch(mismatch: Mismatch) -> dict[str, Any]:
    # nested, so that both sides have the same fields, whatever is added to them
    return {
        "name": mismatch.name,
        "expected": {"dtype": mismatch.expected_dtype, "shape": mismatch.expected_shape},
        "found": {"dtype": mismatch.found_dtype, "shape": mismatch.found_shape},
    }


def finding_fields(finding: Finding) -> dict[str, Any]:
    """Return the fields of a finding."""
    return {
        "code": finding.rule.code,
        "rule": finding.rule.name,
        "severity": finding.severity.value,
        "message": finding.message,
        "tensor": finding.tensor,
        "tensors": finding.tensors,
        "expected": finding.expected,
        "found": finding.found,
        "fix": finding.advice,
    }
