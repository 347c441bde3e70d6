r"""The report that a machine reads; its fields are documented in ``docs/json.md``.

Only ASCII is written, numbers are finite or strings (``"NaN"``), and ``::`` and ``##[`` are
broken up by escapes, so that no line can be a workflow command of a CI system whatever a
tensor is called. Any JSON parser gives the names back as they were.
"""

from __future__ import annotations

import json
import math
from typing import Any, TextIO

from ckpttool._version import __version__
from ckpttool.conversion.result import Conversions, Converted
from ckpttool.findings.finding import Finding
from ckpttool.findings.inventory import Item
from ckpttool.findings.listing import Listing, Listings
from ckpttool.findings.results import (
    Coverage,
    FileReport,
    GroupCoverage,
    Mismatch,
    Report,
    Waived,
)

#: Raised when a field goes or changes its meaning; new fields may come at any time.
SCHEMA_VERSION = 1


def write(report: Report, stream: TextIO) -> None:
    """Write the report on a run of ``verify``."""
    dump(
        {
            **head("verify", report.version),
            "verdict": report.verdict.value,
            "exit_code": report.exit_code,
            "fail_on": report.fail_on.value,
            "files": [file_fields(file) for file in report.files],
            "findings": [_finding(finding) for finding in report.findings],
            "inventory": [_item(item) for item in report.inventory],
        },
        stream,
    )


def write_listings(listings: Listings, stream: TextIO) -> None:
    """Write what a run of ``inspect`` found."""
    dump(
        {
            **head("inspect"),
            "exit_code": listings.exit_code,
            "files": [_listing(listing) for listing in listings.files],
            "inventory": [_item(item) for item in listings.inventory],
        },
        stream,
    )


def write_conversions(conversions: Conversions, stream: TextIO) -> None:
    """Write what a run of ``convert`` came to."""
    dump(
        {
            **head("convert"),
            "exit_code": conversions.exit_code,
            "files": [_converted(converted) for converted in conversions.files],
        },
        stream,
    )


def head(command: str, version: str = __version__) -> dict[str, Any]:
    """Return the fields that every report begins with."""
    return {
        "schema_version": SCHEMA_VERSION,
        "tool": "ckpttool",
        "version": version,
        "command": command,
    }


def dump(content: Any, stream: TextIO) -> None:
    """Write a report as JSON."""
    text = json.dumps(_plain(content), indent=2, ensure_ascii=True, allow_nan=False)
    # neither pair occurs outside of strings, where the escape means the same characters
    text = text.replace("::", r"\u003a\u003a").replace("##[", r"\u0023\u0023[")
    stream.write(text + "\n")


def _plain(value: Any) -> Any:
    """Return the value with tuples as lists and numbers that JSON lacks as strings."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _facts(file: FileReport) -> dict[str, Any]:
    return {
        "path": file.path,
        "format": file.format,
        "size": file.size,
        "wrapper": file.wrapper,
        "layout": file.layout,
    }


def file_fields(file: FileReport) -> dict[str, Any]:
    """Return what a report says of one file."""
    return {
        **_facts(file),
        "verdict": file.verdict.value,
        "tensors": file.tensors,
        "parameters": file.parameters,
        "fingerprint": file.fingerprint,
        "coverage": None if file.coverage is None else _coverage(file.coverage),
        "values": None if file.values is None else file.values._asdict(),
        "forward": None if file.forward is None else _forward(file),
        "published": file.published,
        "unchecked": file.unchecked,
        "findings": [_finding(finding) for finding in file.findings],
        "waived": [_waived(waived) for waived in file.waived],
        "lock": file.lock,
        "lock_lines": file.lock_lines,
        "locked": None if file.locked is None else file.locked._asdict(),
        "configuration": None if file.configuration is None else file.configuration._asdict(),
        "fail_on": file.fail_on.value,
    }


def _item(item: Item) -> dict[str, Any]:
    return {**item._asdict(), "standing": item.standing.value}


def _waived(waived: Waived) -> dict[str, Any]:
    return {**waived._asdict(), "finding": _finding(waived.finding)}


def _coverage(coverage: Coverage) -> dict[str, Any]:
    return {
        "schema": coverage.schema,
        "groups": {name: _group(group) for name, group in coverage.groups.items()},
        "unexpected": coverage.unexpected,
    }


def _group(group: GroupCoverage) -> dict[str, Any]:
    return {
        "expected": group.expected,
        "matched": group.matched,
        "missing": group.missing,
        "mismatched": [_mismatch(mismatch) for mismatch in group.mismatched],
        "parameters": group.parameters,
        "covered": group.covered,
    }


def _mismatch(mismatch: Mismatch) -> dict[str, Any]:
    return {
        "name": mismatch.name,
        "expected": {"dtype": mismatch.expected_dtype, "shape": mismatch.expected_shape},
        "found": {"dtype": mismatch.found_dtype, "shape": mismatch.found_shape},
    }


def _forward(file: FileReport) -> dict[str, Any]:
    assert file.forward is not None  # noqa: S101 (the caller looked)
    outputs = {name: output._asdict() for name, output in file.forward.outputs.items()}
    return {**file.forward._asdict(), "outputs": outputs}


def _finding(finding: Finding) -> dict[str, Any]:
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


def _converted(converted: Converted) -> dict[str, Any]:
    file = converted.file
    return {
        **_facts(file),
        "state": converted.state,
        "verdict": file.verdict.value,
        "to": converted.to,
        "destination": converted.destination,
        "outputs": [written._asdict() for written in converted.outputs],
        "replaced": converted.replaced,
        "removed": converted.removed,
        "cleaned": converted.cleaned,
        "tensors": file.tensors,
        "parameters": file.parameters,
        "source_fingerprint": file.fingerprint,
        "fingerprint": converted.fingerprint,
        "written_wrapper": converted.wrapper,
        "tied": converted.tied,
        "restored": converted.restored,
        "overlapping": converted.overlapping,
        "excluded": converted.excluded,
        "left_out": [entry._asdict() for entry in converted.left_out],
        "casts": [cast._asdict() for cast in converted.casts],
        "not_cast": converted.not_cast,
        "proof": None if converted.proof is None else converted.proof._asdict(),
        "sidecar": converted.sidecar,
        "receipt": converted.receipt,
        "findings": [_finding(finding) for finding in file.findings],
    }


def _listing(listing: Listing) -> dict[str, Any]:
    return {
        **_facts(listing.file),
        "wrappers": [{"key": key, "tensors": number} for key, number in listing.wrappers],
        "parameters": listing.file.parameters,
        "tensors": [row._asdict() for row in listing.tensors],
        "outside": [
            {"key": key, "tensors": tensors, "nbytes": nbytes, "is_average": is_average}
            for key, tensors, nbytes, is_average in listing.outside
        ],
        "entries": [row._asdict() for row in listing.entries],
        "references": [row._asdict() for row in listing.references],
        "uses": [row._asdict() for row in listing.uses],
        "unread": [{"name": name, "reason": reason} for name, reason in listing.unread],
        "tied": listing.tied,
        "metadata": listing.metadata,
        "findings": [_finding(finding) for finding in listing.file.findings],
    }
