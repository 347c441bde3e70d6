"""From everything that was examined to one file's report: findings, summaries, the verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator

from ckpttool.checks import CHECKS, locked
from ckpttool.checks.meaning import pos_embed_errors
from ckpttool.findings import verdict_of
from ckpttool.results import FileReport, ValuesSummary
from ckpttool.text import count

if TYPE_CHECKING:
    from ckpttool.checks.examined import Examined
    from ckpttool.published import Origin
    from ckpttool.values import Values


def conclude(known: FileReport, examined: Examined, published: Origin | None) -> FileReport:
    """Return ``known`` with the findings of all checks, the summaries and the verdict.

    Args:
        known: the facts of the container.
        examined: what the checks look at.
        published: whether it is the published file; ``None`` if that was not asked.
    """
    found = [finding for check in CHECKS for finding in check(examined)]
    found += published.findings if published else ()
    findings = tuple(sorted(found, key=lambda finding: -finding.severity.weight))
    return known._replace(
        verdict=verdict_of(findings),
        findings=findings,
        fingerprint=examined.fingerprint,
        coverage=examined.coverage,
        values=_values_summary(examined.values, pos_embed_errors(examined)),
        forward=examined.forward,
        published=published.name if published else None,
        unchecked=tuple(_unchecked(examined, published)),
        lock=examined.lock.path if examined.lock else None,
        lock_lines=examined.locked.lines if examined.locked else {},
        locked=locked.summary(examined),
    )


def _values_summary(values: Values, errors: dict[str, float]) -> ValuesSummary:
    return ValuesSummary(
        len(values.tensors),
        len(values.skipped),
        sum(1 for tensor in values.tensors.values() if tensor.nan),
        sum(1 for tensor in values.tensors.values() if tensor.infinite),
        values.checksums_checked,
        len(values.bad_checksums),
        errors,
    )


def _unchecked(examined: Examined, published: Origin | None) -> Iterator[str]:
    """Say what was not looked at: what was skipped is never printed as clean."""
    if examined.values.skipped:
        yield f"the values of {count(len(examined.values.skipped), 'tensor')}"
    if examined.forward.status != "run":
        yield f"the forward pass ({examined.forward.reason})"
    elif examined.forward.scope == "encoder" and not examined.coverage.groups["decoder"].absent:
        yield "the decoder's forward pass (the decoder is not complete)"
    if published is None:
        yield "where the file comes from (--published)"
