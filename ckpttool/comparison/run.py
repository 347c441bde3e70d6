"""Comparing two open checkpoints: pair the tensors, read both files once, judge each pair."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Iterable, Iterator, Mapping, NamedTuple, Sequence

from ckpttool.comparison.beside import BesideResult, Entries, compare_beside, contents, entries_of
from ckpttool.comparison.mapping import family_of, map_of
from ckpttool.comparison.numbers.compare import Pass, SideError
from ckpttool.comparison.numbers.stretches import Pair
from ckpttool.comparison.numbers.tolerance import Tolerance
from ckpttool.comparison.options import nothing_left
from ckpttool.comparison.pairing import Match, Pairing, pair, with_names_tied
from ckpttool.comparison.parts import fused_of, parts_of, told
from ckpttool.comparison.result import Comparison, DiffKind, Outcome, Part, Side, TensorDiff
from ckpttool.comparison.structure import structure_of
from ckpttool.comparison.verdicts import Allowed, change_of, judge
from ckpttool.files import collecting
from ckpttool.findings.errors import CkpttoolError
from ckpttool.findings.finding import Verdict
from ckpttool.findings.name_filter import NameFilter
from ckpttool.findings.names import natural_order, summarise
from ckpttool.formats.objects.beside import beside_of
from ckpttool.tensors.sharing import AMPLIFICATION_SLACK, AMPLIFIED, amplified
from ckpttool.tensors.workers import enter

if TYPE_CHECKING:
    from ckpttool.comparison.numbers.tally import Tally
    from ckpttool.comparison.options import DiffOptions
    from ckpttool.findings.results import FileReport
    from ckpttool.models.canonical import Canonical
    from ckpttool.tensors.catalogue import Checkpoint, TensorInfo
    from ckpttool.tensors.measures import Measured
    from ckpttool.tensors.workers import Progress


class Run:
    """One comparison under way."""

    def __init__(
        self,
        sides: tuple[Checkpoint, Checkpoint],
        canonical: Sequence[Canonical],
        options: DiffOptions,
        progress: Progress | None,
    ) -> None:
        self._sides = sides
        self._canonical = canonical
        self._options = options
        self._progress = progress
        self._filter = NameFilter(options.include, options.exclude)
        self._excluded = 0
        self._partners: dict[str, str] = {}
        self._measured: dict[str, tuple[Measured, Measured]] = {}

    def compare(self, left: FileReport, right: FileReport) -> Comparison:
        """Compare the two, and return the result together with the reports on both files.

        Raises:
            SideError: a file could not be read, or changed meanwhile.
            UsageError: the options leave nothing to compare, or a pattern matches nothing.
        """
        # Reversed, so that of several reasons for a name in one file the first stays.
        unread = dict(row for side in self._sides for row in reversed(side.unread))
        one, other = (with_names_tied(*side) for side in zip(self._sides, self._canonical))
        one = one.with_given(self._options.given)
        pairing = self._filtered(pair(one, other), unread)
        fused = fused_of(one, pairing)
        found, not_compared = self._unread(pairing, unread)
        found = found.with_more(self._beside())
        aside = self._aside()
        keys = [key for side in aside for key in side]
        # Only now does the filter know every name: a pattern may match an entry alone.
        self._filter.check("tensor or entry", keys, (*keys, *found.unseen))
        rows = [_row(pairing, match, fused.get(match.left, ())) for match in pairing.matches]
        rows += [
            Row(key, False, one, (_alone(key, one.left), _alone(key, one.right)))
            for key, one in found.pairs
        ]
        # The weights and the tensors beside them in one pass: bytes of both are read once.
        read = list(self._read(rows, len(pairing.matches)))
        weights = [*read[: len(pairing.matches)], *self._leftovers(pairing), *not_compared]
        tensors = in_order(weights)
        beside = [*read[len(pairing.matches) :], *map(only, found.only)]
        if self._options.stats:
            left, right = self._with_statistics(left, right, pairing)
        # Two empty files are the same; patterns that leave nothing are most likely a mistake.
        if not (tensors or found.compared) and self._excluded:
            raise nothing_left()
        self._check_unchanged()
        trouble = any(file.verdict is not Verdict.PASS for file in (left, right))
        every = [*tensors, *beside]
        return Comparison(
            left,
            right,
            Outcome.CANNOT_TELL if trouble else outcome_of(every, found.state, found.doubts),
            tensors,
            in_order(beside),
            found.state,
            structure_of(self._sides[0], self._sides[1], pairing.layouts),
            self._excluded,
            aside,
            tuple(_notes(found)),
            str(self._options),
            map_of(tensors, family_of(side.family for side in self._canonical)),
        )

    def _filtered(self, pairing: Pairing, unread: Mapping[str, str]) -> Pairing:
        """Return the pairing without filtered names and those that are unread on the other side."""
        matches = pairing.matches
        if self._options.include or self._options.exclude:
            matches = tuple(m for m in matches if self._wants(pairing, m.left, m.right))
        left, right = (
            tuple(name for name in names if name not in unread)
            for names in (pairing.only_left, pairing.only_right)
        )
        only_left = tuple(name for name in left if self._wants(pairing, name, None))
        only_right = tuple(name for name in right if self._wants(pairing, None, name))
        return pairing._replace(matches=matches, only_left=only_left, only_right=only_right)

    def _wants(self, pairing: Pairing, left: str | None, right: str | None) -> bool:
        names = []
        # Patterns may be written for a file's own names or for the names of the report.
        for named, name in ((pairing.left, left), (pairing.right, right)):
            if name is not None:
                names += [name, *named.origins.get(name, ())]
        return self._wants_any(*names)

    def _wants_any(self, *names: str) -> bool:
        wanted = self._filter.wants(*names)
        self._excluded += not wanted
        return wanted

    def _beside(self) -> BesideResult:
        """Compare what lies beside the weights, tensors by their keys alone."""
        if self._options.weights_only:
            return BesideResult()
        wrappers = [side.wrapper for side in self._sides]
        entries = [
            # Another wrapper is no difference in itself: entries in it are compared by their keys
            # within it.
            entries_of(beside_of(side), side.wrapper if wrappers[0] != wrappers[1] else None)
            for side in self._sides
        ]
        found = _compared(entries, self._filter.wants)
        self._excluded += found.excluded
        return found

    def _aside(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the keys beside the weights of either side if ``weights_only`` left them out."""
        if not self._options.weights_only:
            return (), ()
        left, right = (
            tuple(key for key, _ in entries_of(beside_of(side)).items) for side in self._sides
        )
        return left, right

    def _read(self, rows: Sequence[Row], weights: int) -> Iterator[TensorDiff]:
        """Compare pairs of tensors by their elements, in one pass over both files.

        The first of them are ``weights``, which are measured where that is asked for.
        """
        options = self._options
        tolerance = Tolerance(options.atol or 0.0, options.rtol or 0.0, options.equal_nan)
        advance = self._progress.advance if self._progress else None
        run = Pass(
            tolerance if options.tolerant else None,
            options.workers,
            advance,
            options.executor,
            self._sample(weights),
        )
        limits = Allowed(options.max_ulp, options.tolerant)
        refused = [refused_views([row.pair[side] for row in rows]) for side in (0, 1)]
        reasons: list[str | None] = [None] * len(rows)
        if any(refused):
            reasons = [
                refused[0].get(row.pair.left.view) or refused[1].get(row.pair.right.view)
                for row in rows
            ]
        chosen_rows = [
            row for row, reason in zip(rows, reasons) if row.is_readable and reason is None
        ]
        chosen = [row.pair for row in chosen_rows]
        measured = 0
        if options.stats:
            measured = sum(
                row.is_readable and reason is None for row, reason in zip(rows[:weights], reasons)
            )
        enter(self._progress, "comparing")
        if self._progress:
            self._progress.start(sum(one.left.nbytes + one.right.nbytes for one in chosen))
        tallies = run.run(chosen, measured)
        for row, tally in zip(chosen_rows[:measured], tallies):
            measured_of_both = tally.measured
            if measured_of_both is not None:
                self._measured[row.name] = measured_of_both
        found = iter(tallies)
        for row, reason in zip(rows, reasons):
            if row.pair.left.shape != row.pair.right.shape:
                yield TensorDiff(row.name, DiffKind.SHAPE, False, *row.sides)
            elif not row.pair.comparable:
                yield TensorDiff(row.name, DiffKind.DTYPE, False, *row.sides)
            elif reason is not None:
                yield TensorDiff(row.name, DiffKind.NOT_COMPARED, False, *row.sides, None, reason)
            else:
                yield _judged(row, next(found), limits)

    def _leftovers(self, pairing: Pairing) -> Iterator[TensorDiff]:
        left = {name: pairing.left.tensors[name] for name in pairing.only_left}
        right = {name: pairing.right.tensors[name] for name in pairing.only_right}
        partners = self._partners
        if left and right:
            from ckpttool.comparison.renamed import renamed  # late: digests are needed here only

            run = self._options
            partners.update(renamed(left, right, workers=run.workers, executor=run.executor))
        return leftovers(left, right, partners, lambda side, name: _side(pairing, side, name))

    def _unread(
        self, pairing: Pairing, unread: Mapping[str, str]
    ) -> tuple[BesideResult, list[TensorDiff]]:
        """Compare tensors of kinds that are not read (sparse, quantized) by their pickled parts.

        Returns:
            The result, and the tensors that this cannot compare: where the other side has a
            tensor that is read, or names of another layout.
        """
        sides = [beside_of(side) for side in self._sides]
        nodes = [dict(beside.unread) if beside else {} for beside in sides]
        chosen, rows = [], []
        for name, reason in unread.items():
            if not self._wants_any(name):
                continue
            known = any(name in one for one in nodes)
            named = [named.tensors for named in (pairing.left, pairing.right)]
            if known and not pairing.layouts and not any(name in one for one in named):
                chosen.append(name)
            elif known or self._options.weights_only:
                left, right = (
                    _side(pairing, side, name) if name in one else None
                    for side, one in enumerate(named)
                )
                rows.append(
                    TensorDiff(name, DiffKind.NOT_COMPARED, False, left, right, None, reason)
                )
            # The others have no node in a pickle and are compared beside the weights.
        entries = [
            Entries(beside, [(name, one[name]) for name in chosen if name in one])
            for beside, one in zip(sides, nodes)
        ]
        return _compared(entries), rows

    def _sample(self, weights: int) -> int:
        """Return how many elements make the sample of each tensor; 0 if nothing is measured."""
        if not self._options.stats:
            return 0
        from ckpttool.tensors.measures import limit_for  # late: numpy

        return limit_for(2 * weights)

    def _with_statistics(
        self, left: FileReport, right: FileReport, pairing: Pairing
    ) -> tuple[FileReport, FileReport]:
        from ckpttool.comparison.measured import statistics_of_both  # late: numpy

        with collecting.paused():
            one, other = statistics_of_both(
                pairing, self._canonical, self._measured, self._partners, self._options
            )
        return left._replace(statistics=one), right._replace(statistics=other)

    def _check_unchanged(self) -> None:
        for side, checkpoint in enumerate(self._sides):
            try:
                checkpoint.check_unchanged()
            except CkpttoolError as error:
                raise SideError(side, error) from error


