"""Decides what to write before any byte is: names, types, sharing, shards, metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator, Mapping, NamedTuple, Sequence

from ckpttool.conversion.casts import not_to_cast, refused, written_dtype
from ckpttool.conversion.keeping import tied_to
from ckpttool.conversion.naming import file_names, index_path, shard_paths
from ckpttool.conversion.parts import PARTS, metadata_of, way_around
from ckpttool.findings import rules
from ckpttool.findings.errors import UsageError
from ckpttool.findings.finding import Finding, finding
from ckpttool.findings.rules import Severity
from ckpttool.findings.text import count, size
from ckpttool.formats.writing import TARGETS
from ckpttool.formats.writing.file_layout import PlannedTensor
from ckpttool.models.families import conventions
from ckpttool.tensors.fingerprint import PREFIX
from ckpttool.tensors.placeholders import message, placeholders, way_out
from ckpttool.tensors.sharing import (
    FINGERPRINT,
    FORMAT,
    ORDER,
    OWN_KEYS,
    WRAPPER,
    check_expansion,
    find_sharing,
    order_of,
)

if TYPE_CHECKING:
    from ckpttool.conversion.options import ConvertOptions
    from ckpttool.conversion.renaming.rows import Naming
    from ckpttool.conversion.result import WrittenParts
    from ckpttool.conversion.selecting import TensorSelection
    from ckpttool.formats.writing import Target
    from ckpttool.tensors.catalogue import Checkpoint, TensorInfo
    from ckpttool.tensors.sharing import Sharing

#: A placeholder of the same length for a fingerprint that is asked for and not known yet.
UNKNOWN = PREFIX + 64 * "0"


class FilePlan(NamedTuple):
    """A file to write: its final path and the tensors in it."""

    path: str
    pieces: tuple[PlannedTensor, ...]


class Plan(NamedTuple):
    """A conversion that can be done.

    Attributes:
        files: at least one; several are shards.
        shard_index: the path of the shards' index; ``None`` for one file.
        metadata: in order, if the target holds any; a fingerprint is still :data:`UNKNOWN`.
        wrapper: the dotted key to put the tensors under; ``None`` for the root.
        tied: dropped name -> stored name.
        overlapping: groups of names that share bytes in part.
        findings: notes, warnings and errors; with an error, nothing may be written.
        not_cast: parts of quantized weights, and tensors beside them, if others are cast.
    """

    files: tuple[FilePlan, ...]
    shard_index: str | None
    metadata: dict[str, str]
    wrapper: str | None
    tied: dict[str, str]
    overlapping: tuple[tuple[str, ...], ...]
    findings: tuple[Finding, ...]
    not_cast: tuple[str, ...] = ()

    @property
    def same(self) -> dict[str, str]:
        """Name without bytes of its own -> name that stores them: aliases and tied names."""
        views = {one.name: one.stored_as for one in self.pieces if one.alias_of is not None}
        return {**views, **self.tied}

    @property
    def pieces(self) -> tuple[PlannedTensor, ...]:
        """The tensors of all files, in order."""
        return tuple(piece for file in self.files for piece in file.pieces)


def plan(
    checkpoint: Checkpoint,
    selection: TensorSelection,
    destination: str,
    options: ConvertOptions,
    in_parts: tuple[WrittenParts, ...] = (),
) -> Plan:
    """Decide what to write; ``in_parts`` are the tensors whose parts are among it.

    Raises:
        MalformedError: written out, the tensors would expand far beyond the file.
        UsageError: a string for ``__metadata__`` would be taken for something else.
    """
    target = TARGETS[options.to]
    tensors = selection.naming.tensors
    sharing = find_sharing(tensors)
    # First of all: a hostile file could ask for terabytes from a few bytes.
    check_expansion(tensors, sharing.covered)
    same = tied_to(sharing, selection, options)
    # A loader that looks for each key of its own model finds no name that is only recorded.
    every = options.keep_aliases or bool(file_names(options.layout))
    tied = {} if every else _not_stored(same, target)
    quantized = not_to_cast(checkpoint, selection, sharing, options)
    kept = quantized.names
    pieces = [
        _piece(
            info,
            same.get(name) if target.HOLDS_VIEWS else None,
            None if name in kept else options.dtype,
        )
        for name, info in tensors.items()
        if name not in tied
    ]
    # A source without wrappers may record the one that its tensors once lay under.
    wrapper = checkpoint.wrapper or checkpoint.metadata.get(WRAPPER) or None
    groups = _shards(pieces, options.max_shard_size)
    paths, index = [destination], None
    if len(groups) > 1:
        paths = shard_paths(destination, len(groups), target.SUFFIX)
        index = index_path(destination, target.SUFFIX)
    return Plan(
        tuple(FilePlan(path, tuple(group)) for path, group in zip(paths, groups)),
        index,
        _metadata(checkpoint, selection, tied, _own(wrapper, in_parts, options), options)
        if target.HOLDS_METADATA
        else {},
        _wrapper(wrapper, options) if target.HOLDS_WRAPPER else None,
        tied,
        sharing.overlapping,
        (
            *_emptiness(checkpoint, selection),
            *refused(quantized, selection, options),
            *_findings(checkpoint, pieces, selection, sharing, tied, options),
        ),
        tuple(name for name in tensors if name in kept) if options.except_quantized else (),
    )


def _wrapper(own: str | None, options: ConvertOptions) -> str | None:
    """Return the key that the tensors are put under: the source's, or that of a convention."""
    asked = conventions()[options.layout].wrapper if options.layout is not None else None
    return own if asked is None else asked or None


