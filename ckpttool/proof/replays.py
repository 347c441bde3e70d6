"""Replaying what was done to each pair of tensors: one function for each way that B can be made.

A way is a member of :class:`Way`, what chooses it in :meth:`Replays._way`, and a function that is
given all links of its way and yields what came of each, in their order.
"""

from __future__ import annotations

from enum import Enum, auto
from itertools import accumulate
from typing import TYPE_CHECKING, Callable, Iterator, List, Sequence, Tuple

from ckpttool.comparison.numbers.compare import Pass
from ckpttool.comparison.numbers.stretches import Pair
from ckpttool.comparison.parts import parts_of, told
from ckpttool.comparison.run import refused_views
from ckpttool.findings.amounts import values_differ
from ckpttool.findings.text import printable
from ckpttool.proof.additions import Merge
from ckpttool.proof.casts import is_cast, replay
from ckpttool.proof.links import cast_of, cast_reason, replay_casts
from ckpttool.proof.merge_reasons import Reasons, merging
from ckpttool.proof.merges import replay_merges, why_not_replayed
from ckpttool.proof.result import Cast, Differing, Explained, Operation, Unexplained
from ckpttool.proof.steps import hold, is_held, quantisation, why_outside
from ckpttool.tensors.rows import rows_of, some_rows
from ckpttool.tensors.workers import enter

if TYPE_CHECKING:
    from ckpttool.comparison.numbers.tally import Tally
    from ckpttool.proof.casts import Replayed
    from ckpttool.proof.links import CastOutcome, Link
    from ckpttool.proof.options import ProveOptions
    from ckpttool.proof.paired import Paired
    from ckpttool.proof.result import Merging
    from ckpttool.quantization.in_place import Decoded
    from ckpttool.tensors.workers import Progress

#: What came of a link: the tensors of B that it explains, and those that it does not.
Found = Tuple[List[Explained], List[Unexplained]]


class Way(Enum):
    """What is to be done with a link."""

    UNREAD = auto()
    SHAPE = auto()
    MERGE = auto()
    QUANTISED = auto()
    SAME = auto()
    CAST = auto()
    NONE = auto()


