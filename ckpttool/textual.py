"""A checkpoint as lines of text: what git compares where a checkpoint is called text.

The same content gives the same lines, whatever the container, the order in it and the machine:
sorted by name, with nothing about the file itself.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Iterator

from ckpttool.comparison.state import state_of
from ckpttool.errors import CkpttoolError
from ckpttool.formats import open_checkpoint
from ckpttool.sharing import with_tied
from ckpttool.text import count, printable

if TYPE_CHECKING:
    from ckpttool.tensors import Checkpoint, TensorInfo
    from ckpttool.values import TensorValues

# Characters of a value beside the tensors.
_VALUE = 200


def lines_of(path: str) -> list[str]:
    """Return the lines, without their ends.

    A file that cannot be read is one line that says why: git would show nothing at all if the
    conversion failed.
    """
    try:
        with open_checkpoint(path) as checkpoint:
            lines = list(_lines(checkpoint))
            checkpoint.check_unchanged()
            return lines
    except CkpttoolError as error:
        code = f" [{error.rule.code}]" if error.rule else ""
        # without the path, which is one of git's temporary files
        return [f"not readable: {error.detail()}{code}"]


def _lines(checkpoint: Checkpoint) -> Iterator[str]:
    from ckpttool.values import start_values

    # a name that is only recorded is there as it would be in a file that stores it
    tensors = with_tied(checkpoint.tensors, checkpoint.metadata)
    with start_values(tensors, ()) as run:
        values = run.result()
    parameters = count(sum(info.numel for info in tensors.values()), "parameter")
    yield f"{count(len(tensors), 'tensor')}, {parameters}"
    for name, info in sorted(tensors.items()):
        yield _tensor(name, info, values.tensors.get(name))
    for name, reason in sorted(checkpoint.unread):
        yield f"{printable(name)} not read: {printable(reason)}"
    state = state_of(checkpoint)
    for key, value in sorted(state.values.items()):
        yield f"{printable(key)}: {_value(value)}"
    for key in sorted((*state.tensors, *state.too_much)):
        yield f"{printable(key)}: not read"


def _value(value: str) -> str:
    if len(value) <= _VALUE:
        return printable(value)
    # what the middle says is not shown, but must not be lost
    return f"{printable(value, _VALUE)} sha256:{sha256(value.encode()).hexdigest()}"


def _tensor(name: str, info: TensorInfo, values: TensorValues | None) -> str:
    line = f"{printable(name)} {info.dtype.name} {list(info.shape)}"
    if values is None:
        return f"{line} not read"
    line += f" sha256:{values.digest}"
    for label, value in (("min", values.minimum), ("max", values.maximum), ("rms", values.rms)):
        if value is not None:
            line += f" {label} {value:.6g}"
    for label, number in (("NaN", values.nan), ("Inf", values.infinite)):
        if number:
            line += f" {label} {number}"
    return line
