"""The proof: what was written is opened again by two readers and compared with the source.

The strict reader and the safetensors library must both find every tensor under its name, with
its shape and type, and the strict reader just where its bytes were put. That these bytes are
those of the source is shown where they are copied, piece by piece.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Mapping, NamedTuple, Sequence

from ckpttool._version import __version__
from ckpttool.findings import rules
from ckpttool.findings.errors import MalformedError, OutputError
from ckpttool.findings.finding import Finding, finding
from ckpttool.findings.text import printable
from ckpttool.formats import open_checkpoint
from ckpttool.tensors.dtypes import by_elements

if TYPE_CHECKING:
    from ckpttool.formats.writing.file_layout import PlannedTensor, Slot
    from ckpttool.tensors.catalogue import TensorInfo
    from ckpttool.tensors.dtypes import DType


class Seen(NamedTuple):
    """What the readers made of a written file.

    Attributes:
        tensors: name to tensor, as the strict reader sees them.
        metadata: the strings that the file carries about itself.
        readers: who opened it, with versions.
        findings: what could not be told.
    """

    tensors: dict[str, TensorInfo]
    metadata: dict[str, str]
    readers: tuple[str, ...]
    findings: tuple[Finding, ...]


def read_again(
    path: str, pieces: Sequence[PlannedTensor], slots: Sequence[Slot], to: str, opened: ExitStack
) -> Seen:
    """Open a written file with every reader there is and hold it to what was to be written.

    Args:
        path: the file, still under its temporary name.
        pieces: the tensors that it must hold, and no others.
        slots: where their bytes were put; an alias has those of the other.
        to: a key of ``TARGETS``.
        opened: closes the file in the end; the tensors can be read until then.

    Raises:
        OutputError: a reader refuses the file, or sees something else (``CVT202``).
        UnreadableError: it cannot be read any more.
    """
    expected = {piece.name: _told(piece.dtype, tuple(piece.shape)) for piece in pieces}
    try:
        written = opened.enter_context(open_checkpoint(path))
    except MalformedError as error:
        raise _not_proven(f"the strict reader refuses it: {error.detail()}") from error
    ours = f"ckpttool {__version__}"
    _compare(expected, {name: _facts(info) for name, info in written.tensors.items()}, ours)
    places = {slot.piece.name: (slot.offset, slot.length) for slot in slots}
    for piece in pieces:
        _require_place(written.tensors[piece.name], places[piece.stored_as])
    findings: tuple[Finding, ...] = ()
    readers: tuple[str, ...] = (ours,)
    if to == "safetensors":
        library, findings = _library(path, pieces, expected)
        readers += library
    return Seen(written.tensors, written.metadata, readers, findings)


def _facts(info: TensorInfo) -> tuple[str, tuple[int, ...]]:
    if info.strides is not None or info.big_endian:
        raise _not_proven("it is not row-major and little-endian", tensor=info.name)
    return _told(info.dtype, info.shape)


def _told(dtype: DType, shape: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
    dtype, shape = by_elements(dtype, shape)
    return dtype.safetensors or dtype.name, shape


def _require_place(info: TensorInfo, place: tuple[int, int]) -> None:
    """The bytes at its place are proven; a header that names another one is not."""
    found = [(extent.offset, extent.length) for extent in info.extents if extent.length]
    if found != ([place] if info.nbytes else []):
        raise _not_proven(
            "it lies at another place than its bytes were put",
            tensor=info.name,
            expected=f"bytes from {place[0]:,}",
            found=found,
        )


def _library(
    path: str, pieces: Sequence[PlannedTensor], expected: Mapping[str, tuple[str, tuple[int, ...]]]
) -> tuple[tuple[str, ...], tuple[Finding, ...]]:
    """Open the file with the safetensors library, which reads its header only."""
    from safetensors import SafetensorError, __version__, safe_open

    reader = f"safetensors {__version__}"
    found = {}
    try:
        # numpy, because another framework would be imported for it
        with safe_open(path, framework="np") as file:
            for name in file.keys():  # noqa: SIM118 (older libraries cannot be iterated)
                part = file.get_slice(name)
                shape = tuple(part.get_shape())
                # older libraries do not tell; the strict reader has compared the type
                told = part.get_dtype() if hasattr(part, "get_dtype") else None
                found[name] = (told or expected.get(name, ("",))[0], shape)
    except (SafetensorError, OSError, ValueError) as error:
        late = sorted({piece.dtype.name for piece in pieces if piece.dtype.late})
        if not late:
            raise _not_proven(f"{reader} refuses it: {error}") from error
        return (), (
            finding(
                rules.LIBRARY_BEHIND,
                f"{reader} cannot open a file with {', '.join(late)}, so the proof rests on the "
                "strict reader alone",
                found=printable(str(error)),
                fix="Update safetensors and convert again to have both.",
            ),
        )
    _compare(expected, found, reader)
    return (reader,), ()


def _compare(
    expected: Mapping[str, tuple[str, tuple[int, ...]]],
    found: Mapping[str, tuple[str, tuple[int, ...]]],
    reader: str,
) -> None:
    for name in sorted(set(expected) | set(found)):
        if expected.get(name) != found.get(name):
            raise _not_proven(
                f"{reader} sees another tensor than was to be written",
                tensor=name,
                expected=expected.get(name),
                found=found.get(name),
            )


def require_equal(what: str, expected: object, found: object) -> None:
    """Raise OutputError (``CVT202``) if the written file differs from its source."""
    if expected != found:
        raise _not_proven(f"{what} differs", expected=expected, found=found)


def _not_proven(
    message: str, *, tensor: str | None = None, expected: object = None, found: object = None
) -> OutputError:
    return OutputError(
        f"what was written is not what was read: {message}",
        rules.NOT_PROVEN,
        tensor=tensor,
        expected=expected,
        found=found,
        fix="Nothing was kept. Please report this; a failing disk or memory can do it too.",
    )
