"""Proving two open checkpoints: pair the tensors, replay what was done to each, name the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator, Sequence

from ckpttool.comparison.beside import entries_of
from ckpttool.comparison.numbers.compare import Pass, SideError
from ckpttool.comparison.numbers.stretches import Pair
from ckpttool.comparison.pairing import Names, pair, with_names_tied
from ckpttool.comparison.parts import fused_of, parts_of, told
from ckpttool.comparison.result import StructureDiff
from ckpttool.comparison.run import refused_views
from ckpttool.comparison.structure import structure_of
from ckpttool.conversion.renaming.rules import Rules, apply
from ckpttool.findings.errors import CkpttoolError
from ckpttool.findings.finding import Verdict
from ckpttool.findings.names import summarise
from ckpttool.findings.text import count, printable
from ckpttool.formats.objects.beside import beside_of
from ckpttool.models.canonical import canonicalize
from ckpttool.proof.absent import Absent, called, check_patterns, without_source
from ckpttool.proof.casts import is_cast
from ckpttool.proof.leftovers import explain_leftovers
from ckpttool.proof.links import Link, cast_reason, replay_casts
from ckpttool.proof.result import Cast, Explained, Operation, Proof, ProofOutcome, Unexplained

if TYPE_CHECKING:
    from ckpttool.comparison.numbers.tally import Tally
    from ckpttool.comparison.pairing import Pairing
    from ckpttool.conversion.renaming.rows import Naming
    from ckpttool.findings.results import FileReport
    from ckpttool.models.canonical import Canonical
    from ckpttool.proof.links import CastOutcome
    from ckpttool.proof.options import ProveOptions
    from ckpttool.proof.result import Missing
    from ckpttool.tensors.catalogue import Checkpoint
    from ckpttool.tensors.workers import Progress


class Run:
    """One proof under way; the sides are A and B, in this order."""

    def __init__(
        self,
        sides: tuple[Checkpoint, Checkpoint],
        canonical: tuple[Canonical, Canonical],
        options: ProveOptions,
        progress: Progress | None,
    ) -> None:
        self._sides = sides
        self._options = options
        self._progress = progress
        named = with_names_tied(sides[0], canonical[0])
        self._source = named.tensors
        self._made = with_names_tied(sides[1], canonical[1])
        self._naming, self._names = _renamed(named, options.rules)
        self._pairing = pair(self._names, self._made)

    def prove(self, source: FileReport, made: FileReport) -> Proof:
        """Prove, and return the result together with the reports on both files.

        Raises:
            SideError: a file could not be read, or changed meanwhile.
            UsageError: a pattern of names that may be missing matches none.
        """
        names = [*self._source, *dict(self._sides[0].unread), *self._names.tensors]
        check_patterns(self._options.allow_missing, names)
        explained: list[Explained] = []
        unexplained: list[Unexplained] = []
        links = self._links()
        made_of: dict[str, tuple[str, ...]] = {}
        for link, found in zip(links, self._replayed(links)):
            explained += found[0]
            unexplained += found[1]
            if not found[1]:
                made_of[link.match.right] = link.sources
        more = explain_leftovers(self._pairing, made_of, self._options)
        made_of.update(
            {name: called(self._pairing, 0, other) for name, other in more.renamed.items()}
        )
        for name in more.renamed:
            own = called(self._pairing, 1, name)
            explained.append(Explained(own, made_of[name], (Operation.RENAMED,), by_content=True))
        for name, other in more.tied.items():
            own = called(self._pairing, 1, name)
            explained.append(Explained(own, made_of[other], (Operation.TIED,), by_content=True))
        unexplained += without_source(self._pairing, self._sides[0], self._made.tensors, more)
        unexplained += _unread(self._sides[1])
        known = {name for one in explained for name in one.sources}
        known.update(name for other in unexplained for name in other.sources)
        absent = Absent(self._pairing, self._sides, self._source, known)
        missing = tuple(absent.missing(more, self._options.allow_missing))
        self._check_unchanged()
        order = {name: place for place, name in enumerate(self._made.tensors)}
        unexplained.sort(key=lambda one: order.get(one.name, len(order)))
        trouble = any(file.verdict is not Verdict.PASS for file in (source, made))
        return Proof(
            made,
            source,
            ProofOutcome.CANNOT_TELL if trouble else _outcome(unexplained, missing),
            tuple(explained),
            tuple(unexplained),
            missing,
            _structure(self._sides, self._pairing),
            tuple(_notes(self._sides)),
        )

    # --- tensors that have each other's names ----------------------------------------------

    def _links(self) -> list[Link]:
        fused = fused_of(self._names, self._pairing)
        left, right = self._pairing.left, self._pairing.right
        return [
            Link(
                match,
                Pair(left.tensors[match.left], right.tensors[match.right]),
                called(self._pairing, 0, match.left),
                called(self._pairing, 1, match.right),
                fused.get(match.left, ()),
            )
            for match in self._pairing.matches
        ]

    def _replayed(
        self, links: Sequence[Link]
    ) -> Iterator[tuple[list[Explained], list[Unexplained]]]:
        """Yield what came of each link, from one pass over the bytes of both files."""
        refused = [refused_views([link.pair[side] for link in links]) for side in (0, 1)]
        reasons = [
            refused[0].get(link.pair.left.view) or refused[1].get(link.pair.right.view)
            if any(refused)
            else None
            for link in links
        ]
        read = [
            link
            for link, reason in zip(links, reasons)
            if reason is None and link.pair.left.shape == link.pair.right.shape
        ]
        same = [link.pair for link in read if link.pair.left.dtype == link.pair.right.dtype]
        casts = [link for link in read if is_cast(*link.pair.dtypes)]
        if self._progress:
            self._progress.start(
                sum(
                    one.left.nbytes + one.right.nbytes
                    for one in (*same, *(link.pair for link in casts))
                )
            )
        advance = self._progress.advance if self._progress else None
        workers, executor = self._options.workers, self._options.executor
        tallies = iter(Pass(None, workers, advance, executor).run(same))
        replays = iter(replay_casts(casts, self._options, advance))
        for link, reason in zip(links, reasons):
            dtypes = link.pair.dtypes
            if reason is not None:
                yield [], self._named(link, reason, unread=True)
            elif link.pair.left.shape != link.pair.right.shape:
                yield [], self._named(link, f"A's has the shape {list(link.pair.left.shape)}")
            elif dtypes[0] == dtypes[1]:
                yield self._compared(link, next(tallies))
            elif is_cast(*dtypes):
                yield self._cast(link, next(replays))
            else:
                yield [], self._named(link, f"A's is {dtypes[0].name}, which is not cast to this")

    def _compared(self, link: Link, tally: Tally) -> tuple[list[Explained], list[Unexplained]]:
        if tally.identical:
            return [self._explained(link, link.names)], []
        parts = parts_of(link.pair, tally, link.parts) if link.parts else ()
        peak = tally.max_abs
        text = f"{tally.changed:,} of {tally.elements:,} elements differ from A's"
        if peak is not None:
            text += f", by up to {peak.value:.3g}"
        if len(parts) != len(link.names):
            note = told(parts)
            return [], self._named(link, text if note is None else f"{text}: {note}")
        # apart in B: those that are equal are proven for themselves
        equal = tuple(name for name, part in zip(link.names, parts) if part.same)
        differing = link._replace(
            names=tuple(name for name, part in zip(link.names, parts) if not part.same)
        )
        whole = f"of {printable(' + '.join(link.sources))}, {text}" if len(parts) > 1 else text
        return [self._explained(link, equal)] if equal else [], self._named(differing, whole)

    def _cast(self, link: Link, outcome: CastOutcome) -> tuple[list[Explained], list[Unexplained]]:
        replayed, backwards, parts = outcome
        source, target = link.pair.dtypes
        if not replayed.differing:
            cast = Cast(source.name, target.name, replayed.overflow, replayed.underflow)
            return [self._explained(link, link.names, cast)], []
        if backwards:
            text = f"it has more than A's {source.name}, which is this cast to {source.name}"
            return [], self._named(link, text)
        if not parts:
            return [], self._named(link, cast_reason(link, replayed))
        equal = [part for part in parts if not part[1].differing]
        names = tuple(part.names[0] for part, _ in equal)
        cast = Cast(
            source.name,
            target.name,
            sum(found.overflow for _, found in equal),
            sum(found.underflow for _, found in equal),
        )
        differing = [
            one
            for part, found in parts
            if found.differing
            for one in self._named(part, cast_reason(part, found))
        ]
        return [self._explained(link, names, cast)] if names else [], differing

    def _explained(self, link: Link, names: tuple[str, ...], cast: Cast | None = None) -> Explained:
        operations = list(self._operations(link))
        if cast is not None:
            operations.append(Operation.CAST)
        return Explained(names, link.sources, tuple(operations) or (Operation.IDENTICAL,), cast)

    def _operations(self, link: Link) -> Iterator[Operation]:
        rows = self._naming.rows.get(link.match.left, ()) if self._naming else ()
        if len(link.sources) < len(link.names) or any(
            self._source[name].numel > link.pair.left.numel for name in link.sources
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

    def _is_put_back(self, link: Link) -> bool:
        """Whether A only records the name as tied, and B has a tensor of it."""
        recorded = any(name not in self._sides[0].tensors for name in link.sources)
        return recorded and all(name in self._sides[1].tensors for name in link.names)

    def _named(self, link: Link, reason: str, *, unread: bool = False) -> list[Unexplained]:
        return [
            Unexplained(name, info.dtype.name, info.shape, link.sources, reason, unread)
            for name in link.names
            for info in [self._made.tensors[name]]
        ]

    def _check_unchanged(self) -> None:
        for side, checkpoint in enumerate(self._sides):
            try:
                checkpoint.check_unchanged()
            except CkpttoolError as error:
                raise SideError(side, error) from error


def _renamed(named: Names, rules: Rules) -> tuple[Naming | None, Names]:
    """Return the tensors of A under the names that the caller's rules give them."""
    if rules == Rules():
        return None, named
    naming, _ = apply(named.tensors, rules)
    origins = {name: naming.origins([name]) for name in naming.rows}
    return naming, Names(naming.tensors, canonicalize(naming.tensors), origins)


