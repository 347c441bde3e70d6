"""One comparison of two open checkpoints: pair, read both once, judge, sum up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterable, Iterator, Mapping, Sequence

from ckpttool.compared import Comparison, Kind, Outcome, Side, TensorDiff
from ckpttool.comparison.general import Tolerance
from ckpttool.comparison.options import nothing_left
from ckpttool.comparison.pairing import Filter, Match, Pairing, pair
from ckpttool.comparison.pieces import Pair
from ckpttool.comparison.reading import Pass, SideError
from ckpttool.comparison.state import State, differences, state_of
from ckpttool.comparison.structure import structure_of
from ckpttool.comparison.verdicts import Limits, change_of, judge
from ckpttool.errors import CkpttoolError
from ckpttool.findings import Verdict
from ckpttool.names import in_order as names_in_order
from ckpttool.readings import plan
from ckpttool.sharing import with_tied
from ckpttool.text import count

if TYPE_CHECKING:
    from ckpttool.comparison.options import DiffOptions, Progress
    from ckpttool.comparison.tally import Tally
    from ckpttool.results import FileReport
    from ckpttool.tensors import Checkpoint, TensorInfo


class Run:
    """One comparison under way."""

    def __init__(
        self,
        sides: tuple[Checkpoint, Checkpoint],
        options: DiffOptions,
        progress: Progress | None,
    ) -> None:
        self._sides = sides
        self._options = options
        self._progress = progress
        self._filter = Filter(options.include, options.exclude)
        self._excluded = 0

    def compare(self, left: FileReport, right: FileReport) -> Comparison:
        """Compare, and put what was found beside the facts of both files.

        Raises:
            SideError: a file could not be read, or changed meanwhile.
            UsageError: the options leave nothing to compare.
        """
        unread = dict(row for side in self._sides for row in reversed(side.unread))
        pairing = self._filtered(
            pair(*(with_tied(side.tensors, side.metadata) for side in self._sides)), unread
        )
        states = self._states()
        tensors = [*self._pairs(pairing), *self._leftovers(pairing)]
        tensors += self._not_compared(pairing, unread)
        if not tensors and self._excluded:
            raise nothing_left()
        self._check_unchanged()
        state = tuple(differences(states[0].values, states[1].values))
        trouble = any(file.verdict is not Verdict.PASS for file in (left, right))
        return Comparison(
            left,
            right,
            Outcome.CANNOT_TELL if trouble else outcome_of(tensors, state, states),
            in_order(tensors),
            state,
            structure_of(self._sides[0], self._sides[1], pairing.layouts),
            self._excluded,
            tuple(_notes(states)),
            str(self._options),
        )

    def _filtered(self, pairing: Pairing, unread: Mapping[str, str]) -> Pairing:
        """Return what is to be compared, without what the other side has as something unread."""
        matches = tuple(m for m in pairing.matches if self._wants(pairing, m.left, m.right))
        left, right = (
            tuple(name for name in names if name not in unread)
            for names in (pairing.only_left, pairing.only_right)
        )
        only_left = tuple(name for name in left if self._wants(pairing, name, None))
        only_right = tuple(name for name in right if self._wants(pairing, None, name))
        return pairing._replace(matches=matches, only_left=only_left, only_right=only_right)

    def _wants(self, pairing: Pairing, left: str | None, right: str | None) -> bool:
        names = []
        for named, name in ((pairing.left, left), (pairing.right, right)):
            if name is not None:
                names += [name, *named.origins.get(name, ())]
        return self._wants_any(*names)

    def _wants_any(self, *names: str) -> bool:
        wanted = self._filter.wants(*names)
        self._excluded += not wanted
        return wanted

    def _states(self) -> tuple[State, State]:
        left, right = map(state_of, self._sides)
        wanted = {key: self._wants_any(key) for key in dict.fromkeys((*left.keys, *right.keys))}
        return left.only(wanted), right.only(wanted)

    def _pairs(self, pairing: Pairing) -> Iterator[TensorDiff]:
        options = self._options
        tolerance = Tolerance(options.atol or 0.0, options.rtol or 0.0, options.equal_nan)
        advance = self._progress.advance if self._progress else None
        run = Pass(tolerance if options.tolerant else None, options.workers, advance)
        limits = Limits(options.max_ulp, options.tolerant)
        found = [Pair(*_tensors(pairing, match)) for match in pairing.matches]
        refused = self._refused(pairing)
        readable = [
            one.left.shape == one.right.shape
            and one.comparable
            and (0, one.left.name) not in refused
            and (1, one.right.name) not in refused
            for one in found
        ]
        chosen = [one for one, wanted in zip(found, readable) if wanted]
        if self._progress:
            self._progress.start(sum(one.left.nbytes + one.right.nbytes for one in chosen))
        tallies = iter(run.run(chosen))
        for match, one, read in zip(pairing.matches, found, readable):
            sides = _side(pairing, 0, match.left), _side(pairing, 1, match.right)
            if read:
                yield _judged(match, one, next(tallies), sides, limits)
            elif one.left.shape != one.right.shape:
                yield TensorDiff(match.left, Kind.SHAPE, False, *sides)
            elif not one.comparable:
                yield TensorDiff(match.left, Kind.DTYPE, False, *sides)
            else:
                reason = refused.get((0, one.left.name)) or refused[1, one.right.name]
                yield TensorDiff(match.left, Kind.NOT_COMPARED, False, *sides, None, reason)

    def _refused(self, pairing: Pairing) -> dict[tuple[int, str], str]:
        """Return (side, name) -> reason of views that a hostile file makes endless."""
        return {
            (side, name): reason
            for side, named in enumerate((pairing.left, pairing.right))
            for name, reason in plan(named.tensors, (), ()).skipped.items()
        }

    def _leftovers(self, pairing: Pairing) -> Iterator[TensorDiff]:
        left = {name: pairing.left.tensors[name] for name in pairing.only_left}
        right = {name: pairing.right.tensors[name] for name in pairing.only_right}
        partners: dict[str, str] = {}
        if left and right:
            from ckpttool.comparison.renamed import renamed  # digests, which nothing else needs

            partners = renamed(left, right, self._options.workers)
        for name in left:
            one, other = _side(pairing, 0, name), None
            if name in partners:
                other = _side(pairing, 1, partners[name])
            kind = Kind.RENAMED if other else Kind.ONLY_LEFT
            yield TensorDiff(name, kind, False, one, other)
        taken = set(partners.values())
        for name in right:
            if name not in taken:
                yield TensorDiff(name, Kind.ONLY_RIGHT, False, None, _side(pairing, 1, name))

    def _not_compared(self, pairing: Pairing, unread: Mapping[str, str]) -> Iterator[TensorDiff]:
        """Yield the tensors of a kind that is not read; what they hold is not known."""
        for name, reason in unread.items():
            if self._wants_any(name):
                left, right = (
                    _side(pairing, number, name) if name in named.tensors else None
                    for number, named in enumerate((pairing.left, pairing.right))
                )
                yield TensorDiff(name, Kind.NOT_COMPARED, False, left, right, None, reason)

    def _check_unchanged(self) -> None:
        for side, checkpoint in enumerate(self._sides):
            try:
                checkpoint.check_unchanged()
            except CkpttoolError as error:
                raise SideError(side, error) from error


def in_order(tensors: Iterable[TensorDiff]) -> tuple[TensorDiff, ...]:
    """Return the tensors by their names, in an order that is the same with the sides exchanged."""

    def names(tensor: TensorDiff) -> Any:
        sides = [side.names[0] for side in (tensor.left, tensor.right) if side]
        return sorted(map(names_in_order, sides or [tensor.name]))

    return tuple(sorted(tensors, key=names))


def _tensors(pairing: Pairing, match: Match) -> tuple[TensorInfo, TensorInfo]:
    return pairing.left.tensors[match.left], pairing.right.tensors[match.right]


def _side(pairing: Pairing, side: int, name: str) -> Side:
    named = (pairing.left, pairing.right)[side]
    info = named.tensors[name]
    return Side(named.origins.get(name, (name,)), info.dtype.name, info.shape)


def _judged(
    match: Match, one: Pair, tally: Tally, sides: tuple[Side, Side], limits: Limits
) -> TensorDiff:
    judged = judge(one, tally, limits)
    change = change_of(tally, one.left.shape, limits)
    if match.moved and judged.kind is Kind.IDENTICAL:
        return TensorDiff(match.left, Kind.MOVED, False, *sides)
    # another name is a difference of its own, whatever the values are
    same = judged.same and not match.moved
    return TensorDiff(match.left, judged.kind, same, *sides, change, judged.note)


def outcome_of(
    tensors: Sequence[TensorDiff], state: Sequence[object], states: tuple[State, ...]
) -> Outcome:
    """Return what the classes and entries amount to; a known difference outweighs a doubt."""
    differing = {tensor.kind for tensor in tensors if not tensor.same}
    if state or differing - {Kind.NOT_COMPARED}:
        return Outcome.DIFFERENT
    unknown = differing or any(side.too_much for side in states)
    return Outcome.CANNOT_TELL if unknown else Outcome.SAME


def _notes(states: tuple[State, ...]) -> Iterator[str]:
    """Say what was not compared: what was skipped is never printed as clean."""
    beside = {key for state in states for key in state.tensors}
    if beside:
        first = sorted(beside)[0]
        yield f"{count(len(beside), 'tensor')} beside the weights ({first}, say)"
    too_much = sorted({key for state in states for key in state.too_much})
    if too_much:
        yield f"{', '.join(too_much)}: more than any real checkpoint holds there"
