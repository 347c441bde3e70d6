"""Checks on the forward pass: shapes, finite numbers, and outputs that depend on the input."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Iterator

from ckpttool.findings import rules
from ckpttool.findings.finding import Finding, finding
from ckpttool.models.family import FULL
from ckpttool.verification.checks.spoilt import mostly_lost

if TYPE_CHECKING:
    from ckpttool.verification.evidence import Evidence

# Features of two images that differ by less than this part of their deviation differ by
# rounding only: float32 sums over some thousand products are good to about 1e-6.
_BLIND = 1e-5


def check_forward(evidence: Evidence) -> Iterator[Finding]:
    """Check the outputs' shapes, that they are finite, and that they depend on the input."""
    if evidence.reference is not None:
        yield from _of_code(evidence)
        return
    if evidence.forward.status != "run":
        yield finding(
            rules.FORWARD_NOT_RUN,
            f"the forward pass was not run: {evidence.forward.reason or 'no reason given'}",
            fix=None if evidence.forward.reason == "--no-forward" else "",
        )
        return
    yield from _shapes(evidence)
    yield from _not_finite(evidence)
    yield from _blind(evidence)


def _of_code(evidence: Evidence) -> Iterator[Finding]:
    if evidence.forward.status == "run":
        yield from _not_finite(evidence)
    elif evidence.example:  # asked for; elsewhere the report lists what was not checked
        yield finding(
            rules.FORWARD_NOT_RUN,
            f"the forward pass was not run: {evidence.forward.reason or 'no reason given'}",
            fix="",
        )


def _shapes(evidence: Evidence) -> Iterator[Finding]:
    forward, known = evidence.forward, evidence.family.forward
    # the outputs of a pass that was run are those of a family that has one
    shapes = known.shapes(evidence.config, forward.scope == FULL) if known else {}
    for name, expected in shapes.items():
        output = forward.outputs.get(name)
        found = "nothing" if output is None else str(output.shape)
        if found != str(expected):
            message = f"the forward pass gives {name} of another shape"
            yield finding(rules.FORWARD_SHAPE, message, expected=expected, found=found)


def _not_finite(evidence: Evidence) -> Iterator[Finding]:
    forward = evidence.forward
    names = [name for name, output in forward.outputs.items() if not output.finite]
    if forward.loss is not None and not math.isfinite(forward.loss):
        names.append("loss")
    for name in names:
        message = f"the forward pass gives NaN or infinity in {name}"
        yield finding(rules.FORWARD_NOT_FINITE, message, follows=_spoilt(evidence))


def _spoilt(evidence: Evidence) -> tuple[str, ...]:
    """Return the rules that report a weight that is not finite: it is the cause."""
    outside = evidence.outside()  # not run, so what they hold does not spoil an output
    ours = [one for name, one in evidence.values.tensors.items() if name not in outside]
    codes = {
        rules.NAN: any(one.nan for one in ours),
        rules.INFINITE: any(one.infinite for one in ours),
    }
    return tuple(rule.code for rule, found in codes.items() if found)


def _blind(evidence: Evidence) -> Iterator[Finding]:
    forward = evidence.forward
    features = forward.outputs.get("features")
    if forward.difference is None or features is None or not features.finite:
        return  # NaN differs from everything, and is reported above
    if forward.difference <= _BLIND * features.std:
        yield finding(
            rules.FORWARD_BLIND,
            "two different images give the same features",
            expected=f"a difference above {_BLIND:g} of their deviation, {features.std:.3g}",
            found=f"{forward.difference:.3g}",
            follows=(*_cut(evidence), *mostly_lost(evidence)),
            fix=f"Check {evidence.family.patches.partition('.')[0]} and the blocks, through which "
            "the pixels reach the features.",
        )


def _cut(evidence: Evidence) -> tuple[str, ...]:
    """Return the rule that reports a constant patch embedding: no pixel gets through it."""
    values = evidence.values.tensors.get(evidence.family.patches)
    if values is None or values.varied:
        return ()
    return (rules.ALL_ZERO.code if values.minimum == 0 else rules.CONSTANT.code,)