def leftovers(
    left: Iterable[str],
    right: Iterable[str],
    renamed: Mapping[str, str],
    side_of: Callable[[int, str], Side],
) -> Iterator[TensorDiff]:
    """Yield the tensors that have no partner of the same name; ``renamed`` are left -> right."""
    for name in left:
        other = side_of(1, renamed[name]) if name in renamed else None
        kind = DiffKind.RENAMED if other else DiffKind.ONLY_LEFT
        yield TensorDiff(name, kind, False, side_of(0, name), other)
    taken = set(renamed.values())
    for name in right:
        if name not in taken:
            yield TensorDiff(name, DiffKind.ONLY_RIGHT, False, None, side_of(1, name))


def in_order(tensors: Iterable[TensorDiff]) -> tuple[TensorDiff, ...]:
    """Return the tensors by name, in an order that does not change if the sides are exchanged."""

    def names(tensor: TensorDiff) -> Any:
        sides = {side.names[0] for side in (tensor.left, tensor.right) if side}
        return sorted(map(natural_order, sides or {tensor.name}))

    return tuple(sorted(tensors, key=names))


class Row(NamedTuple):
    """A pair of tensors, its name in the report, and its description on each side.

    ``parts`` are the names of its parts, if it is fused.
    """

    name: str
    moved: bool
    pair: Pair
    sides: tuple[Side, Side]
    parts: tuple[str, ...] = ()

    @property
    def is_readable(self) -> bool:
        """Whether the elements of the two can be compared."""
        return self.pair.left.shape == self.pair.right.shape and self.pair.comparable


