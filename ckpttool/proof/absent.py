"""Tensors of one file alone: those of B for which A has nothing, and those of A that B lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Collection, Iterator, Mapping, NamedTuple, Sequence

from ckpttool.findings.errors import UsageError
from ckpttool.findings.name_filter import tip
from ckpttool.findings.patterns import matches_glob
from ckpttool.findings.text import printable
from ckpttool.proof.result import Missing, Unexplained

if TYPE_CHECKING:
    from ckpttool.comparison.pairing import Pairing
    from ckpttool.proof.leftovers import Leftovers
    from ckpttool.tensors.catalogue import Checkpoint, TensorInfo


def called(pairing: Pairing, side: int, name: str) -> tuple[str, ...]:
    """Return what a file calls a tensor that is paired under another name, maybe."""
    named = (pairing.left, pairing.right)[side]
    return tuple(dict.fromkeys(named.origins.get(name, (name,))))


def without_source(
    pairing: Pairing, source: Checkpoint, made: Mapping[str, TensorInfo], more: Leftovers
) -> Iterator[Unexplained]:
    """Yield the tensors of B for which A has nothing.

    Args:
        pairing: how the tensors were paired.
        source: A.
        made: the tensors of B by its own names.
        more: what their content told.
    """
    unread = dict(source.unread)
    for name in pairing.only_right:
        if name in more.renamed or name in more.tied:
            continue
        for own in called(pairing, 1, name):
            info = made[own]
            reason, doubt = "A has nothing like it", own in unread
            if doubt:
                reason = f"A's is of a kind that is not read: {unread[own]}"
            elif name in more.constant:
                reason = "A has no tensor of its name, and one repeated number identifies no tensor"
            yield Unexplained(own, info.dtype.name, info.shape, (), reason, doubt)


def check_patterns(patterns: Sequence[str], names: Sequence[str]) -> None:
    """Refuse a pattern of names that may be missing if A has no such name.

    Raises:
        UsageError: that is so.
    """
    for pattern in patterns:
        if not any(matches_glob(pattern, name) for name in names):
            raise UsageError(
                f"no tensor name of A matches {printable(pattern)} (allow_missing)",
                fix=tip(pattern, names),
            )


class Absent(NamedTuple):
    """What tells which tensors of A are missing.

    Attributes:
        pairing: how the tensors were paired.
        sides: A and B.
        source: the tensors of A, recorded ties included, by its own names.
        known: the names among them that tensors of B were made of, or held to.
    """

    pairing: Pairing
    sides: tuple[Checkpoint, Checkpoint]
    source: Mapping[str, TensorInfo]
    known: Collection[str]

    def missing(self, more: Leftovers, allowed: Sequence[str]) -> Iterator[Missing]:
        """Yield the tensors of A of which nothing in B was made, in the order of A."""
        views = {
            info.view: name
            for name, info in self.source.items()
            if info.nbytes and name in self.known
        }
        unread = dict(self.sides[1].unread)
        used = {*more.renamed.values(), *unread}
        for name in self.pairing.only_left:
            if name in used:
                continue
            for own in called(self.pairing, 0, name):
                info = self.source[own]
                # of a tensor that is split, the part: the rest of it is in B
                shown = name if own in self.known else own
                tie = None if own in self.known else views.get(info.view)
                may = _any(allowed, shown, own)
                yield Missing(shown, info.dtype.name, info.shape, tie, may)
        for name, _ in self.sides[0].unread:
            if name not in self.sides[1].tensors and name not in unread:
                yield Missing(name, None, None, None, _any(allowed, name))


def _any(patterns: Sequence[str], *names: str) -> bool:
    return any(matches_glob(pattern, name) for pattern in patterns for name in names)
