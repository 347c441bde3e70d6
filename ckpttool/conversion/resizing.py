"""Position tables for another size of images: the one place where a conversion computes numbers.

A resized table takes the place of the source's before anything is planned, as a tensor whose bytes
lie in memory. What comes after copies and proves it like any other.
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any, Iterable, NamedTuple

from ckpttool.conversion.result import Resized
from ckpttool.conversion.selecting import select
from ckpttool.files.sources import MemorySource
from ckpttool.findings import rules
from ckpttool.findings.errors import UnsupportedError, UsageError
from ckpttool.findings.finding import Finding, finding
from ckpttool.findings.rules import Severity
from ckpttool.models.canonical import canonicalize
from ckpttool.models.choosing import Said, choose
from ckpttool.tensors.catalogue import Checkpoint, Checksum, Extent, TensorInfo
from ckpttool.tensors.dtypes import DTYPES
from ckpttool.tensors.sharing import with_tied
from ckpttool.tensors.sums import tensor_sum

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ckpttool.conversion.options import ConvertOptions
    from ckpttool.conversion.selecting import TensorSelection
    from ckpttool.models.canonical import Canonical
    from ckpttool.models.choosing import Judged
    from ckpttool.models.family import Positions

# Elements of a table, before and after, which are computed in float64.
_MOST_ELEMENTS = 1 << 27
_OF_VALUES = next(dtype for dtype in DTYPES.values() if dtype.numpy == "f8")
_TOLERANCE = 1e-6  # of an element of a sin-cos table, as in verify


class Resizing(NamedTuple):
    """What was resized.

    Attributes:
        tables: the tables, in the order of the model.
        originals: their tensors in the source, by its names.
        checked: the stored sums over their bytes that were compared.
        findings: errors on tables that cannot be resized.
    """

    tables: tuple[Resized, ...] = ()
    originals: dict[str, TensorInfo] = {}  # noqa: RUF012 (never changed)
    checked: frozenset[Checksum] = frozenset()
    findings: tuple[Finding, ...] = ()

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 sums of the tables in the source, by its names, where they were asked for."""
        sums = {table.name: table.sha256 for table in self.tables}
        return {name: sha256 for name, sha256 in sums.items() if sha256 is not None}

    def undone(self, canonical: Canonical) -> Canonical:
        """Return the tensors with the tables as the source has them."""
        tensors = {
            name: self.originals.get(canonical.origins[name][0], info) if self.originals else info
            for name, info in canonical.tensors.items()
        }
        return canonical._replace(tensors=tensors)


def resize(
    checkpoint: Checkpoint,
    canonical: Canonical,
    selection: TensorSelection,
    options: ConvertOptions,
) -> tuple[Checkpoint, TensorSelection, Resizing]:
    """Put resized position tables in the place of those that are taken, if that is asked for.

    Args:
        checkpoint: the source.
        canonical: its tensors, those included that it only records as tied.
        selection: those that are taken.
        options: the size of the images.

    Raises:
        MalformedError: the bytes of a table do not match their stored sum.
        UnreadableError: a table cannot be read.
        UnsupportedError: the names are of no known layout.
        UsageError: patches do not fill such an image, or there is no table.
    """
    if options.resize_pos_embed is None:
        return checkpoint, selection, Resizing()
    judged = _judged(canonical)
    reading, family = judged.family.reading, judged.family
    tables = [
        name
        for name in family.tables
        if name in canonical.tensors and canonical.origins[name][0] in selection.tensors
    ]
    if reading is None or not tables:
        raise UsageError("there is no position table to resize")
    wider = reading.at_image(judged.config, options.resize_pos_embed)
    found = [
        _resized(
            _Table(
                canonical.origins[name][0],
                canonical.tensors[name],
                family.shapes(judged.config).get(name),
                family.tables[name](judged.config),
                family.tables[name](wider),
            ),
            checkpoint,
            options,
        )
        for name in tables
    ]
    changed = copy(checkpoint)
    changed.tensors = _in_place(checkpoint.tensors, [one for one in found if one.info])
    again = canonicalize(with_tied(changed.tensors, changed.metadata))
    resizing = Resizing(
        tuple(one.told for one in found if one.told),
        {one.original.name: one.original for one in found if one.info},
        frozenset(checksum for one in found for checksum in one.checked),
        tuple(one.problem for one in found if one.problem),
    )
    return changed, select(changed, again, options), resizing


def _judged(canonical: Canonical) -> Judged:
    """Return the model, with rows and columns of patches as the values of a table show them."""
    if canonical.family is None:
        raise UnsupportedError(
            "the names follow no known layout, so nothing tells which table is resized",
            rules.UNCLEAR_NAMES,
            fix="Give it names that are known in a conversion before, with --rename.",
        )
    judged = choose(canonical)
    for name, positions_of in judged.family.tables.items():
        positions, info = positions_of(judged.config), canonical.tensors.get(name)
        if positions is not None and info is not None and _why_not(info, positions) is None:
            from ckpttool.models.position_tables import grid_shown  # late: numpy

            stored = info.numpy().reshape(info.shape[-2:])
            grid = grid_shown(stored, positions, max(_TOLERANCE, _rounding(info)))
            if grid not in (None, (positions.rows, positions.columns)):
                return choose(canonical, said=Said(grid=grid))
    return judged


