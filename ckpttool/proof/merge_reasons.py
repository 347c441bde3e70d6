"""Why a tensor of B is not what a merge gives: each reason is found by replaying another merge."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Iterator, NamedTuple, Sequence

from ckpttool.comparison.verdicts import index_of
from ckpttool.findings.amounts import first_at
from ckpttool.findings.text import printable
from ckpttool.proof.additions import Addition, Merge
from ckpttool.proof.merges import measured, replay_merges
from ckpttool.proof.result import Merging
from ckpttool.tensors.rows import can_be_transposed, transposed

if TYPE_CHECKING:
    from ckpttool.proof.adapters.reading import Adapter
    from ckpttool.proof.additions import Merged
    from ckpttool.proof.options import ProveOptions

# The largest denominator of a factor that is tried, and how near a measured one must be to it.
_DENOMINATOR, _NEAR = 64, 0.01
# Adapters of which each is left out in turn.
_MOST = 8
# Tensors for which other merges are replayed; they are usually all alike.
_TRIED = 400


def merging(merge: Merge, outcome: Merged, adapters: Sequence[Adapter]) -> Merging | None:
    """Return how a merge explains a tensor of B; ``None`` if it does not."""
    from ckpttool.proof.merge_bounds import ARITHMETICS  # late: it loads numpy

    if outcome.arithmetic is None:
        return None
    source, target = merge.pair.dtypes
    # of a fused tensor, an adapter adds to several parts
    parts = {one.adapter: one for one in merge.additions}
    return Merging(
        tuple(adapters[number].path for number in parts),
        tuple(one.rank for one in parts.values()),
        tuple(one.scale for one in parts.values()),
        source.name,
        target.name,
        ARITHMETICS[outcome.arithmetic].name,
        outcome.changed,
        outcome.nan,
        any(one.magnitude is not None for one in merge.additions),
    )


class _Other(NamedTuple):
    """Another merge that may explain the tensor, and what it would mean."""

    merge: Merge
    words: str


class Reasons:
    """Finds reasons for the tensors of one run; what explained one is tried first on the next."""

    def __init__(self, adapters: Sequence[Adapter], options: ProveOptions) -> None:
        self._adapters = adapters
        self._options = options
        self._tried = 0

    def why(self, merge: Merge, outcome: Merged) -> str:
        """Say why B's tensor is not what the merge gives.

        Raises:
            SideError: a file could not be read.
        """
        if not merge.additions:
            return "no adapter is for these rows, and they are not those of A"
        if not outcome.changed:
            return f"it equals A's{_cast(merge)}: the adapter was not merged into it"
        if outcome.factor is not None:
            scale = merge.additions[0].scale
            return (
                f"the adapter was merged with {outcome.factor:.4g} x its scale: "
                f"{scale * outcome.factor:.4g} instead of {scale:g}"
            )
        self._tried += 1
        if self._tried <= _TRIED:
            for other in self._others(merge):
                if self._explains(other.merge):
                    return other.words
        # of the arithmetic that leaves the most room
        failing, first = outcome.failing[-1], outcome.first[-1]
        place = index_of(first or 0, merge.pair.left.shape)
        least = "at least " if outcome.given_up else ""
        text = least + first_at(failing, merge.pair.left.numel, "the merge", place)
        return text + self._measured(merge) + self._start(merge)

    def _others(self, merge: Merge) -> Iterator[_Other]:
        """Yield other merges, in the order in which they are worth trying."""
        if any(one.magnitude is not None for one in merge.additions):
            plain = tuple(one._replace(magnitude=None) for one in merge.additions)
            yield _Other(
                merge._replace(additions=plain),
                "the adapter was merged into it without its magnitudes (DoRA)",
            )
            return
        numbers = list(dict.fromkeys(one.adapter for one in merge.additions))
        if 1 < len(numbers) <= _MOST:
            for number in numbers:
                kept = tuple(one for one in merge.additions if one.adapter != number)
                name = printable(self._adapters[number].path)
                yield _Other(merge._replace(additions=kept), f"{name} was not merged into it")
        found = measured(merge)
        if found is not None:
            yield from self._scaled(merge, found.factor)
        turned = _turned(merge)
        if turned is not None:
            yield _Other(turned, "the adapter was merged into it with its axes exchanged")

    def _scaled(self, merge: Merge, factor: float) -> Iterator[_Other]:
        if not math.isfinite(factor):
            return
        first = merge.additions[0]
        near = float(Fraction(factor).limit_denominator(_DENOMINATOR))
        meant: dict[float, list[str]] = {}
        for one, words in self._factors(first):
            if _is_near(factor, one):
                meant.setdefault(one, []).append(words)
        if near:
            meant.setdefault(near, [f"with {near:g} x its scale"])
        for one, phrases in sorted(meant.items(), key=lambda pair: abs(pair[0] - factor)):
            if one == 1:
                continue
            additions = tuple(each._replace(scale=each.scale * one) for each in merge.additions)
            text = "the adapter was subtracted"
            if one != -1:
                text = f"the adapter was merged {', or '.join(phrases)}"
            told = f"{text}: {first.scale * one:g} instead of {first.scale:g}"
            yield _Other(merge._replace(additions=additions), told)

    def _factors(self, addition: Addition) -> Iterator[tuple[float, str]]:
        """Yield multiples of the scale that come of a known mistake, and its words."""
        rank, scale = addition.rank, addition.scale
        config = self._adapters[addition.adapter].config
        yield -1.0, ""
        yield 2.0, "twice, or with twice its scale"
        yield 3.0, "three times, or with three times its scale"
        if scale:
            yield 1 / scale, "without its scale (alpha / rank)"
        if config is not None and config.rslora:
            yield 1 / math.sqrt(rank), "with alpha / rank, not alpha / sqrt(rank)"
            yield math.sqrt(rank), "with alpha, not divided by the root of the rank"
        else:
            yield math.sqrt(rank), "with alpha / sqrt(rank), not alpha / rank"
            yield float(rank), "with alpha, not divided by the rank"

    def _explains(self, merge: Merge) -> bool:
        workers, executor = self._options.workers, self._options.executor
        (found,) = replay_merges([merge], workers=workers, executor=executor)
        return found.arithmetic is not None

    def _measured(self, merge: Merge) -> str:
        found = measured(merge)
        if found is None or any(one.magnitude is not None for one in merge.additions):
            return ""
        if found.share < 0.5:
            return f"; the adapter makes up {found.share:.0%} of what was changed"
        return f"; what was changed is nearest to {found.factor:.3g} x what it adds"

    def _start(self, merge: Merge) -> str:
        configs = [self._adapters[one.adapter].config for one in merge.additions]
        start = next((one.start for one in configs if one is not None and one.start), None)
        if start is None:
            return ""
        return f"; it was initialised by {start}, which changes A before the training"


def _is_near(one: float, other: float) -> bool:
    return abs(one - other) <= _NEAR * abs(other)


def _cast(merge: Merge) -> str:
    source, target = merge.pair.dtypes
    return "" if source == target else f" cast to {target.name}"


def _turned(merge: Merge) -> Merge | None:
    """Return the merge of the transposes of what is added, if all are of squares."""
    shape = merge.pair.left.shape
    if len(shape) != 2 or shape[0] != shape[1]:
        return None
    additions: list[Addition] = []
    for one in merge.additions:
        if one.rows != range(shape[0]) or not all(
            can_be_transposed(info.shape, info.dtype) for info in (one.up, one.down)
        ):
            return None
        up, down = transposed(one.down, one.down.name), transposed(one.up, one.up.name)
        additions.append(one._replace(up=up, down=down))
    return merge._replace(additions=tuple(additions))
