"""Proving two open checkpoints: pair the tensors, replay what was done to each, name the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterable, Iterator, Sequence

from ckpttool.comparison.beside import entries_of
from ckpttool.comparison.numbers.compare import SideError
from ckpttool.comparison.result import StructureDiff
from ckpttool.comparison.structure import structure_of
from ckpttool.findings.errors import CkpttoolError
from ckpttool.findings.finding import Verdict
from ckpttool.findings.names import summarise
from ckpttool.findings.text import count
from ckpttool.formats.objects.beside import beside_of
from ckpttool.proof.absent import Absent, called, check_patterns, without_source
from ckpttool.proof.leftovers import explain_leftovers
from ckpttool.proof.paired import paired
from ckpttool.proof.quantised import with_numbers
from ckpttool.proof.replays import Replays
from ckpttool.proof.result import (
    AdapterPart,
    Explained,
    Operation,
    Proof,
    ProofOutcome,
    Unexplained,
)
from ckpttool.proof.strays import Strays
from ckpttool.tensors.assembled import extents_below

if TYPE_CHECKING:
    from ckpttool.comparison.pairing import Pairing
    from ckpttool.findings.results import FileReport
    from ckpttool.models.canonical import Canonical
    from ckpttool.proof.adapters.reading import Adapter
    from ckpttool.proof.links import Link
    from ckpttool.proof.options import ProveOptions
    from ckpttool.proof.result import AdapterFacts, Missing
    from ckpttool.tensors.catalogue import Checkpoint, TensorInfo
    from ckpttool.tensors.workers import Progress


class Run:
    """One proof under way; the sides are A and B, in this order."""

    def __init__(
        self,
        sides: tuple[Checkpoint, Checkpoint],
        canonical: tuple[Canonical, Canonical],
        adapters: Sequence[Adapter],
        options: ProveOptions,
        progress: Progress | None,
    ) -> None:
        self._sides = sides
        self._adapters = adapters
        self._options = options
        self._numbers = numbers = with_numbers(sides)
        canonical = numbers.canonical(0, canonical[0]), numbers.canonical(1, canonical[1])
        self._paired = paired(numbers.sides, canonical, options.rules, adapters)
        self._replays = Replays(self._paired, numbers.decoded[1], options, progress)

    def prove(
        self, source: FileReport, made: FileReport, adapters: tuple[AdapterFacts, ...] = ()
    ) -> Proof:
        """Prove, and return the result together with the reports on the files.

        Raises:
            SideError: a file could not be read, or changed meanwhile.
            UsageError: a pattern of names that may be missing matches none.
        """
        one = self._paired
        pairing = one.pairing
        unread = dict(self._sides[0].unread)
        names = [*one.source, *unread, *one.names.tensors, *self._numbers.names(0)]
        check_patterns(self._options.allow_missing, names)
        explained: list[Explained] = []
        unexplained: list[Unexplained] = []
        links, unplaced = one.links()
        made_of: dict[str, tuple[str, ...]] = {}
        failed: list[Link] = []
        for link, found in zip(links, self._replays.run(links)):
            explained += found[0]
            unexplained += found[1]
            if found[1]:
                failed.append(link)
            else:
                made_of[link.match.right] = link.sources
        strays = Strays(one, self._replays, self._options)
        tied = strays.find(failed, unplaced)
        for name, found_now in tied.items():
            made_of[name] = found_now.sources
            explained.append(found_now)
        unexplained = [each for each in unexplained if each.name not in strays.names]
        more = explain_leftovers(pairing, made_of, self._options)
        made_of.update({name: called(pairing, 0, other) for name, other in more.renamed.items()})
        for name in more.renamed:
            own = called(pairing, 1, name)
            explained.append(Explained(own, made_of[name], (Operation.RENAMED,), by_content=True))
        for name, other in more.tied.items():
            own = called(pairing, 1, name)
            explained.append(Explained(own, made_of[other], (Operation.TIED,), by_content=True))
        unexplained += [
            strays.told(each)
            for each in without_source(pairing, self._sides[0], one.made.tensors, more)
            if each.name not in strays.names
        ]
        unexplained += _unread(self._sides[1])
        known = {name for each in explained for name in each.sources}
        known.update(name for other in unexplained for name in other.sources)
        absent = Absent(pairing, self._sides, one.source, known)
        lacking = absent.missing(more, self._options.allow_missing)
        order = {name: place for place, name in enumerate(one.made.tensors)}
        unexplained.sort(key=lambda each: order.get(each.name, len(order)))
        unexplained = self._numbers.failed(unexplained)
        missing = tuple(self._numbers.missing(lacking, unexplained))
        self._check_unchanged()
        trouble = any(file.verdict is not Verdict.PASS for file in (source, made))
        trouble = trouble or any(each.file.verdict is not Verdict.PASS for each in adapters)
        unmerged = tuple(self._unmerged(strays))
        return Proof(
            made,
            source,
            ProofOutcome.CANNOT_TELL if trouble else _outcome(unexplained, missing, unmerged),
            tuple(self._numbers.told(explained)),
            tuple(unexplained),
            missing,
            _structure(self._sides, pairing),
            tuple(_notes(self._sides)),
            adapters,
            unmerged,
        )

    def _unmerged(self, strays: Strays) -> Iterator[AdapterPart]:
        for adapter in self._adapters:
            for name, reason in adapter.not_replayed:
                yield AdapterPart(adapter.path, name, reason)
        for adapter, name in self._paired.strays:
            if strays.is_known(adapter.whole[name]):
                continue
            yield AdapterPart(adapter.path, name, "neither file has a tensor of this name")
        for one in strays.unplaced:
            yield AdapterPart(self._adapters[one.adapter].path, one.delta.module, one.reason)

    def _check_unchanged(self) -> None:
        files = [*self._sides, *(adapter.checkpoint for adapter in self._adapters)]
        for side, checkpoint in enumerate(files):
            try:
                checkpoint.check_unchanged()
            except CkpttoolError as error:
                raise SideError(side, error) from error


def _unread(made: Checkpoint) -> Iterator[Unexplained]:
    for name, reason in made.unread:
        yield Unexplained(name, None, None, (), f"it is of a kind that is not read: {reason}", True)


def _outcome(
    unexplained: Sequence[Unexplained], missing: Sequence[Missing], unmerged: Sequence[AdapterPart]
) -> ProofOutcome:
    """Return the outcome; a tensor that is not A's outweighs one that cannot be read."""
    if (
        any(not one.unread for one in unexplained)
        or any(not one.allowed for one in missing)
        or unmerged
    ):
        return ProofOutcome.NOT_PROVEN
    return ProofOutcome.CANNOT_TELL if unexplained else ProofOutcome.PROVEN


