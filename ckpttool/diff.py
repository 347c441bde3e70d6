"""Comparing two checkpoints: open, pair, read both once, judge, sum up.

Nothing here prints or exits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator, NamedTuple, Sequence

from ckpttool.compared import Comparison, Kind, Outcome, Side, TensorDiff
from ckpttool.comparison.pairing import Filter, Match, Pairing, pair
from ckpttool.comparison.state import State, differences, state_of
from ckpttool.comparison.structure import structure_of
from ckpttool.conversion.selecting import tied_names
from ckpttool.errors import CkpttoolError, UsageError
from ckpttool.findings import Verdict, finding_from, verdict_from
from ckpttool.formats import open_checkpoint
from ckpttool.formats.dangerous import findings_on
from ckpttool.layouts import canonicalize
from ckpttool.results import FileReport
from ckpttool.rules import Severity
from ckpttool.text import count

if TYPE_CHECKING:
    from ckpttool.comparison.reading import Pair
    from ckpttool.comparison.tally import Tally
    from ckpttool.comparison.verdicts import Limits
    from ckpttool.tensors import Checkpoint, TensorInfo
    from ckpttool.verify import Progress


class DiffOptions(NamedTuple):
    """What to compare, and what to overlook.

    Attributes:
        atol, rtol: a pair of elements may differ by ``atol + rtol * max(|a|, |b|)``; one that is
            not given is 0. ``None`` for both: nothing is overlooked.
        max_ulp: numbers of the type that may lie between the two, less one.
        equal_nan: whether one NaN is as good as another.
        include, exclude: patterns of names of tensors and of keys beside them.
        workers: threads; ``None`` for one a processor.
    """

    atol: float | None = None
    rtol: float | None = None
    max_ulp: int | None = None
    equal_nan: bool = False
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    workers: int | None = None

    @property
    def tolerant(self) -> bool:
        """Whether values are held against a tolerance."""
        return self.atol is not None or self.rtol is not None or self.equal_nan

    def __str__(self) -> str:
        said = [("--atol", self.atol), ("--rtol", self.rtol), ("--max-ulp", self.max_ulp)]
        words = [f"{option} {value}" for option, value in said if value is not None]
        return " ".join([*words, *["--equal-nan"] * self.equal_nan])


def diff_files(
    paths: tuple[str, str], options: DiffOptions, progress: Progress | None = None
) -> Comparison:
    """Compare two files, or say which of them is in the way.

    Raises:
        UsageError: the options leave nothing to compare.
    """
    reports, opened = [], []
    try:
        for path in paths:
            report, checkpoint = _open(path)
            reports.append(report)
            opened.extend([checkpoint] if checkpoint else [])
        if len(opened) < len(paths):
            return Comparison(reports[0], reports[1], Outcome.CANNOT_TELL)
        return diff(opened[0], opened[1], options, progress)
    finally:
        for checkpoint in opened:
            checkpoint.close()


def _open(path: str) -> tuple[FileReport, Checkpoint | None]:
    try:
        checkpoint = open_checkpoint(path)
    except CkpttoolError as error:
        return _in_trouble(FileReport(path, Verdict.CANNOT_TELL, ()), error), None
    return _facts(checkpoint), checkpoint


def _in_trouble(report: FileReport, error: CkpttoolError) -> FileReport:
    return report._replace(
        verdict=verdict_from(error), findings=(*report.findings, finding_from(error))
    )


def _facts(checkpoint: Checkpoint) -> FileReport:
    findings = tuple(
        found for found in findings_on(checkpoint.references) if found.severity is Severity.ERROR
    )
    return FileReport(
        checkpoint.path,
        Verdict.FAIL if findings else Verdict.PASS,
        findings,
        format=checkpoint.format,
        size=checkpoint.size,
        wrapper=checkpoint.wrapper,
        layout=canonicalize(checkpoint.tensors).layout,
        tensors=len(checkpoint.tensors),
        parameters=checkpoint.parameters,
    )


def diff(
    left: Checkpoint, right: Checkpoint, options: DiffOptions, progress: Progress | None = None
) -> Comparison:
    """Compare two open checkpoints.

    Args:
        left: one side.
        right: the other; exchanging them exchanges the sides of the result and nothing else.
        options: what to compare.
        progress: told how far the reading is.

    Raises:
        UsageError: the options leave nothing to compare.
    """
    from ckpttool.comparison.reading import SideError

    facts = [_facts(left), _facts(right)]
    try:
        return _Run((left, right), options, progress).compare(facts[0], facts[1])
    except SideError as failed:
        facts[failed.side] = _in_trouble(facts[failed.side], failed.error)
        return Comparison(facts[0], facts[1], Outcome.CANNOT_TELL)


class _Run:
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
        pairing = self._filtered(pair(*map(_with_tied, self._sides)))
        states = tuple(self._state(side) for side in self._sides)
        if not (pairing.matches or pairing.only_left or pairing.only_right) and self._excluded:
            raise UsageError("no tensor is left to compare", fix="Look at --include and --exclude.")
        tensors = (*self._pairs(pairing), *self._leftovers(pairing), *self._unread())
        self._check_unchanged()
        order = {name: place for place, name in enumerate(pairing.left.tensors)}
        state = tuple(differences(states[0].values, states[1].values))
        trouble = any(file.verdict is not Verdict.PASS for file in (left, right))
        return Comparison(
            left,
            right,
            Outcome.CANNOT_TELL if trouble else _outcome(tensors, state, states),
            tuple(sorted(tensors, key=lambda tensor: order.get(tensor.name, len(order)))),
            state,
            structure_of(self._sides[0], self._sides[1], pairing.layouts),
            self._excluded,
            tuple(_notes(states)),
            str(self._options),
        )

    def _filtered(self, pairing: Pairing) -> Pairing:
        matches = tuple(m for m in pairing.matches if self._wants(pairing, m.left, m.right))
        only_left = tuple(name for name in pairing.only_left if self._wants(pairing, name, None))
        only_right = tuple(name for name in pairing.only_right if self._wants(pairing, None, name))
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

    def _state(self, checkpoint: Checkpoint) -> State:
        state = state_of(checkpoint)
        return State(
            {key: value for key, value in state.values.items() if self._filter.wants(key)},
            tuple(key for key in state.tensors if self._filter.wants(key)),
            tuple(key for key in state.too_much if self._filter.wants(key)),
        )

    def _pairs(self, pairing: Pairing) -> Iterator[TensorDiff]:
        from ckpttool.comparison.general import Tolerance
        from ckpttool.comparison.reading import Pair, Pass
        from ckpttool.comparison.verdicts import Limits

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
        from ckpttool.readings import plan

        return {
            (side, name): reason
            for side, named in enumerate((pairing.left, pairing.right))
            for name, reason in plan(named.tensors, (), ()).skipped.items()
        }

    def _leftovers(self, pairing: Pairing) -> Iterator[TensorDiff]:
        from ckpttool.comparison.renamed import renamed

        left = {name: pairing.left.tensors[name] for name in pairing.only_left}
        right = {name: pairing.right.tensors[name] for name in pairing.only_right}
        partners = renamed(left, right, self._options.workers) if left and right else {}
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

    def _unread(self) -> Iterator[TensorDiff]:
        """Yield the tensors of a kind that is not read; what they hold is not known."""
        reasons: dict[str, str] = {}
        for side in self._sides:
            for name, reason in side.unread:
                reasons.setdefault(name, reason)
        for name, reason in reasons.items():
            if self._wants_any(name):
                yield TensorDiff(name, Kind.NOT_COMPARED, False, None, None, None, reason)

    def _check_unchanged(self) -> None:
        from ckpttool.comparison.reading import SideError

        for side, checkpoint in enumerate(self._sides):
            try:
                checkpoint.check_unchanged()
            except CkpttoolError as error:
                raise SideError(side, error) from error


def _with_tied(checkpoint: Checkpoint) -> dict[str, TensorInfo]:
    """Return the tensors with the names that the file only records as tied to others."""
    tensors = dict(checkpoint.tensors)
    for name, kept in tied_names(checkpoint.tensors, checkpoint.metadata).items():
        tensors[name] = checkpoint.tensors[kept]._replace(name=name)
    return tensors


def _tensors(pairing: Pairing, match: Match) -> tuple[TensorInfo, TensorInfo]:
    return pairing.left.tensors[match.left], pairing.right.tensors[match.right]


def _side(pairing: Pairing, side: int, name: str) -> Side:
    named = (pairing.left, pairing.right)[side]
    info = named.tensors[name]
    return Side(named.origins.get(name, (name,)), info.dtype.name, info.shape)


def _judged(
    match: Match, one: Pair, tally: Tally, sides: tuple[Side, Side], limits: Limits
) -> TensorDiff:
    from ckpttool.comparison.verdicts import change_of, judge

    judged = judge(one, tally, limits)
    change = change_of(tally, one.left.shape, limits)
    if match.moved and judged.kind is Kind.IDENTICAL:
        return TensorDiff(match.left, Kind.MOVED, False, *sides)
    # another name is a difference of its own, whatever the values are
    same = judged.same and not match.moved
    return TensorDiff(match.left, judged.kind, same, *sides, change, judged.note)


def _outcome(
    tensors: Sequence[TensorDiff], state: Sequence[object], states: tuple[State, ...]
) -> Outcome:
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