class Replays:
    """What was done to the tensors that have each other's names."""

    def __init__(
        self, paired: Paired, made: Decoded, options: ProveOptions, progress: Progress | None
    ) -> None:
        self._paired = paired
        self._made = made  # what is quantized of B
        self._options = options
        self._progress = progress
        self._refused: dict[object, str] = {}
        self._of: dict[Way, Callable[[Sequence[Link]], Iterator[Found]]] = {
            Way.UNREAD: self._unread,
            Way.SHAPE: self._shapes,
            Way.MERGE: self._merges,
            Way.QUANTISED: self._quantised,
            Way.SAME: self._same,
            Way.CAST: self._casts,
            Way.NONE: self._none,
        }

    def run(self, links: Sequence[Link]) -> Iterator[Found]:
        """Yield what came of each link; the bytes of both files are read once for each way.

        Raises:
            SideError: a file could not be read.
        """
        for side in (0, 1):
            self._refused.update(refused_views([link.pair[side] for link in links]))
        ways = [self._way(link) for link in links]
        enter(self._progress, "comparing")
        if self._progress:
            read = (Way.MERGE, Way.QUANTISED, Way.SAME, Way.CAST)
            pairs = [link.pair for link, way in zip(links, ways) if way in read]
            self._progress.start(sum(one.left.nbytes + one.right.nbytes for one in pairs))
        found = {
            way: call([link for link, chosen in zip(links, ways) if chosen is way])
            for way, call in self._of.items()
        }
        for way in ways:
            yield next(found[way])

    def _way(self, link: Link) -> Way:
        left, right = link.pair
        if self._refused and (left.view in self._refused or right.view in self._refused):
            return Way.UNREAD
        if left.shape != right.shape:
            return Way.SHAPE
        if link.additions:
            return Way.MERGE
        if is_held(link, self._made.coded):
            return Way.QUANTISED
        if left.dtype == right.dtype:
            return Way.SAME
        return Way.CAST if is_cast(left.dtype, right.dtype) else Way.NONE

    @property
    def _advance(self) -> Callable[[int], None] | None:
        return self._progress.advance if self._progress else None

    # --- what is not read ------------------------------------------------------------------

    def _unread(self, links: Sequence[Link]) -> Iterator[Found]:
        for link in links:
            views = (info.view for info in link.pair)
            reason = next(self._refused[view] for view in views if view in self._refused)
            yield [], self.named(link, reason, unread=True)

    def _shapes(self, links: Sequence[Link]) -> Iterator[Found]:
        for link in links:
            whose = "the adapter's" if link.replaced else "A's"
            reason = f"{whose} has the shape {list(link.pair.left.shape)}"
            rows = min(rows_of(info) for info in link.pair)
            if self._begins_alike(link, rows):
                what = "what the merge gives" if link.additions else f"those of {whose}"
                reason += f"; its first {rows:,} rows are {what}, as where a vocabulary was resized"
            yield [], self.named(link, reason)

    def _begins_alike(self, link: Link, rows: int) -> bool:
        """Whether one of two tensors of other heights begins with what makes the other one."""
        left, right = link.pair
        if left.shape[1:] != right.shape[1:] or not left.shape or not rows:
            return False
        if any(info.dtype.bits % 8 or info.view in self._refused for info in link.pair):
            return False
        cut = Pair(*(some_rows(info, info.name, 0, rows) for info in link.pair))
        if not link.additions:
            return self._is_made(cut)
        merge = Merge(cut, link.additions)
        if rows < rows_of(left) or why_not_replayed(merge) is not None:
            return False
        workers, executor = self._options.workers, self._options.executor
        (found,) = replay_merges([merge], workers=workers, executor=executor)
        return found.arithmetic is not None

    def _none(self, links: Sequence[Link]) -> Iterator[Found]:
        for link in links:
            name = link.pair.left.dtype.name
            yield [], self.named(link, f"A's is {name}, which is not cast to this")

    # --- the same type ---------------------------------------------------------------------

    def _same(self, links: Sequence[Link]) -> Iterator[Found]:
        run = Pass(None, self._options.workers, self._advance, self._options.executor)
        for link, tally in zip(links, run.run([link.pair for link in links])):
            yield self._compared(link, tally)

    def _compared(self, link: Link, tally: Tally) -> Found:
        if tally.identical:
            return [self.explained(link, link.names)], []
        parts = parts_of(link.pair, tally, link.parts) if link.parts else ()
        whose = "the adapter" if link.replaced else "A"
        text = values_differ(tally, f"{whose}'s", (f"in {whose}", "in B"))
        if len(parts) != len(link.names):
            note = told(parts)
            if note is not None:
                return [], self.named(link, f"{text}: {note}")
            return [], self.named(link, text, differing=_numbers(tally, f"{whose}'s"))
        # apart in B: those that are equal are proven for themselves
        equal = tuple(name for name, part in zip(link.names, parts) if part.same)
        differing = link._replace(
            names=tuple(name for name, part in zip(link.names, parts) if not part.same)
        )
        whole = f"of {printable(' + '.join(link.sources))}, {text}" if len(parts) > 1 else text
        return [self.explained(link, equal)] if equal else [], self.named(differing, whole)

    # --- casts -----------------------------------------------------------------------------

    def _casts(self, links: Sequence[Link]) -> Iterator[Found]:
        for link, outcome in zip(links, replay_casts(links, self._options, self._advance)):
            yield self._cast(link, outcome)

    def _cast(self, link: Link, outcome: CastOutcome) -> Found:
        replayed, backwards, parts = outcome
        source, target = link.pair.dtypes
        if not replayed.differing:
            cast = Cast(source.name, target.name, replayed.overflow, replayed.underflow)
            return [self.explained(link, link.names, cast)], []
        if backwards:
            text = f"it has more than A's {source.name}, which is this cast to {source.name}"
            return [], self.named(link, text)
        if not parts:
            return [], self.named(link, cast_reason(link, replayed), differing=_cut(link, replayed))
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
            for one in self.named(part, cast_reason(part, found), differing=_cut(part, found))
        ]
        return [self.explained(link, names, cast)] if names else [], differing

    # --- codes -----------------------------------------------------------------------------

    def _quantised(self, links: Sequence[Link]) -> Iterator[Found]:
        outcomes = hold(links, self._made.coded, self._options, self._advance)
        for link, held in zip(links, outcomes):
            if held is None:
                yield [], self.named(link, "it is quantized in part")
                continue
            fine = [one for one in held if why_outside(one) is None]
            explained = self.explained(link, tuple(one.name for one in fine))
            done = [one for one in explained.operations if one is not Operation.IDENTICAL]
            explained = explained._replace(
                operations=(*done, Operation.QUANTISED),
                quantisation=quantisation(fine, self._made),
            )
            differing = [
                found
                for one in held
                for reason in [why_outside(one)]
                if reason is not None
                for found in self.named(link._replace(names=(one.name,)), reason)
            ]
            yield [explained] if fine else [], differing

    # --- merges of adapters ----------------------------------------------------------------

    def _merges(self, links: Sequence[Link]) -> Iterator[Found]:
        workers, executor = self._options.workers, self._options.executor
        merges = [Merge(link.pair, link.additions) for link in links]
        refused = [why_not_replayed(merge) for merge in merges]
        chosen = [merge for merge, reason in zip(merges, refused) if reason is None]
        outcomes = iter(
            replay_merges(chosen, workers=workers, executor=executor, progress=self._advance)
        )
        reasons = Reasons(self._paired.adapters, self._options)
        for link, merge, reason in zip(links, merges, refused):
            if reason is not None:
                yield [], self.named(link, reason)
                continue
            outcome = next(outcomes)
            told = merging(merge, outcome, self._paired.adapters)
            if told is not None:
                yield [self.explained(link, link.names, merge=told)], []
            else:
                yield self._in_parts(link, merge, reasons) or (
                    [],
                    self.named(link, reasons.why(merge, outcome)),
                )

    def _in_parts(self, link: Link, merge: Merge, reasons: Reasons) -> Found | None:
        """Return what came of the parts of a fused tensor; ``None`` if it is no such one."""
        apart = len(link.names) > 1
        tensors = self._paired.made.tensors if apart else self._paired.source
        names = link.names if apart else link.sources
        heights = [rows_of(tensors[name]) for name in names]
        if len(names) < 2 or sum(heights) != rows_of(merge.pair.left):
            return None
        ends = list(accumulate(heights))
        parts = [merge.rows(end - height, end) for end, height in zip(ends, heights)]
        workers, executor = self._options.workers, self._options.executor
        outcomes = replay_merges(parts, workers=workers, executor=executor)
        explained: list[Explained] = []
        unexplained: list[Unexplained] = []
        wrong = []
        for name, part, outcome in zip(names, parts, outcomes):
            told = merging(part, outcome, self._paired.adapters)
            if told is None:
                reason = reasons.why(part, outcome)
                wrong.append(f"{printable(name)}: {reason}")
                if apart:
                    unexplained += self.named(link._replace(names=(name,)), reason)
            elif apart:
                merged = told if part.additions else None
                before, after = (dtype.name for dtype in part.pair.dtypes)
                cast = Cast(before, after) if merged is None and before != after else None
                explained.append(self.explained(link, (name,), cast, merged))
        if apart:
            return explained, unexplained
        return [], self.named(link, f"in its rows of {'; '.join(wrong)}")

    def _is_own(self, link: Link) -> bool:
        """Whether B has A's own tensor where an adapter has another one."""
        owns = [self._paired.replaced.get(name) for name in link.sources]
        if len(owns) != 1 or owns[0] is None or owns[0].shape != link.pair.right.shape:
            return False
        return self._is_made(Pair(owns[0], link.pair.right))

    def _is_made(self, pair: Pair) -> bool:
        """Whether the right tensor is the left one, or its cast."""
        workers, executor = self._options.workers, self._options.executor
        if is_cast(*pair.dtypes):
            return not replay([pair], workers=workers, executor=executor)[0].differing
        same = pair.left.dtype == pair.right.dtype
        return same and Pass(None, workers, None, executor).run([pair])[0].identical

    # --- words -----------------------------------------------------------------------------

    def explained(
        self,
        link: Link,
        names: tuple[str, ...],
        cast: Cast | None = None,
        merge: Merging | None = None,
    ) -> Explained:
        """Return the tensors of a link as explained."""
        operations = list(self._paired.operations(link))
        if merge is not None:
            operations.append(Operation.MERGED)
        if cast is not None:
            operations.append(Operation.CAST)
        done = tuple(operations) or (Operation.IDENTICAL,)
        return Explained(names, link.sources, done, cast, merge=merge)

    def named(
        self,
        link: Link,
        reason: str,
        *,
        unread: bool = False,
        differing: Differing | None = None,
    ) -> list[Unexplained]:
        """Return the tensors of a link as unexplained, for a reason."""
        if link.replaced and not unread and self._is_own(link):
            differing = None
            reason = "it equals A's: the adapter's, which has another one, was not put in its place"
        return [
            Unexplained(name, info.dtype.name, info.shape, link.sources, reason, unread, differing)
            for name in link.names
            for info in [self._paired.made.tensors[name]]
        ]


def _numbers(tally: Tally, other: str) -> Differing | None:
    """Return the numbers of a comparison; none where some are NaN on one side, which is told."""
    peak = tally.max_abs
    if tally.unlike or peak is None or not peak.value:
        return None
    return Differing(tally.changed, tally.elements, other, float(peak.value))


def _cut(link: Link, replayed: Replayed) -> Differing:
    return Differing(replayed.differing, replayed.elements, cast_of(link))
