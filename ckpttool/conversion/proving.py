"""The proof: the written file is opened again and compared with the source.

The strict reader and, if there is one, another program's must both find every tensor by name,
shape and type, and the strict reader exactly where its bytes were put. Copying has already proven
that these bytes are those of the source. So no sum of them is needed here.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Dict, Mapping, NamedTuple, Sequence, Tuple

from ckpttool._version import __version__
from ckpttool.conversion.renaming.rows import every_row, unequal_rows
from ckpttool.conversion.renaming.spelling import read_back
from ckpttool.findings import rules
from ckpttool.findings.errors import MalformedError, OutputError
from ckpttool.findings.finding import Finding, finding
from ckpttool.findings.text import printable
from ckpttool.formats import open_checkpoint
from ckpttool.tensors.dtypes import by_elements
from ckpttool.tensors.fingerprint import fingerprint
from ckpttool.tensors.sums import tensor_sum

if TYPE_CHECKING:
    from ckpttool.conversion.selecting import TensorSelection
    from ckpttool.formats.writing import Target
    from ckpttool.formats.writing.file_layout import PlannedTensor, Slot
    from ckpttool.models.canonical import Canonical
    from ckpttool.tensors.catalogue import TensorInfo
    from ckpttool.tensors.dtypes import DType

#: Digest of a joined tensor by the digests of its parts, in order.
Joined = Dict[Tuple[str, ...], str]
# A type (safetensors' name for it if there is one, since its library reports that) and a shape.
_Told = Tuple[str, Tuple[int, ...]]


class Seen(NamedTuple):
    """What the readers found in a written file.

    Attributes:
        tensors: name to tensor, as the strict reader sees them.
        metadata: the strings in the header.
        readers: the programs that opened it, with versions.
        findings: a warning if the other program could not.
    """

    tensors: dict[str, TensorInfo]
    metadata: dict[str, str]
    readers: tuple[str, ...]
    findings: tuple[Finding, ...]


def read_again(
    path: str,
    pieces: Sequence[PlannedTensor],
    slots: Sequence[Slot],
    target: Target,
    opened: ExitStack,
) -> Seen:
    """Open a written file with every reader, and compare what they see with what was planned.

    Args:
        path: the file, still under its temporary name.
        pieces: the tensors that it must hold, and no others.
        slots: where their bytes were put; an alias has no slot of its own.
        target: the container.
        opened: closes the file; the tensors can be read until then.

    Raises:
        OutputError: a reader refuses the file, or sees another content (``CVT202``).
        UnreadableError: it cannot be read any more.
    """
    expected = {piece.name: _told(piece.dtype, tuple(piece.shape)) for piece in pieces}
    try:
        written = opened.enter_context(open_checkpoint(path))
    except MalformedError as error:
        raise _not_proven(f"the strict reader refuses it: {error.detail()}") from error
    ours = f"ckpttool {__version__}"
    _compare(expected, {name: _told_of(info) for name, info in written.tensors.items()}, ours)
    places = {slot.piece.name: (slot.offset, slot.length) for slot in slots}
    for piece in pieces:
        _require_place(written.tensors[piece.name], places[piece.stored_as])
    library, findings = _read_with_library(target, path, pieces, expected)
    return Seen(written.tensors, written.metadata, (ours, *library), findings)


def _told_of(info: TensorInfo) -> _Told:
    # Other strides or another byte order would give other elements from the proven bytes.
    if info.strides is not None or info.big_endian:
        raise _not_proven("it is not row-major and little-endian", tensor=info.name)
    return _told(info.dtype, info.shape)


def _told(dtype: DType, shape: tuple[int, ...]) -> _Told:
    dtype, shape = by_elements(dtype, shape)
    return dtype.safetensors or dtype.name, shape


def _require_place(info: TensorInfo, place: tuple[int, int]) -> None:
    """Raise unless the header points to the bytes that were proven."""
    # Where a tensor without bytes lies means nothing.
    found = [(extent.offset, extent.length) for extent in info.extents if extent.length]
    if found != ([place] if info.nbytes else []):
        raise _not_proven(
            "its offset is not where its bytes were written",
            tensor=info.name,
            expected=f"bytes from {place[0]:,}",
            found=found,
        )


def _read_with_library(
    target: Target, path: str, pieces: Sequence[PlannedTensor], expected: Mapping[str, _Told]
) -> tuple[tuple[str, ...], tuple[Finding, ...]]:
    """Compare with another reader, if the target has one; return its name and findings."""
    reading = target.read_with_library(path)
    if reading is None:
        return (), ()
    reader, tensors, refusal = reading
    if refusal is None:
        # Older libraries do not report the type, which the strict reader has compared.
        found = {
            name: (dtype or expected.get(name, ("",))[0], shape)
            for name, (dtype, shape) in tensors.items()
        }
        _compare(expected, found, reader)
        return (reader,), ()
    # An old library refuses a good file with newer types; any other refusal is a failed proof.
    late = sorted({piece.dtype.name for piece in pieces if piece.dtype.late})
    if not late:
        raise _not_proven(f"{reader} refuses it: {refusal}")
    return (), (
        finding(
            rules.LIBRARY_BEHIND,
            f"{reader} cannot open a file with {', '.join(late)}, so the proof rests on the "
            "strict reader alone",
            found=printable(refusal),
            fix=f"Update {reader.split()[0]} and convert again to have both.",
        ),
    )


def _compare(expected: Mapping[str, _Told], found: Mapping[str, _Told], reader: str) -> None:
    names = set(expected) | set(found)
    name = min((one for one in names if expected.get(one) != found.get(one)), default=None)
    if name is not None:
        raise _not_proven(
            f"{reader} sees another tensor than was to be written",
            tensor=name,
            expected=expected.get(name),
            found=found.get(name),
        )


def require_taken(
    taken: Mapping[str, TensorInfo], same: Mapping[str, str], found: Mapping[str, TensorInfo]
) -> None:
    """Compare the names of the result, tied ones included, with those that were taken.

    Args:
        taken: the tensors of the source.
        same: name without bytes of its own -> name that stores them.
        found: the tensors of the result, those included that it only records as tied.

    Raises:
        OutputError: a name is missing or was not taken, or it stands for other bytes than in the
            source (``CVT202``).
    """
    for name in sorted(set(taken) ^ set(found)):
        raise _not_proven(
            "a name that was selected is missing"
            if name in taken
            else "a name is there that was not selected",
            tensor=name,
        )
    for name, kept in same.items():
        for side in (taken, found):
            if side[name].view != side[kept].view:
                raise _not_proven(f"it is not the same tensor as {printable(kept)}", tensor=name)


def require_rows(selection: TensorSelection) -> None:
    """Hold the new names to the source: every row of it once, and the way back leads to it.

    Raises:
        OutputError: a row is written twice or nowhere, or a tensor that a naming convention
            spells again reads back as other rows than it was made of (``CVT202``).
    """
    naming, spelled = selection.naming, selection.spelled
    if naming.rows:  # else each is all of the tensor of its name
        wrong = unequal_rows(selection.tensors, naming)
        if wrong is not None:
            raise _not_proven(wrong)
    if spelled is not None:
        back = read_back(spelled.convention, naming)
        for name, rows in spelled.canonical.items():
            if back.get(name) != rows:
                raise _not_proven(
                    "reading it back gives other rows",
                    tensor=name,
                    expected=rows,
                    found=back.get(name),
                )


def of_source(digests: Mapping[str, str], selection: TensorSelection) -> dict[str, str]:
    """Return digests by the source's names, of what is all of one tensor of it.

    Args:
        digests: SHA-256 of elements as the source has them, by the names that are written.
        selection: names and rows.
    """
    if not selection.naming.rows:
        return dict(digests)
    found = {}
    for name in selection.naming.tensors:
        rows = selection.naming.made_of(name)
        source = selection.tensors[rows[0].name]
        if rows == (every_row(source),):
            found[source.name] = digests[name]
    return found


def fingerprint_of(canonical: Canonical, digests: Mapping[str, str], joined: Joined) -> str:
    """Return the content fingerprint, as ``verify`` would.

    Args:
        canonical: the tensors.
        digests: SHA-256 of the row-major elements by the names of the file. Of a tensor without
            one, the elements are read.
        joined: digests of tensors that a layout joins (query, key and value), by those of their
            parts; missing ones are computed and added. Equal parts make equal wholes, so those
            of the source serve its copy as well.

    Raises:
        UnreadableError: a joined tensor cannot be read.
    """
    entries = []
    for name, info in canonical.tensors.items():
        origins = canonical.origins[name]
        parts = tuple(digests.get(origin, "") for origin in origins)
        if "" in parts:  # written in another way: a key of its own, which no digest is
            parts = (name, *origins)
        if len(parts) > 1 and parts not in joined:
            joined[parts] = tensor_sum(info)
        digest = parts[0] if len(parts) == 1 else joined[parts]
        entries.append((name, info.dtype.name, info.shape, digest))
    return fingerprint(entries)


def require_equal(what: str, expected: object, found: object) -> None:
    """Raise OutputError (``CVT202``) if the two differ."""
    if expected != found:
        raise _not_proven(f"{what} differs", expected=expected, found=found)


def _not_proven(
    message: str, *, tensor: str | None = None, expected: object = None, found: object = None
) -> OutputError:
    return OutputError(
        f"the written file does not hold what was read: {message}",
        rules.NOT_PROVEN,
        tensor=tensor,
        expected=expected,
        found=found,
        fix="Nothing was kept. Please report this. A failing disk or memory can also cause it.",
    )
