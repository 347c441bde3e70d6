"""Which tensors of both checkpoints belong together, and what is demanded of each."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Iterable, Iterator, Mapping, NamedTuple

from ckpttool.against.demands import Demand
from ckpttool.comparison.numbers.stretches import Pair
from ckpttool.comparison.pairing import match_names, pair, with_names_tied
from ckpttool.inputs.receipts import Receipt
from ckpttool.models.canonical import canonicalize

if TYPE_CHECKING:
    from ckpttool.against.demands import Demands
    from ckpttool.against.source import Source
    from ckpttool.comparison.pairing import Match
    from ckpttool.tensors.catalogue import Checkpoint, TensorInfo


class State(Enum):
    """What a tensor is, held against the one of the other checkpoint; the worst come last."""

    SAME = "same"
    CAST = "cast"
    CHANGED = "changed"
    UNTOLD = "untold"
    DTYPE = "dtype"
    SHAPE = "shape"
    MISSING = "missing"


class Row(NamedTuple):
    """A tensor of both checkpoints.

    Attributes:
        names: what the file calls it; several if it is joined from parts.
        sources: what the other checkpoint calls it.
        paired: the name under which the two were paired.
        pair: both, that of the other checkpoint first; of a list of digests, it has no bytes.
        demand: what is demanded of the values.
        moved: whether one name has a wrapper's parts that the other lacks.
    """

    names: tuple[str, ...]
    sources: tuple[str, ...]
    paired: str
    pair: Pair
    demand: Demand
    moved: bool = False

    @property
    def every_name(self) -> frozenset[str]:
        """All that it is called."""
        return frozenset((*self.names, *self.sources, self.paired))


class Lone(NamedTuple):
    """A tensor of one of the checkpoints: its own name, and what it would be called in the other.

    ``reason`` is why it is not read, if it is not.
    """

    name: str
    other: str
    reason: str | None = None


class Rows(NamedTuple):
    """How two checkpoints fit each other.

    Attributes:
        rows: the tensors that both have, in the order of the other checkpoint.
        missing: those that only the other one has.
        extra: those that only the file has.
        unread: those of a kind that is not read, in either, where both have them.
    """

    rows: tuple[Row, ...]
    missing: tuple[Lone, ...]
    extra: tuple[Lone, ...]
    unread: tuple[Lone, ...]


def rows_of(source: Source, checkpoint: Checkpoint, demands: Demands) -> Rows:
    """Pair the tensors of two checkpoints, by names, layouts and the caller's rules.

    Raises:
        UsageError: a pattern stands for no tensor, or two of them contradict each other.
    """
    made = with_names_tied(checkpoint, canonicalize(checkpoint.tensors))
    if isinstance(source.file, Receipt):
        left: Mapping[str, TensorInfo] = source.names.tensors
        # a lock file has canonical names alone
        right = made.canonical.tensors if source.file.canonical else made.tensors
        matches, only_left, only_right = match_names(left, right)
        origins: tuple[Mapping[str, tuple[str, ...]], ...] = (
            source.names.origins,
            made.canonical.origins if source.file.canonical else {},
        )
    else:
        pairing = pair(source.names, made)
        left, right = pairing.left.tensors, pairing.right.tensors
        matches, only_left, only_right = pairing.matches, pairing.only_left, pairing.only_right
        origins = pairing.left.origins, pairing.right.origins
    unread = source.unread, dict(checkpoint.unread)
    _require_known(demands, (left, right), origins, unread)
    rows = tuple(_row(match, left, right, origins, demands) for match in matches)
    missing = tuple(_alone(only_left, origins[0]))
    extra = tuple(_alone(only_right, origins[1]))
    return _with_unread(Rows(rows, missing, extra, ()), unread)


def _require_known(
    demands: Demands,
    tensors: tuple[Mapping[str, TensorInfo], ...],
    origins: tuple[Mapping[str, tuple[str, ...]], ...],
    unread: tuple[Mapping[str, str], ...],
) -> None:
    if not (demands.must_change or demands.must_not_change):
        return
    names: dict[str, None] = {}
    for side, own, not_read in zip(tensors, origins, unread):
        for name in side:
            names.update(dict.fromkeys((name, *own.get(name, ()))))
        names.update(dict.fromkeys(not_read))
    demands.require_known(names)


def _row(
    match: Match,
    left: Mapping[str, TensorInfo],
    right: Mapping[str, TensorInfo],
    origins: tuple[Mapping[str, tuple[str, ...]], ...],
    demands: Demands,
) -> Row:
    sources = origins[0].get(match.left, (match.left,))
    names = origins[1].get(match.right, (match.right,))
    both = Pair(left[match.left], right[match.right])
    demand = demands.of(dict.fromkeys((*names, *sources, match.left, match.right)))
    # parts of one tensor that are joined again have it for a source each
    sources = tuple(dict.fromkeys(sources))
    return Row(tuple(names), sources, match.right, both, demand, match.moved)


def _alone(names: Iterable[str], origins: Mapping[str, tuple[str, ...]]) -> Iterator[Lone]:
    for name in names:
        for own in dict.fromkeys(origins.get(name, (name,))):
            yield Lone(own, name)


def _with_unread(rows: Rows, unread: tuple[Mapping[str, str], Mapping[str, str]]) -> Rows:
    """Put tensors that are not read where they belong, by their own names alone."""
    theirs, ours = unread
    found: dict[str, Lone] = {}
    missing, extra = [], []
    ours_read = {one.name for one in rows.extra}
    for one in rows.missing:
        reason = next((ours[name] for name in one[:2] if name in ours), None)
        if reason is None:
            missing.append(one)
        else:
            found[one.name] = one._replace(reason=reason)
    for name, reason in theirs.items():
        if name in ours or name in ours_read:
            found[name] = Lone(name, name, reason)
        else:
            missing.append(Lone(name, name, reason))
    extra = [one for one in rows.extra if one.name not in theirs]
    known = {*found, *theirs, *(one.other for one in found.values())}
    extra += [Lone(name, name, reason) for name, reason in ours.items() if name not in known]
    return rows._replace(missing=tuple(missing), extra=tuple(extra), unread=tuple(found.values()))