def _not_stored(same: Mapping[str, str], target: Target) -> dict[str, str]:
    """Return the exact duplicates that a file without views only records."""
    if target.HOLDS_VIEWS or not target.HOLDS_METADATA:
        return {}
    # A tensor called like one of our own keys is stored twice: that key is taken in the metadata.
    return {name: kept for name, kept in sorted(same.items()) if name not in OWN_KEYS}


def _piece(info: TensorInfo, alias_of: str | None, dtype_asked: str | None) -> PlannedTensor:
    dtype = written_dtype(info.dtype, dtype_asked)
    return PlannedTensor(info.name, dtype, info.shape, info, dtype != info.dtype, alias_of)


def _shards(pieces: Sequence[PlannedTensor], most: int | None) -> list[list[PlannedTensor]]:
    """Fill shards greedily in order; a tensor larger than the limit gets one of its own."""
    if most is None:
        return [list(pieces)]
    shards: list[list[PlannedTensor]] = []
    current: list[PlannedTensor] = []
    size = 0
    for piece in pieces:
        length = piece.nbytes
        if length > most:  # the current shard is continued afterwards
            shards.append([piece])
            continue
        if size + length > most:
            shards.append(current)
            current, size = [], 0
        current.append(piece)
        size += length
    # Without any tensor there is still one file.
    return [*shards, current] if current or not shards else shards


# --- metadata ----------------------------------------------------------------------------


def _own(
    wrapper: str | None, in_parts: tuple[WrittenParts, ...], options: ConvertOptions
) -> dict[str, str]:
    """Return the strings that come first."""
    # transformers refuses a file without "format"; "pt" is how torch's tensors are marked.
    own = {FORMAT: "pt"}
    if options.hashes:
        own[FINGERPRINT] = UNKNOWN
    if wrapper is not None:
        own[WRAPPER] = wrapper
    if in_parts:
        own[PARTS] = metadata_of(in_parts)
    return own