class _Table(NamedTuple):
    """A table of the source, and how it is computed for its own grid and for the other."""

    origin: str
    info: TensorInfo
    shape: tuple[int, ...] | None
    before: Positions | None
    after: Positions | None


class _Found(NamedTuple):
    """What became of one table: a new tensor, or nothing because it has the size already."""

    original: TensorInfo
    info: TensorInfo | None = None
    told: Resized | None = None
    checked: frozenset[Checksum] = frozenset()
    problem: Finding | None = None


def _resized(table: _Table, checkpoint: Checkpoint, options: ConvertOptions) -> _Found:
    old, new = table.before, table.after
    # by its own name, which a canonical tensor has not
    original = table.info._replace(name=table.origin)
    if old is None or new is None:
        return _refused(original, "the model has none of its width")
    if table.shape != table.info.shape:
        return _refused(original, f"it has the shape {list(table.info.shape)}")
    why = _why_not(table.info, old) or _why_not(table.info, new)
    if why is not None:
        return _refused(original, why)
    source, target = (old.rows, old.columns), (new.rows, new.columns)
    if source == target:
        message = f"the table is for {target[0]} x {target[1]} patches already"
        note = finding(
            rules.TABLE_NOT_RESIZED, message, severity=Severity.NOTE, tensors=[original.name]
        )
        return _Found(original, problem=note)
    from ckpttool.models import position_tables as kinds  # late: numpy

    checked = _checked(original, checkpoint.checksums)
    stored = original.numpy().reshape(original.shape[-2:])
    rounding = _rounding(original)
    values, found = kinds.at_grid(stored, old, new, max(_TOLERANCE, rounding))
    if values is None:
        return _refused(original, f"it is {found.text}")
    shown = found.kind in (kinds.SIN_COS, kinds.INTERPOLATED, kinds.STRETCHED)
    if old.rows != old.columns and not shown:
        patches = old.rows * old.columns
        return _refused(original, f"nothing shows rows and columns of its {patches:,} patches")
    info = _in_memory(original, values)
    way = "computed again" if shown else "interpolated bicubically"
    how = f"{found.text}, {way} at {target[0]} x {target[1]}"
    sha256 = tensor_sum(original) if options.hashes else None
    told = Resized(original.name, original.shape, info.shape, how, sha256)
    return _Found(original, info, told, checked)


def _refused(info: TensorInfo, why: str) -> _Found:
    message = f"the table cannot be resized: {why}"
    return _Found(info, problem=finding(rules.TABLE_NOT_RESIZED, message, tensors=[info.name]))


def _why_not(info: TensorInfo, positions: Positions) -> str | None:
    """Return why a table is not computed with, at this grid; ``None`` if it is."""
    rows = positions.before + positions.rows * positions.columns
    if len(info.shape) != 3 or info.shape[0] != 1:
        return f"it has the shape {list(info.shape)}"
    if max(info.numel, rows * info.shape[2]) > _MOST_ELEMENTS:
        return "it is too large"
    if info.dtype.kind != "float" or not info.dtype.castable:
        return f"it is of {info.dtype.name}"
    return None


def _rounding(info: TensorInfo) -> float:
    """Return how far the type of a table rounds a sine."""
    encoding = info.dtype.encoding
    return 0.0 if encoding is None else 2.0 ** -(encoding.mantissa + 1)


def _checked(info: TensorInfo, checksums: Iterable[Checksum]) -> frozenset[Checksum]:
    """Compare the stored sums over the bytes of a table, which no copying reads."""
    from ckpttool.formats.writing import stored_sums  # late: most conversions resize nothing

    theirs = [one for one in checksums if any(_overlap(one.extent, own) for own in info.extents)]
    sums = {one.extent: stored_sums.sum_of(one.extent) for one in theirs}
    return stored_sums.compare((), theirs, {}, sums)


def _overlap(one: Extent, other: Extent) -> bool:
    return one.source is other.source and (
        one.offset < other.offset + other.length and other.offset < one.offset + one.length
    )


def _in_memory(original: TensorInfo, values: NDArray[Any]) -> TensorInfo:
    """Return a tensor of these values (tokens, width) in the type of another one."""
    from ckpttool.formats.writing.casting import cast  # late: numpy

    data = bytearray(values.size * original.dtype.itemsize)
    plain = memoryview(values.astype("<f8").tobytes())
    cast(_OF_VALUES, original.dtype, plain, memoryview(data))
    source = MemorySource(bytes(data), "the resized table")
    shape = (1, *values.shape)
    extents = (Extent(source, 0, len(data)),)
    return TensorInfo(original.name, original.dtype, shape, None, extents)


def _in_place(tensors: dict[str, TensorInfo], found: Iterable[_Found]) -> dict[str, TensorInfo]:
    """Return the tensors with the new ones in place of the old, under each of their names."""
    # tied names have equal views, and stay tied
    new = {one.original.view: one.info for one in found if one.info}
    return {
        name: new[info.view]._replace(name=name) if new and info.view in new else info
        for name, info in tensors.items()
    }
