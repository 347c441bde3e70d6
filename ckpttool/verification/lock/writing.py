"""Writing a lock file: one tensor a line and sorted, so that its diff shows what changed."""

from __future__ import annotations

import json
import re
from typing import Iterator, Sequence

from ckpttool.findings.text import without_commands
from ckpttool.verification.lock.content import LockedCheckpoint, LockedForward

#: What a lock file begins with.
HEAD = "# ckpttool lock file; `ckpttool lock` writes it. Commit it beside the code."

VERSION = 1  # of the format

#: The last word of a control's line, by whether it counts.
COUNTS = {True: "counts", False: "does-not-count"}


def render(checkpoints: Sequence[LockedCheckpoint]) -> str:
    """Return the content of a lock file; the same checkpoints give the same text."""
    lines = [HEAD, f"lock {VERSION}"]
    for checkpoint in sorted(checkpoints, key=lambda one: one.name):
        lines += ["", *_lines(checkpoint)]
    return "\n".join(lines) + "\n"


def _lines(checkpoint: LockedCheckpoint) -> Iterator[str]:
    yield f"checkpoint {_quoted(checkpoint.name)}"
    yield f"fingerprint {checkpoint.fingerprint}"
    yield f"schema {_quoted(checkpoint.schema)}"
    for file in checkpoint.files:
        yield f"file {_quoted(file.name)} {file.size} {file.sha256}"
    if checkpoint.forward is not None:
        yield from _forward_lines(checkpoint.forward)
    yield f"tensors {len(checkpoint.tensors)}"
    for name, tensor in sorted(checkpoint.tensors.items()):
        shape = ",".join(map(str, tensor.shape))
        yield f"tensor {_quoted(name)} {tensor.dtype} [{shape}] {tensor.sha256}"


def _forward_lines(forward: LockedForward) -> Iterator[str]:
    yield f"forward {forward.scope}"
    # a model that hides nothing of its input has no numbers, and a line must not end in a space
    yield " ".join(["kept", *map(str, forward.kept)])
    for name, output in forward.outputs.items():
        shape = ",".join(map(str, output.shape))
        yield f"output {_quoted(name)} [{shape}] {_numbers(output[1:5])}"
        yield f"projection {_quoted(name)} {_numbers(output.projection)}"
    yield f"rounding {forward.rounding:.2g}"
    tolerance = "none" if forward.tolerance is None else f"{forward.tolerance:.2g}"
    yield f"tolerance {tolerance}"
    for control in forward.controls:
        yield f"control {control.name} {control.distance:.2g} {COUNTS[control.counts]}"


def _numbers(numbers: Sequence[float]) -> str:
    return " ".join(f"{number:.9g}" for number in numbers)  # 9 digits tell any two float32 apart


# ASCII without blanks and quotes, so that the end of a name is clear
_PLAIN = re.compile("[!#-~]+")


def _quoted(name: str) -> str:
    # a lock file may go to a log, in which no name may be a command of a CI system
    if _PLAIN.fullmatch(name) and without_commands(name, "") == name:
        return name
    return without_commands(json.dumps(name), r"\u00")