def _metadata(
    checkpoint: Checkpoint,
    selection: TensorSelection,
    tied: Mapping[str, str],
    own: dict[str, str],
    options: ConvertOptions,
) -> dict[str, str]:
    """Return the strings of ``__metadata__`` in their order; the fingerprint comes later."""
    if tied:  # so that converting back restores the order of the names
        own[ORDER] = order_of(tied, selection.naming.tensors)
    users = dict(options.metadata)
    for key, value in users.items():
        if key in (*OWN_KEYS, PARTS) or key in tied or value in selection.naming.tensors:
            raise UsageError(
                f"the metadata {key}={value} would be taken for something else",
                fix="Choose another key or value: dropped=kept is how tied names are recorded.",
            )
    # Without the source's ties, which were resolved and are recorded again.
    carried = {
        key: value
        for key, value in checkpoint.metadata.items()
        if key not in OWN_KEYS
        and key not in selection.tensors
        and value not in checkpoint.tensors
        # nor what would be taken for a tie of the new names
        and (value in selection.tensors or value not in selection.naming.tensors)
    }
    further = {**carried, **users}
    return {**own, **dict(sorted(tied.items())), **dict(sorted(further.items()))}


# --- findings ----------------------------------------------------------------------------


def _emptiness(checkpoint: Checkpoint, selection: TensorSelection) -> Iterator[Finding]:
    empty = placeholders(selection.tensors)
    if empty:
        yield finding(
            rules.PLACEHOLDERS,
            message(empty, selection.tensors),
            tensors=empty,
            # With the weights in the file, it is the selection that left them out.
            fix=way_out(checkpoint)
            if placeholders(checkpoint.tensors)
            else "Convert more of the tensors: check --include and --exclude.",
        )


def _findings(
    checkpoint: Checkpoint,
    pieces: Sequence[PlannedTensor],
    selection: TensorSelection,
    sharing: Sharing,
    tied: Mapping[str, str],
    options: ConvertOptions,
) -> Iterator[Finding]:
    yield from _unwritable(pieces, options.to, selection.naming)
    if selection.unread:
        reasons = ", ".join(dict.fromkeys(reason for _, reason in selection.unread))
        whole = len(selection.unread) == len(checkpoint.unread)
        of_bytes = f", {size(checkpoint.unread_bytes)}" if whole else ""
        yield finding(
            rules.UNREAD_ENTRY,
            f"{count(len(selection.unread), 'tensor')} cannot be read{of_bytes}: {reasons}",
            severity=Severity.ERROR,
            tensors=[name for name, _ in selection.unread],
            fix=way_around(selection.unread, checkpoint.in_parts, options.parts),
        )
    for group in sharing.overlapping:
        yield finding(
            rules.OVERLAPPING,
            f"{count(len(group), 'tensor')} share bytes in part; each is written out in full",
            tensors=group,
        )
    if tied:
        kept = ", ".join(f"{name} = {same}" for name, same in list(tied.items())[:_SHOWN])
        yield finding(
            rules.TIED,
            f"stored once, and recorded in __metadata__: {kept}",
            tensors=tied,
            fix="--keep NAME stores another of the names, --keep-aliases all of them.",
        )
    most = options.max_shard_size
    large = [piece for piece in pieces if most is not None and piece.nbytes > most]
    if large:
        yield finding(
            rules.LARGE_SHARD,
            f"{count(len(large), 'tensor')} larger than --max-shard-size, each in a file alone",
            tensors=[piece.name for piece in large],
            expected=f"at most {size(most or 0)}",
            found=f"up to {size(max(piece.nbytes for piece in large))}",
        )


_SHOWN = 20  # tied names that a finding spells out


def _unwritable(pieces: Sequence[PlannedTensor], to: str, naming: Naming) -> Iterator[Finding]:
    """Yield errors for tensors that the target cannot hold."""
    target = TARGETS[to]
    wrong = [piece for piece in pieces if not target.holds(piece.dtype, tuple(piece.shape))]
    if wrong:
        types = ", ".join(dict.fromkeys(piece.dtype.name for piece in wrong))
        yield finding(
            rules.CANNOT_HOLD,
            f"{to} has no elements of {types}",
            tensors=naming.origins(piece.name for piece in wrong),
            fix="Leave them out with --exclude.",
        )
    for name in (piece.name for piece in pieces if piece.name in target.RESERVED):
        yield finding(
            rules.CANNOT_HOLD,
            f"{to} has no tensor of this name: {target.RESERVED[name]}",
            tensors=[name],
            fix=f"Leave it out with --exclude {' '.join(naming.origins([name]))}.",
        )
