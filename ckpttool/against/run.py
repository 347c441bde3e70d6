"""Verifying one file and holding it against another checkpoint, with one reading of the file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Iterator, Mapping, Sequence

from ckpttool.against.demands import Demand, Demands
from ckpttool.against.rows import Rows, rows_of
from ckpttool.against.summary import Outcome, summary_of
from ckpttool.against.words import findings_on, on_itself, on_trouble, unknown_patterns
from ckpttool.comparison.beside import entries_of
from ckpttool.comparison.numbers.compare import SideError
from ckpttool.comparison.run import refused_views
from ckpttool.findings.errors import CkpttoolError, UsageError
from ckpttool.findings.finding import Finding, finding_from, verdict_from, verdict_of
from ckpttool.findings.names import summarise
from ckpttool.findings.text import count
from ckpttool.formats.objects.beside import beside_of
from ckpttool.inputs.receipts import Receipt
from ckpttool.tensors.catalogue import Checkpoint
from ckpttool.verification.companion import Companion
from ckpttool.verification.run import verified

if TYPE_CHECKING:
    from ckpttool.against.elements import Held
    from ckpttool.against.rows import Lone
    from ckpttool.against.source import Source
    from ckpttool.findings.results import FileReport
    from ckpttool.tensors.catalogue import TensorInfo
    from ckpttool.tensors.workers import Progress
    from ckpttool.verification.evidence import Evidence
    from ckpttool.verification.options import VerifyOptions


def verify_against(
    path: str,
    options: VerifyOptions,
    source: Source,
    demands: Demands,
    progress: Progress | None = None,
) -> FileReport:
    """Verify one checkpoint, and hold it against another one.

    Args:
        path: the file.
        options: what to verify.
        source: the other checkpoint, open.
        demands: what is demanded of the file, beside that every tensor is there.
        progress: is told how far the reading is.

    Raises:
        UsageError: as :func:`ckpttool.verification.run.verify_file`; or a pattern stands for no
            tensor.
    """
    held = _Holding(path, source, demands)
    digests = options.fingerprint or isinstance(source.file, Receipt)
    names = [*source.tensors, *source.names.tensors, *source.unread]
    options = options._replace(companion=Companion(names, held.twins), fingerprint=digests)
    with verified(path, options, progress) as (report, evidence):
        if evidence is None:
            return report
        return held.report(report, evidence, options, progress)


class _Holding:
    """One file that is held against another checkpoint, under way."""

    def __init__(self, path: str, source: Source, demands: Demands) -> None:
        self._path = path
        self._source = source
        self._demands = demands
        self._rows = Rows((), (), (), ())
        self._made: Mapping[str, TensorInfo] = {}
        self._twins: Mapping[object, TensorInfo] = {}

    def twins(self, checkpoint: Checkpoint) -> Mapping[object, TensorInfo]:
        """Pair the tensors, and return those whose bytes are to be compared as they are read."""
        try:
            self._rows = rows_of(self._source, checkpoint, self._demands)
        except UsageError as error:
            error.path = error.path or self._path
            raise
        self._made = checkpoint.tensors
        if isinstance(self._source.file, Receipt) or self._source.is_file_of(checkpoint):
            return {}
        pairs = [row.pair for row in self._rows.rows]
        # these are not read at all, as a small file may claim any number of bytes by them
        refused = refused_views([pair.left for pair in pairs])
        self._twins = {
            pair.right.view: pair.left
            for pair in pairs
            if pair.left.dtype == pair.right.dtype
            and pair.left.shape == pair.right.shape
            and pair.left.view not in refused
        }
        return self._twins

    def report(
        self,
        report: FileReport,
        evidence: Evidence,
        options: VerifyOptions,
        progress: Progress | None,
    ) -> FileReport:
        """Return the report on a file with what the other checkpoint shows of it."""
        source, name = self._source, Path(self._source.path).name
        if source.is_file_of(evidence.checkpoint):
            return _with(report, [on_itself(name)])
        try:
            held = self._held(evidence, options, progress)
            tied, moved = self._elsewhere(options)
            if isinstance(source.file, Checkpoint):
                _check(0, source.file)
            _check(1, evidence.checkpoint)
        except SideError as failed:
            if failed.side == 0:
                return _with(report, [on_trouble(name, failed.error.detail())])
            before = report.findings
            return report._replace(
                verdict=verdict_from(failed.error, before),
                findings=(*before, finding_from(failed.error)),
            )
        outcome = Outcome(source, self._demands, self._rows, held, tied, moved)
        found = list(findings_on(outcome, options))
        if not evidence.coverage.groups and options.expected_missing:
            names = evidence.companion.names if evidence.companion else ()
            found += unknown_patterns(options.expected_missing, list(names), name)
        unchecked = (*report.unchecked, *_not_demanded(held, name), *self._left_aside(name))
        report = report._replace(against=summary_of(outcome), unchecked=unchecked)
        return _with(report, found)

    def _held(
        self, evidence: Evidence, options: VerifyOptions, progress: Progress | None
    ) -> list[Held]:
        rows, values, tensors = self._rows.rows, evidence.values, evidence.canonical.tensors
        if isinstance(self._source.file, Receipt):
            from ckpttool.against.listed import hold_digests  # late: for lists only

            known: dict[object, str] = {
                tensors[name].view: one.digest for name, one in values.tensors.items()
            }
            return hold_digests(rows, self._source.file, self._demands, known, options)
        from ckpttool.against.elements import hold_elements

        # by both views: a tensor that the file ties may belong to several of the other checkpoint
        seen: dict[tuple[object, object], bool] = {
            (view, self._twins[view].view): one.same
            for name, one in values.tensors.items()
            for view in [tensors[name].view]
            if one.same is not None and view in self._twins
        }
        return hold_elements(rows, self._demands, seen, options, progress)

    def _elsewhere(self, options: VerifyOptions) -> tuple[dict[str, str], dict[str, str]]:
        """Return where missing tensors are: under the name of a tie, or another one."""
        missing = [one for one in self._rows.missing if one.reason is None]
        if not missing:
            return {}, {}
        tensors = self._source.tensors
        there = {
            tensors[own].view: row.names[0]
            for row in self._rows.rows
            if len(row.sources) == 1
            for own in row.sources
            if own in tensors and tensors[own].extents
        }
        tied = {
            one.name: there[tensors[one.name].view]
            for one in missing
            if one.name in tensors and tensors[one.name].view in there
        }
        return tied, self._moved([one for one in missing if one.name not in tied], options)

    def _moved(self, missing: list[Lone], options: VerifyOptions) -> dict[str, str]:
        """Return missing names -> names of tensors of the same values, that only the file has."""
        if isinstance(self._source.file, Receipt) or not (missing and self._rows.extra):
            return {}
        from ckpttool.comparison.renamed import renamed  # late: it loads numpy

        made = self._made
        left = {one.name: self._source.tensors[one.name] for one in missing}
        right = {one.name: made[one.name] for one in self._rows.extra if one.name in made}
        run = options.workers, options.executor
        return renamed(left, right, constant=False, workers=run[0], executor=run[1])

    def _left_aside(self, name: str) -> list[str]:
        """Say what of the other checkpoint was not looked at."""
        if not isinstance(self._source.file, Checkpoint):
            return []
        keys = [key for key, _ in entries_of(beside_of(self._source.file)).items]
        return [f"what lies beside the weights of {name} ({summarise(keys)})"] if keys else []


def _not_demanded(held: Sequence[Held], name: str) -> Iterator[str]:
    """Say of which tensors the values may be any, so that these do not look checked."""
    free = sum(one.row.demand is Demand.NOTHING for one in held)
    if free:
        yield f"whether the values of {count(free, 'tensor')} are those of {name} (not demanded)"


def _check(side: int, checkpoint: Checkpoint) -> None:
    try:
        checkpoint.check_unchanged()
    except CkpttoolError as error:
        raise SideError(side, error) from error


def _with(report: FileReport, found: list[Finding]) -> FileReport:
    """Return the report with further findings, the most severe first."""
    every = sorted((*report.findings, *found), key=lambda one: -one.severity.weight)
    return report._replace(verdict=verdict_of(every), findings=tuple(every))
