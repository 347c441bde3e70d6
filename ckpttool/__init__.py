"""ckpttool: verify, inspect, compare and convert model checkpoints before you publish them.

``docs/python.md`` has examples. The public names are imported when they are first used, so that
``import ckpttool`` is quick and the light commands never load numpy or torch.
"""

from __future__ import annotations

from importlib import import_module

from ckpttool._version import __version__

# not that of typing, which `python -m ckpttool` would look for in the working folder at this point
TYPE_CHECKING = False
if TYPE_CHECKING:
    from ckpttool.against.verify import verify
    from ckpttool.comparison.diff import diff
    from ckpttool.comparison.result import Comparison, Outcome
    from ckpttool.conversion.convert import convert
    from ckpttool.conversion.every import convert_all
    from ckpttool.conversion.indexing import write_index
    from ckpttool.conversion.result import Conversion, Conversions
    from ckpttool.findings.errors import (
        CkpttoolError,
        MalformedError,
        OutputError,
        UnreadableError,
        UnsupportedError,
        UsageError,
    )
    from ckpttool.findings.finding import Finding, Verdict
    from ckpttool.findings.listing import Listing
    from ckpttool.findings.results import FileReport, Report
    from ckpttool.findings.rules import Severity
    from ckpttool.formats import open_checkpoint
    from ckpttool.inspection.listing import inspect
    from ckpttool.proof.prove import prove
    from ckpttool.proof.result import Proof, ProofOutcome
    from ckpttool.reports import render
    from ckpttool.tensors.catalogue import Checkpoint, Extent, TensorInfo
    from ckpttool.tensors.dtypes import DType
    from ckpttool.verification.lock.content import Lock
    from ckpttool.verification.lock.reading import read_lock
    from ckpttool.verification.locking import lock
    from ckpttool.verification.options import Thresholds
    from ckpttool.verification.policy import Policy
    from ckpttool.verification.run import fingerprint
    from ckpttool.verification.schema_sources import read_schema, schema
    from ckpttool.verification.waivers import Waiver

# No module here may be called like one of these: importing it would put it in the name's place.
_HOMES = {
    "open_checkpoint": "formats",
    "inspect": "inspection.listing",
    "verify": "against.verify",
    "diff": "comparison.diff",
    "prove": "proof.prove",
    "convert": "conversion.convert",
    "convert_all": "conversion.every",
    "lock": "verification.locking",
    "read_lock": "verification.lock.reading",
    "write_index": "conversion.indexing",
    "schema": "verification.schema_sources",
    "read_schema": "verification.schema_sources",
    "fingerprint": "verification.run",
    "render": "reports",
    "Checkpoint": "tensors.catalogue",
    "TensorInfo": "tensors.catalogue",
    "Extent": "tensors.catalogue",
    "DType": "tensors.dtypes",
    "Listing": "findings.listing",
    "Report": "findings.results",
    "FileReport": "findings.results",
    "Finding": "findings.finding",
    "Verdict": "findings.finding",
    "Severity": "findings.rules",
    "Comparison": "comparison.result",
    "Outcome": "comparison.result",
    "Proof": "proof.result",
    "ProofOutcome": "proof.result",
    "Conversion": "conversion.result",
    "Conversions": "conversion.result",
    "Lock": "verification.lock.content",
    "Policy": "verification.policy",
    "Waiver": "verification.waivers",
    "Thresholds": "verification.options",
    "CkpttoolError": "findings.errors",
    "MalformedError": "findings.errors",
    "OutputError": "findings.errors",
    "UnreadableError": "findings.errors",
    "UnsupportedError": "findings.errors",
    "UsageError": "findings.errors",
}

__all__ = [
    "open_checkpoint",
    "inspect",
    "verify",
    "diff",
    "prove",
    "convert",
    "convert_all",
    "lock",
    "read_lock",
    "schema",
    "read_schema",
    "write_index",
    "fingerprint",
    "render",
    "Checkpoint",
    "TensorInfo",
    "Extent",
    "DType",
    "Listing",
    "Report",
    "FileReport",
    "Finding",
    "Verdict",
    "Severity",
    "Comparison",
    "Outcome",
    "Proof",
    "ProofOutcome",
    "Conversion",
    "Conversions",
    "Lock",
    "Policy",
    "Waiver",
    "Thresholds",
    "CkpttoolError",
    "MalformedError",
    "OutputError",
    "UnreadableError",
    "UnsupportedError",
    "UsageError",
    "__version__",
]


def __getattr__(name: str) -> object:
    """Import a public name from its room on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"ckpttool.{_HOMES[name]}"), name)
    globals()[name] = value  # found there from now on, without this function
    return value


def __dir__() -> list[str]:
    """List the public names before they are used, too."""
    return sorted({*globals(), *__all__})
