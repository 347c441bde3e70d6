"""What lock files hold, made by hand."""

from __future__ import annotations

from typing import Any

from ckpttool.findings.results import OutputSummary
from ckpttool.tensors.fingerprint import fingerprint
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
    """A forward pass with a control that counts, where there is a tolerance, and one without."""
    return LockedForward(
        "encoder",
        (0, 3, 5, 9),
        {"features": output()},
        1e-6,
        tolerance,
        (
            Control("swap-blocks", 1.0, tolerance is not None),
            Control("layernorm-eps-1e-12", 2e-6, False),
        ),
    )


def checkpoint(name: str = "weights.pth", *tensors: str) -> LockedCheckpoint:
    """A checkpoint of a matrix, a scalar and whatever else is asked for."""
    return holding(
        name,
        {
            each: LockedTensor("float32", (2, 3) if each != "scale" else (), "ef" * 32)
            for each in sorted(tensors or ("norm.weight", "scale"))
        },
    )


def holding(name: str, tensors: dict[str, LockedTensor]) -> LockedCheckpoint:
    """A checkpoint of these tensors."""
    return LockedCheckpoint(
        name,
        fingerprint((one, *tensor) for one, tensor in tensors.items()),
        "tiny",
        (LockedFile(name, 1234, "cd" * 32),),
        forward(),
        tensors,
    )
