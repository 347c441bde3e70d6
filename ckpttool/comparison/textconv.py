"""A checkpoint as lines of text, for git's textconv.

Equal content gives equal lines in any container, order and machine, and different content gives
different lines. They are sorted by name and describe the file itself only if part of it is unread.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Iterator

from ckpttool.comparison.beside import contents, entries_of
from ckpttool.files.sources import FileSource, read_bytes
from ckpttool.findings.errors import CkpttoolError, UnreadableError
from ckpttool.findings.text import count, printable
from ckpttool.formats import open_checkpoint
from ckpttool.formats.foreign.signatures import LFS_POINTER, kind_of
from ckpttool.formats.objects.beside import beside_of
from ckpttool.tensors.sharing import tied_names, with_tied
from ckpttool.tensors.sums import file_sums

if TYPE_CHECKING:
    from ckpttool.comparison.beside import BesideResult
    from ckpttool.tensors.catalogue import Checkpoint, TensorInfo
    from ckpttool.tensors.examining import TensorValues

# Characters of a value beside the tensors: git shows each line in full.
_VALUE = 200
# Git LFS pointers are smaller than 1024 bytes (its docs/spec.md).
_LONGEST_POINTER = 1024
# Metadata about the container, which differs between containers of the same content.
_OF_THE_CONTAINER, _OURS = "format", "ckpttool."


def lines_of(path: str) -> list[str]:
    """Return the lines, without their ends.

    Raises:
        CkpttoolError: the file cannot be read. It gets no text, because git caches texts.
    """
    pointer = _pointer(path)
    if pointer:
        return pointer
    with open_checkpoint(path) as checkpoint:
        lines = list(_lines(checkpoint))
        checkpoint.check_unchanged()
        return lines


def lines_or_reason(path: str) -> list[str]:
    """Return the lines, or one line with the reason why the file cannot be read."""
    try:
        return lines_of(path)
    except CkpttoolError as error:
        code = f" [{error.rule.code}]" if error.rule else ""
        # Without the path, which names one of git's temporary files and differs in every run.
        return [f"not readable: {error.detail()}{code}"]


def _pointer(path: str) -> list[str]:
    """Return the lines of a Git LFS pointer, which has the checksum of the content."""
    source = FileSource(path)
    try:
        head = read_bytes(source, 0, min(source.size, _LONGEST_POINTER))
    except UnreadableError as error:
        error.path = path
        raise
    finally:
        source.close()
    if kind_of(head) is not LFS_POINTER or source.size > _LONGEST_POINTER:
        return []
    lines = head.decode("utf-8", "backslashreplace").splitlines()
    return [f"Git LFS pointer: {printable(line)}" for line in lines]


def _lines(checkpoint: Checkpoint) -> Iterator[str]:
    from ckpttool.tensors.values import start_values

    beside_it = beside_of(checkpoint)
    entries = entries_of(beside_it)
    unread = beside_it.unread if beside_it else ()
    found = contents(entries._replace(items=[*unread, *entries.items]))
    # With NUL and a number: a key may equal the name of a weight, or be shown like another key.
    beside = {f"\0{key}\0{number}": info for number, (key, _, info) in enumerate(found.only)}
    # Recorded ties give the same lines as in a file that stores them.
    tensors = with_tied(checkpoint.tensors, checkpoint.metadata)
    with start_values({**tensors, **beside}, ()) as run:
        values = run.result().tensors
    parameters = count(sum(info.numel for info in tensors.values()), "parameter")
    yield f"{count(len(tensors), 'tensor')}, {parameters}"
    for name, info in sorted(tensors.items()):
        yield _tensor(name, info, values.get(name))
    yield from _header_lines(checkpoint)
    for name, info in sorted(beside.items()):
        yield f"beside: {_tensor(name.split(chr(0))[1], info, values.get(name))}"
    yield from _state(found)
    if found.doubts or len(values) < len(tensors) + len(beside):
        # What is not read may differ unseen; the file's checksum makes the lines differ then.
        sums = file_sums(checkpoint.sources)
        yield f"not all of it is read: {', '.join(f'sha256:{digest}' for digest in sums)}"


def _header_lines(checkpoint: Checkpoint) -> Iterator[str]:
    """Yield the unread tensors and the metadata."""
    tied = tied_names(checkpoint.tensors, checkpoint.metadata)
    for name, reason in sorted(checkpoint.unread):
        yield f"{_value(name)} not read: {printable(reason)}"
    for key, value in sorted(checkpoint.metadata.items()):
        if key not in tied and key != _OF_THE_CONTAINER and not key.startswith(_OURS):
            yield f"metadata {_value(key)}: {_value(value)}"


def _state(found: BesideResult) -> Iterator[str]:
    """Yield the values beside the weights."""
    # By id: one long value, whose checksum takes time, may stand under many keys.
    shown: dict[int, str] = {}
    for key, value, _ in found.state:
        text = value or ""
        shown[id(text)] = shown.get(id(text)) or _value(text)
        yield f"{_value(key)}: {shown[id(text)]}"
    for key, reason in found.doubts:
        yield f"{_value(key)}: {reason}"


def _value(value: str) -> str:
    """Return a value or a name as one line, different for each value."""
    if len(value) <= _VALUE:
        return printable(value)
    # The checksum covers the middle, which is not shown but may be all that differs.
    digest = sha256(value.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{printable(value, _VALUE)} sha256:{digest}"


def _tensor(name: str, info: TensorInfo, values: TensorValues | None) -> str:
    line = f"{_value(name)} {info.dtype.name} {list(info.shape)}"
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