def _structure(sides: tuple[Checkpoint, Checkpoint], pairing: Pairing) -> tuple[StructureDiff, ...]:
    found = structure_of(sides[0], sides[1], pairing.layouts)
    files = [_files_of(side.tensors.values()) for side in sides]
    # where the cut is the same, each file of A has become one of B
    left, right = pairing.left.tensors, pairing.right.tensors
    moves = {
        (one, other)
        for match in pairing.matches
        for one in _files_of([left[match.left]])
        for other in _files_of([right[match.right]])
        # what an adapter or codes put there lies in no file of the two
        if one in files[0] and other in files[1]
    }
    if len(files[0]) != len(files[1]) or len(moves) > len(files[0]):
        told = [_shards(len(one)) for one in files]
        if told[0] == told[1]:
            told[1] += ", cut otherwise"
        found = (StructureDiff("re-sharded", told[0], told[1]), *found)
    return found


def _files_of(tensors: Iterable[TensorInfo]) -> set[int]:
    """Return the files that hold tensors, as numbers that tell them apart."""
    held = (extent for info in tensors for extent in info.extents)
    return {id(one.source) for extent in held for one in extents_below(extent)}


def _shards(number: int) -> str:
    return count(number, "file" if number == 1 else "shard")


def _notes(sides: Sequence[Checkpoint]) -> Iterator[str]:
    """Say what was not looked at, so that nothing skipped looks proven."""
    for which, side in zip("AB", sides):
        keys = [key for key, _ in entries_of(beside_of(side)).items]
        if keys:
            yield f"what lies beside the weights of {which}: {summarise(keys)}"
