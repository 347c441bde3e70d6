"""Comparing by digests alone, where a receipt stands in for a checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Iterator, Mapping, NamedTuple, Sequence

from ckpttool.comparison.beside import compare_beside, entries_of
from ckpttool.comparison.given import given_names
from ckpttool.comparison.mapping import family_of, map_of
from ckpttool.comparison.numbers.compare import SideError
from ckpttool.comparison.options import nothing_left
from ckpttool.comparison.pairing import match_names, with_names_tied
from ckpttool.comparison.renamed import partners
from ckpttool.comparison.result import Comparison, DiffKind, Outcome, Side, StateDiff, TensorDiff
from ckpttool.comparison.run import in_order, leftovers, only, outcome_of
from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError, UnsupportedError
from ckpttool.findings.finding import Verdict
from ckpttool.findings.name_filter import NameFilter
from ckpttool.findings.names import summarise
from ckpttool.formats.objects.beside import beside_of
from ckpttool.inputs.receipts import Digest
from ckpttool.models.canonical import family_by
from ckpttool.tensors.catalogue import Checkpoint
from ckpttool.tensors.values import start_values

if TYPE_CHECKING:
    from ckpttool.comparison.options import DiffOptions
    from ckpttool.comparison.pairing import Names
    from ckpttool.findings.results import FileReport
    from ckpttool.inputs.receipts import Receipt
    from ckpttool.models.canonical import Canonical

#: Why tensors with different digests are not judged by a tolerance.
NO_ELEMENTS = "there are digests only: no tolerance can be applied"


def diff_digests(
    files: tuple[Checkpoint | Receipt, Checkpoint | Receipt],
    reports: Sequence[FileReport],
    canonical: Sequence[Canonical],
    options: DiffOptions,
) -> Comparison:
    """Compare by name, dtype, shape and digest, where a receipt stands in for a file.

    Raises:
        SideError: a file could not be read.
        UsageError: the options leave nothing to compare, or a pattern matches nothing.
    """
    digests: list[dict[str, Digest]] = []
    # A lock file has canonical names only, so the other side must use them as well.
    by_canonical = any(not isinstance(file, Checkpoint) and file.canonical for file in files)
    checkpoints = iter(canonical)
    own: list[Mapping[str, tuple[str, ...]]] = []
    for side, file in enumerate(files):
        given = () if side else options.given
        if not isinstance(file, Checkpoint):
            new = given_names(file.tensors, given)
            digests.append({new[name]: digest for name, digest in file.tensors.items()})
            own.append({other: (name,) for name, other in new.items()})
            continue
        names = with_names_tied(file, next(checkpoints)).with_given(given)
        own.append(names.origins)
        try:
            digests.append(_digests(file, names, options, by_canonical))
        except CkpttoolError as error:
            raise SideError(side, error) from error

    def described(side: int, name: str) -> Side:
        digest = digests[side][name]
        return Side(own[side].get(name, (name,)), digest.dtype, digest.shape)

    chosen = NameFilter(options.include, options.exclude)
    tolerant = options.tolerant or options.max_ulp is not None
    tensors = in_order(_compare(digests, chosen, described, tolerant=tolerant))
    excluded = sum(not chosen.wants(name) for name in {**digests[0], **digests[1]})
    beside = _beside(files, options, chosen, by_canonical)
    if not tensors and excluded:
        raise nothing_left()
    families = [side.family for side in canonical]
    families += [family_by(file.tensors) for file in files if not isinstance(file, Checkpoint)]
    trouble = any(file.verdict is not Verdict.PASS for file in reports)
    every = [*tensors, *beside.tensors]
    return Comparison(
        reports[0],
        reports[1],
        Outcome.CANNOT_TELL if trouble else outcome_of(every, beside.state, beside.unknown),
        tensors,
        in_order(beside.tensors),
        beside.state,
        excluded=excluded + beside.excluded,
        aside=beside.aside,
        notes=beside.notes,
        tolerance=str(options),
        map=map_of(tensors, family_of(families)),
    )


class _Beside(NamedTuple):
    """The comparison of what lies beside the weights of the side that is a checkpoint."""

    tensors: tuple[TensorDiff, ...] = ()
    state: tuple[StateDiff, ...] = ()
    unknown: tuple[str, ...] = ()
    aside: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    notes: tuple[str, ...] = ()
    excluded: int = 0


def _beside(
    files: tuple[Checkpoint | Receipt, Checkpoint | Receipt],
    options: DiffOptions,
    chosen: NameFilter,
    by_canonical: bool,
) -> _Beside:
    """Compare what lies beside the weights with a list of digests."""
    entries = [
        entries_of(beside_of(file) if isinstance(file, Checkpoint) else None) for file in files
    ]
    if options.weights_only:
        left, right = (tuple(key for key, _ in one.items) for one in entries)
        chosen.check("tensor or entry", (*left, *right), (*left, *right))
        return _Beside(aside=(left, right))
    found = compare_beside(entries[0], entries[1], chosen.wants)
    chosen.check("tensor or entry", below=found.unseen)
    # A conversion writes weights alone, so against a receipt every entry is a difference. A lock
    # file does not record entries, so against it nothing is known of them.
    if not by_canonical:
        return _Beside(tuple(map(only, found.only)), found.state, excluded=found.excluded)
    keys = sorted({*(entry.key for entry in found.state), *(key for key, _, _ in found.only)})
    listed = f": {summarise(keys)}" if keys else ""
    note = f"what lies beside the weights, of which a lock file says nothing{listed}"
    return _Beside(unknown=tuple(keys), notes=(note,), excluded=found.excluded)


def _digests(
    file: Checkpoint, names: Names, options: DiffOptions, by_canonical: bool
) -> dict[str, Digest]:
    tensors = names.canonical.tensors if by_canonical else names.tensors
    with start_values(tensors, (), workers=options.workers, executor=options.executor) as run:
        values = run.result()
    file.check_unchanged()
    unread = [*values.skipped, *(name for name, _ in file.unread)]
    # Without this tensor the lists would look as if it were missing from the file.
    if unread:
        raise UnsupportedError(
            "a tensor cannot be read, so that it has no digest",
            rules.UNSUPPORTED,
            path=file.path,
            tensor=unread[0],
        )
    return {
        name: Digest(info.dtype.name, info.shape, values.tensors[name].digest)
        for name, info in tensors.items()
    }


def _compare(
    digests: Sequence[Mapping[str, Digest]],
    wanted: NameFilter,
    described: Callable[[int, str], Side],
    *,
    tolerant: bool,
) -> Iterator[TensorDiff]:
    """Yield the class of every tensor that the filter wants."""
    sides = [
        {name: digest for name, digest in side.items() if wanted.wants(name)} for side in digests
    ]
    matches, *only = match_names(sides[0], sides[1])
    for name, other, moved in matches:
        one, two = sides[0][name], sides[1][other]
        kind = _kind(one, two, tolerant)
        if kind is DiffKind.IDENTICAL and moved:
            kind = DiffKind.MOVED
        note = NO_ELEMENTS if kind is DiffKind.NOT_COMPARED else None
        same = kind is DiffKind.IDENTICAL
        yield TensorDiff(name, kind, same, described(0, name), described(1, other), None, note)
    groups: list[dict[Any, list[str]]] = [{}, {}]
    for group, names, side in zip(groups, only, sides):
        for name in names:
            group.setdefault(side[name], []).append(name)
    renamed = partners(groups[0], groups[1])
    yield from leftovers(only[0], only[1], renamed, described)


def _kind(one: Digest, other: Digest, tolerant: bool) -> DiffKind:
    if one == other:
        return DiffKind.IDENTICAL
    if one.shape != other.shape:
        return DiffKind.SHAPE
    if tolerant:  # the digests differ, but the elements may be within the tolerance
        return DiffKind.NOT_COMPARED
    return DiffKind.CHANGED if one.dtype == other.dtype else DiffKind.DTYPE
