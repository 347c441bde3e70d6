"""The tensors of A and B, paired by their names, and what adapters are to add to each pair."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Iterator, Mapping, NamedTuple, Sequence

from ckpttool.comparison.numbers.stretches import Pair
from ckpttool.comparison.pairing import Names, pair, with_names_tied
from ckpttool.comparison.parts import fused_of
from ckpttool.conversion.renaming.rules import Rules, apply
from ckpttool.models.canonical import canonicalize
from ckpttool.proof.absent import called
from ckpttool.proof.adapters.placing import Piece, Spelling, Unplaced, place
from ckpttool.proof.links import Link
from ckpttool.proof.result import Operation
from ckpttool.tensors.rows import rows_of

if TYPE_CHECKING:
    from ckpttool.comparison.pairing import Pairing
    from ckpttool.conversion.renaming.rows import Naming
    from ckpttool.models.canonical import Canonical
    from ckpttool.proof.adapters.reading import Adapter
    from ckpttool.tensors.catalogue import Checkpoint, TensorInfo


class Paired(NamedTuple):
    """Two checkpoints whose tensors are paired.

    Attributes:
        sides: A and B.
        source: the tensors of A by its own names, recorded ties included, with those that an
            adapter has in their place.
        replaced: the names of the latter, each with A's own; ``None`` where A has none.
        made: the tensors of B.
        naming: what the caller's rules made of A's names; ``None`` without rules.
        names: the tensors of A under the names that are paired.
        pairing: how.
        adapters: the open adapters, in the order of merging.
        spellings: how the names of each become names of the files.
        strays: (adapter, name) of tensors of adapters that neither file has.
    """

    sides: tuple[Checkpoint, Checkpoint]
    source: Mapping[str, TensorInfo]
    replaced: Mapping[str, TensorInfo | None]
    made: Names
    naming: Naming | None
    names: Names
    pairing: Pairing
    adapters: Sequence[Adapter]
    spellings: Sequence[Spelling]
    strays: Sequence[tuple[Adapter, str]]

    def links(self) -> tuple[list[Link], list[Unplaced]]:
        """Return the tensors that have each other's names, and what adapters add to no such one."""
        fused = fused_of(self.names, self.pairing)
        left, right = self.pairing.left, self.pairing.right
        links = []
        for match in self.pairing.matches:
            sources = called(self.pairing, 0, match.left)
            links.append(
                Link(
                    match,
                    Pair(left.tensors[match.left], right.tensors[match.right]),
                    sources,
                    called(self.pairing, 1, match.right),
                    fused.get(match.left, ()),
                    replaced=any(name in self.replaced for name in sources),
                )
            )
        if not any(adapter.deltas for adapter in self.adapters):
            return links, []
        sides = (
            (self.source, self._pieces(links, 0)),
            (self.made.tensors, self._pieces(links, 1)),
        )
        placed, unplaced = place(self.adapters, self.spellings, sides)
        links = [
            link._replace(additions=tuple(placed[number])) if number in placed else link
            for number, link in enumerate(links)
        ]
        return links, unplaced

    def operations(self, link: Link) -> Iterator[Operation]:
        """Yield what was done to names and to the parts of a tensor."""
        rows = self.naming.rows.get(link.match.left, ()) if self.naming else ()
        if len(link.sources) < len(link.names) or any(
            self.source[name].numel > link.pair.left.numel for name in link.sources
        ):
            yield Operation.SPLIT
        elif len(link.sources) > len(link.names):
            yield Operation.JOINED
        elif any(one.transposed for one in rows):
            yield Operation.TRANSPOSED
        elif link.sources != link.names:
            yield Operation.RENAMED
        elif self._is_put_back(link):
            yield Operation.TIED
        if link.replaced:
            yield Operation.REPLACED

    def _is_put_back(self, link: Link) -> bool:
        """Whether A only records the name as tied, and B has a tensor of it."""
        recorded = any(
            name not in self.sides[0].tensors and name not in self.replaced for name in link.sources
        )
        return recorded and all(name in self.sides[1].tensors for name in link.names)

    def _pieces(self, links: Sequence[Link], side: int) -> dict[str, list[Piece]]:
        """Return which rows of which link each tensor of a file is, by the file's own names."""
        tensors = self.made.tensors if side else self.source
        found: dict[str, list[Piece]] = defaultdict(list)
        for number, link in enumerate(links):
            info = link.pair[side]
            names = link.names if side else link.sources
            rows = self.naming.rows.get(link.match.left, ()) if self.naming and not side else ()
            at = 0
            if rows and sum(one.stop - one.start for one in rows) == rows_of(info):
                for one in rows:
                    piece = Piece(number, at, (one.start, one.stop), one.transposed)
                    found[one.name].append(piece)
                    at += one.stop - one.start
            elif len(rows) == 1 and rows[0].transposed:
                height = rows_of(tensors[rows[0].name])
                found[rows[0].name].append(Piece(number, 0, (0, height), True))
            elif sum(rows_of(tensors[name]) for name in names) == rows_of(info):
                for name in names:
                    height = rows_of(tensors[name])
                    found[name].append(Piece(number, at, (0, height)))
                    at += height
        return found


def paired(
    sides: tuple[Checkpoint, Checkpoint],
    canonical: tuple[Canonical, Canonical],
    rules: Rules,
    adapters: Sequence[Adapter],
) -> Paired:
    """Pair the tensors of two open checkpoints.

    Args:
        sides: A and B.
        canonical: both under canonical names.
        rules: the caller's, from A to B.
        adapters: those that are said to be merged into B.
    """
    named, made = with_names_tied(sides[0], canonical[0]), with_names_tied(sides[1], canonical[1])
    known = {**named.tensors, **made.tensors}
    spellings = [
        Spelling(
            {
                *(delta.module for delta in one.deltas if not delta.flat),
                *(name.rpartition(".")[0] for name in one.whole),
            },
            known,
        )
        for one in adapters
    ]
    replaced: dict[str, TensorInfo | None] = {}
    strays = []
    tensors = dict(named.tensors)
    for adapter, spelling in zip(adapters, spellings):
        for own, info in adapter.whole.items():
            name = own if own in known else spelling.tensor(own)
            if name not in known:
                strays.append((adapter, own))
                continue
            replaced.setdefault(name, named.tensors.get(name))
            tensors[name] = info._replace(name=name)
    if replaced:
        named = Names(tensors, canonicalize(tensors))
    naming, names = _renamed(named, rules)
    return Paired(
        sides,
        named.tensors,
        replaced,
        made,
        naming,
        names,
        pair(names, made),
        adapters,
        spellings,
        strays,
    )


def _renamed(named: Names, rules: Rules) -> tuple[Naming | None, Names]:
    """Return the tensors of A under the names that the caller's rules give them."""
    if rules == Rules():
        return None, named
    naming, _ = apply(named.tensors, rules)
    origins = {name: naming.origins([name]) for name in naming.rows}
    return naming, Names(naming.tensors, canonicalize(naming.tensors), origins)
