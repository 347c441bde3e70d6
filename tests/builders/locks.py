"""What lock files hold, made by hand."""

from __future__ import annotations

from typing import Any

from ckpttool.findings.results import OutputSummary
from ckpttool.verification.lock.content import (
    Control,
    LockedCheckpoint,
    LockedFile,
    LockedForward,
    LockedTensor,
)

FINGERPRINT = "ckpt1:" + "ab" * 32


def output(mean: float = 0.25, **fields: Any) -> OutputSummary:
    """An output whose deviation is 1, so that distances are nearly differences."""
    whole = OutputSummary((2, 5, 16), mean, 1.0, -3.0, 3.0, True, (0.5, -1.5))
    return whole._replace(**fields)


def forward(tolerance: float | None = 0.001) -> LockedForward:
    """A forward pass with one control that counts and one that does not."""
    return LockedForward(
        "encoder",
        (0, 3, 5, 9),
        {"features": output()},
        1e-6,
        tolerance,
        (Control("swap-blocks", 1.0, True), Control("layernorm-eps-1e-12", 2e-6, False)),
    )


def checkpoint(name: str = "weights.pth", *tensors: str) -> LockedCheckpoint:
    """A checkpoint of a matrix, a scalar and whatever else is asked for."""
    names = tensors or ("norm.weight", "scale")
    return LockedCheckpoint(
        name,
        FINGERPRINT,
        "tiny",
        (LockedFile(name, 1234, "cd" * 32),),
        forward(),
        {
            each: LockedTensor("float32", (2, 3) if each != "scale" else (), "ef" * 32)
            for each in sorted(names)
        },
    )
