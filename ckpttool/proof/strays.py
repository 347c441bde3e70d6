"""Parts of adapters without a pair of tensors: a tied one of another name may have taken them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator, Sequence

from ckpttool.comparison.numbers.compare import Pass
from ckpttool.comparison.numbers.stretches import Pair
from ckpttool.comparison.pairing import Match
from ckpttool.models.adapters.names import WHOLE, part_of
from ckpttool.proof.absent import called
from ckpttool.proof.adapters.placing import oriented
from ckpttool.proof.additions import Addition, Merge
from ckpttool.proof.casts import is_cast, replay
from ckpttool.proof.links import Link
from ckpttool.proof.merge_reasons import merging
from ckpttool.proof.merges import replay_merges, why_not_replayed
from ckpttool.proof.result import Explained, Operation

if TYPE_CHECKING:
    from ckpttool.proof.adapters.placing import Unplaced
    from ckpttool.proof.options import ProveOptions
    from ckpttool.proof.paired import Paired
    from ckpttool.proof.replays import Replays
    from ckpttool.proof.result import Unexplained
    from ckpttool.tensors.catalogue import TensorInfo

# Tensors of the right shape that a part without a pair is tried with.
_MOST = 8


class Strays:
    """What adapters add to tensors that have no pair of their name.

    Attributes:
        names: of B's tensors that are explained now.
        unplaced: the parts that are not.
    """

    def __init__(self, paired: Paired, replays: Replays, options: ProveOptions) -> None:
        self.names: set[str] = set()
        self.unplaced: list[Unplaced] = []
        self._paired = paired
        self._replays = replays
        self._options = options

    def find(self, failed: Sequence[Link], unplaced: Sequence[Unplaced]) -> dict[str, Explained]:
        """Return what explains tensors of B, by the names that are paired.

        Args:
            failed: links that are not explained.
            unplaced: what adapters add to no link.

        Raises:
            SideError: a file could not be read.
        """
        found: dict[str, Explained] = {}
        for stray in unplaced:
            for link in self._candidates(stray, failed):
                explained = self._tried(stray, link)
                if explained is not None:
                    found[link.match.right] = explained
                    self.names.update(link.names)
                    break
            else:
                self.unplaced.append(stray)
        return found

    def is_known(self, info: TensorInfo) -> bool:
        """Whether A has the elements of an adapter's tensor under another name.

        Raises:
            SideError: a file could not be read.
        """
        alike = [one for one in self._paired.source.values() if one.shape == info.shape][:_MOST]
        workers, executor = self._options.workers, self._options.executor
        same = [Pair(one, info) for one in alike if one.dtype == info.dtype]
        casts = [Pair(one, info) for one in alike if is_cast(one.dtype, info.dtype)]
        if any(one.identical for one in Pass(None, workers, None, executor).run(same)):
            return True
        replayed = replay(casts, workers=workers, executor=executor)
        return any(not one.differing for one in replayed)

    def told(self, one: Unexplained) -> Unexplained:
        """Return a tensor that A has nothing of, with what is known of it beside."""
        part = part_of(one.name)
        if part is None or part.kind == WHOLE:
            return one
        return one._replace(reason="it is a part of an adapter, which lies beside the weights")

    def _candidates(self, stray: Unplaced, failed: Sequence[Link]) -> Iterator[Link]:
        """Yield pairs of one shape that the part may have been merged into."""
        size = stray.delta.up.shape[0], stray.delta.down.shape[1]
        sizes = {size, size[::-1]}
        pairing = self._paired.pairing
        if stray.name is None:
            fitting = [
                link
                for link in failed
                if link.pair.left.shape in sizes and link.pair.right.shape in sizes
            ]
            yield from fitting[:_MOST]
            return
        rights = [name for name in pairing.only_right if stray.name in called(pairing, 1, name)]
        for right in rights[:1]:
            made = pairing.right.tensors[right]
            lefts = [
                name for name, info in pairing.left.tensors.items() if info.shape == made.shape
            ]
            for left in lefts[:_MOST]:
                yield Link(
                    Match(left, right),
                    Pair(pairing.left.tensors[left], made),
                    called(pairing, 0, left),
                    called(pairing, 1, right),
                    (),
                )

    def _tried(self, stray: Unplaced, link: Link) -> Explained | None:
        delta = stray.delta
        factors = oriented(delta, link.pair.left.shape)
        if isinstance(factors, str) or (delta.magnitude is not None and factors[0] is not delta.up):
            return None
        addition = Addition(stray.adapter, 0, *factors, delta.scale, delta.magnitude)
        merge = Merge(link.pair, (*link.additions, addition))
        if link.pair.left.shape != link.pair.right.shape or why_not_replayed(merge):
            return None
        workers, executor = self._options.workers, self._options.executor
        (outcome,) = replay_merges([merge], workers=workers, executor=executor)
        told = merging(merge, outcome, self._paired.adapters)
        # what changes nothing was not merged into any tensor in particular
        if told is None or not told.changed:
            return None
        explained = self._replays.explained(link, link.names, merge=told)
        done = (*explained.operations, Operation.TIED)
        kept = [each for each in done if each is not Operation.RENAMED]
        return explained._replace(operations=tuple(sorted(kept, key=list(Operation).index)))