def _row(pairing: Pairing, match: Match, parts: tuple[str, ...]) -> Row:
    one = Pair(pairing.left.tensors[match.left], pairing.right.tensors[match.right])
    left, right = _side(pairing, 0, match.left), _side(pairing, 1, match.right)
    return Row(match.left, match.moved, one, (left, left if left == right else right), parts)


def _alone(key: str, info: TensorInfo) -> Side:
    return Side((key,), info.dtype.name, info.shape)


def only(found: tuple[str, int, TensorInfo]) -> TensorDiff:
    """Return the result for a tensor of one side only, given as (key, side, tensor)."""
    key, side, info = found
    if side == 0:
        return TensorDiff(key, DiffKind.ONLY_LEFT, False, _alone(key, info), None)
    return TensorDiff(key, DiffKind.ONLY_RIGHT, False, None, _alone(key, info))


def _compared(
    entries: Sequence[Entries], wants: Callable[[str], bool] = lambda _: True
) -> BesideResult:
    """Compare entries that are no readable tensors; an error names the side that caused it."""
    try:
        return compare_beside(entries[0], entries[1], wants)
    except CkpttoolError:
        # The walk over both does not tell on which side it failed; one over each alone does.
        for side, one in enumerate(entries):
            try:
                contents(one)
            except CkpttoolError as error:
                raise SideError(side, error) from error
        raise