def _unread(made: Checkpoint) -> Iterator[Unexplained]:
    for name, reason in made.unread:
        yield Unexplained(name, None, None, (), f"it is of a kind that is not read: {reason}", True)


def _outcome(unexplained: Sequence[Unexplained], missing: Sequence[Missing]) -> ProofOutcome:
    """Return the outcome; a tensor that is not A's outweighs one that cannot be read."""
    if any(not one.unread for one in unexplained) or any(not one.allowed for one in missing):
        return ProofOutcome.NOT_PROVEN
    return ProofOutcome.CANNOT_TELL if unexplained else ProofOutcome.PROVEN


def _structure(sides: tuple[Checkpoint, Checkpoint], pairing: Pairing) -> tuple[StructureDiff, ...]:
    files = [
        count(
            len({id(extent.source) for info in side.tensors.values() for extent in info.extents}),
            "file",
        )
        for side in sides
    ]
    found = structure_of(sides[0], sides[1], pairing.layouts)
    if files[0] != files[1]:
        found = (StructureDiff("files", files[0], files[1]), *found)
    return found


def _notes(sides: Sequence[Checkpoint]) -> Iterator[str]:
    """Say what was not looked at, so that nothing skipped looks proven."""
    for which, side in zip("AB", sides):
        keys = [key for key, _ in entries_of(beside_of(side)).items]
        if keys:
            yield f"what lies beside the weights of {which}: {summarise(keys)}"