def refused_views(tensors: Sequence[TensorInfo]) -> dict[object, str]:
    """Return view -> reason for the views that expand beyond the cap on amplification."""
    if sum(info.nbytes for info in tensors) <= AMPLIFICATION_SLACK:  # no view can be beyond it
        return {}
    distinct = {info.view: info for info in tensors}
    views = list(distinct)
    return {views[index]: AMPLIFIED for index in amplified(list(distinct.values()))}


def _side(pairing: Pairing, side: int, name: str) -> Side:
    named = (pairing.left, pairing.right)[side]
    info = named.tensors[name]
    return Side(named.origins.get(name, (name,)), info.dtype.name, info.shape)


def _judged(row: Row, tally: Tally, limits: Allowed) -> TensorDiff:
    judged = judge(row.pair, tally, limits)
    change = change_of(tally, row.pair.left.shape, limits)
    if row.moved and judged.kind is DiffKind.IDENTICAL:
        return TensorDiff(row.name, DiffKind.MOVED, False, *row.sides)
    # Code that loads the file goes by the names, so a moved tensor never counts as the same.
    same = judged.same and not row.moved
    parts: tuple[Part, ...] = ()
    if row.parts and judged.kind is DiffKind.CHANGED:
        parts = parts_of(row.pair, tally, row.parts)
    note = judged.note or told(parts)
    return TensorDiff(row.name, judged.kind, same, *row.sides, change, note, parts, judged.rounded)


def outcome_of(
    tensors: Sequence[TensorDiff], state: Sequence[object], doubts: Sequence[object]
) -> Outcome:
    """Return the outcome of all classes and entries; a known difference outweighs a doubt."""
    differing = {tensor.kind for tensor in tensors if not tensor.same}
    if state or differing - {DiffKind.NOT_COMPARED}:
        return Outcome.DIFFERENT
    return Outcome.CANNOT_TELL if differing or doubts else Outcome.SAME


def _notes(found: BesideResult) -> Iterator[str]:
    """Say what was not compared, so that nothing skipped looks compared."""
    reasons: dict[str, list[str]] = {}
    for key, reason in found.doubts:
        reasons.setdefault(reason, []).append(key)
    for reason, keys in reasons.items():
        yield f"{summarise(keys)}: {reason}"
    if found.passed_over:
        yield f"types and flags of OmegaConf at {summarise(found.passed_over)}"
