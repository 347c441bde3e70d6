"""Proving that a file was made from another: open both, prove, or report what cannot be read."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Iterable, Mapping, Union

from ckpttool.comparison.numbers.compare import SideError
from ckpttool.comparison.opening import (
    open_either,
    report_on,
    report_on_receipt,
    unreadable,
)
from ckpttool.conversion.options import rules_of
from ckpttool.files.publishing import try_files, write_files
from ckpttool.findings import rules
from ckpttool.findings.arguments import check_progress, pairs_of, path_of, paths_of, texts_of
from ckpttool.findings.errors import CkpttoolError, UnsupportedError, UsageError
from ckpttool.findings.finding import Verdict, finding
from ckpttool.findings.results import FileReport
from ckpttool.models.canonical import canonicalize
from ckpttool.proof.options import ProveOptions
from ckpttool.proof.result import AdapterFacts, Proof, ProofOutcome
from ckpttool.proof.run import Run
from ckpttool.tensors.catalogue import Checkpoint

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from ckpttool.findings.arguments import AnyPath
    from ckpttool.inputs.receipts import Receipt
    from ckpttool.models.canonical import Canonical
    from ckpttool.proof.adapters.reading import Adapter
    from ckpttool.tensors.workers import Progress

__all__ = ["ProveOptions", "prove", "prove_files"]


def prove(
    made: AnyPath,
    source: AnyPath,
    *,
    map: Mapping[str, str] = {},  # noqa: A002 (the name of the option)
    rename_file: AnyPath | None = None,
    allow_missing: Union[str, Iterable[str]] = (),
    wrapper: str | None = None,
    from_wrapper: str | None = None,
    adapter: Union[AnyPath, Iterable[AnyPath]] = (),
    receipt: AnyPath | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Proof:
    """Prove tensor by tensor that one checkpoint was made from another, and by what.

    A file that cannot be read is a finding of the result. See ``docs/prove.md``.

    Args:
        made: the checkpoint B that is said to be made from the other one, of any format.
        source: the checkpoint A; or a receipt or lock file, with digests of what is in it.
        map: pattern of names in A -> what these are called in B, with ``*`` and ``{n}`` as in
            ``docs/convert.md``.
        rename_file: a TOML file of renames, joins, splits and transposes, from A to B.
        allow_missing: patterns of names in A of which nothing in B has to be made.
        wrapper: the dotted key of the state dict of B; ``None`` to choose, ``""`` the root.
        from_wrapper: the same of A.
        adapter: LoRA adapters that B is said to have merged into it, in this order: the folders
            that PEFT writes, or files of weights.
        receipt: a JSON file to write, with digests of both files and what was proven; only of a
            proof that holds. An earlier receipt of a proof is replaced.
        workers: threads; ``None`` for one per processor, at most 6, and one for small tensors.
        executor: runs the reading, in place of threads of our own.
        progress: told how far the reading is.

    Raises:
        UsageError: an argument is not valid, a pattern matches nothing, or there is no state dict
            under a wrapper, or something else stands where the receipt is to be written.
        OutputError: the receipt cannot be written.
    """
    options = ProveOptions(
        rules=rules_of((), dict(pairs_of(map, "map")), rename_file),
        allow_missing=texts_of(allow_missing, "allow_missing"),
        wrappers=(from_wrapper, wrapper),
        adapters=paths_of(adapter),
        receipt=None if receipt is None else path_of(receipt, "the receipt"),
        workers=workers,
        executor=executor,
    )
    check_progress(progress)
    return prove_files(path_of(made), path_of(source), options, progress)


def prove_files(
    made: str, source: str, options: ProveOptions, progress: Progress | None = None
) -> Proof:
    """Prove two files as :func:`prove` does, which see."""
    options.check()
    if options.receipt is not None:
        from ckpttool.proof.receipt import check_place  # late, here and below: they load numpy

        check_place(options.receipt, (made, source, *options.adapters))
        try_files(options.receipt)  # before the work
    with ExitStack() as stack:
        files = _Files(stack, options)
        files.open(source, made)
        try:
            proof = files.proof(progress)
        except SideError as failed:
            # Nothing of a partial proof is reported: it could look like a whole one.
            return files.failed(failed)
    if files.receipt is None or options.receipt is None:
        return proof
    write_files({options.receipt: files.receipt}, sync=True)
    return proof._replace(receipt=options.receipt)


class _Files:
    """The files of a proof, opened: each with its report, and what could be opened of it.

    Attributes:
        receipt: the content of the receipt, once there is one to write.
    """

    def __init__(self, stack: ExitStack, options: ProveOptions) -> None:
        self.receipt: bytes | None = None
        self._stack = stack
        self._options = options
        self._reports: list[FileReport] = []
        self._sides: list[Checkpoint | Receipt | None] = []
        self._canonical: list[Canonical] = []
        self._adapters: list[Adapter] = []
        self._facts: list[AdapterFacts] = []

    def open(self, source: str, made: str) -> None:
        """Open all files; what cannot be read of one is in its report."""
        for side, (path, wrapper) in enumerate(zip((source, made), self._options.wrappers)):
            self._sides.append(None)
            try:
                self._sides[side] = self._opened(side, path, wrapper)
            except UsageError:  # the caller's mistake says nothing about the file
                raise
            except CkpttoolError as error:
                # The other file is opened all the same, so that one run reports both.
                report = FileReport(path, Verdict.CANNOT_TELL, ())
                self._reports.append(unreadable(report, error))
        for path in self._options.adapters:
            fact, adapter = _adapter(path)
            self._facts.append(fact)
            if adapter is not None:
                self._stack.enter_context(adapter.checkpoint)
                self._adapters.append(adapter)

    def _opened(self, side: int, path: str, wrapper: str | None) -> Checkpoint | Receipt:
        file = open_either(path, wrapper)
        if isinstance(file, Checkpoint):
            self._stack.enter_context(file)
            self._canonical.append(canonicalize(file.tensors))
            report = report_on(file, self._canonical[-1].layout)
            if side and not file.tensors and not file.unread:  # all of it would be proven
                nothing = finding(rules.NO_TENSORS, "there is no tensor in the checkpoint")
                findings = (*report.findings, nothing)
                report = report._replace(verdict=Verdict.CANNOT_TELL, findings=findings)
            self._reports.append(report)
        elif side:
            raise UnsupportedError(
                "B is to be proven, and a list of digests has no elements",
                rules.UNSUPPORTED,
                path=path,
                fix=f"Compare with it by its digests: ckpttool diff {path} CHECKPOINT.",
            )
        else:
            from ckpttool.proof.digests import refuse_what_needs_elements

            refuse_what_needs_elements(file, self._options)
            self._reports.append(report_on_receipt(file))
        return file

    def proof(self, progress: Progress | None) -> Proof:
        """Prove, and make the receipt of what is proven.

        Raises:
            SideError: a file could not be read; from side 2 on they are the adapters.
        """
        source, made = self._sides
        if source is None or not isinstance(made, Checkpoint):
            return self._cannot_tell()
        if len(self._adapters) < len(self._options.adapters):
            return self._cannot_tell()
        options, reports = self._options, (self._reports[0], self._reports[1])
        if isinstance(source, Checkpoint):
            canonical = self._canonical[0], self._canonical[1]
            run = Run((source, made), canonical, self._adapters, options, progress)
            proof = run.prove(*reports, tuple(self._facts))
        else:
            from ckpttool.proof.digests import prove_digests

            proof = prove_digests(source, made, self._canonical[-1], options, reports)
        if options.receipt is not None and proof.outcome is ProofOutcome.PROVEN:
            from ckpttool.proof.receipt import receipt_of

            self.receipt = receipt_of(proof, (source, made), self._adapters, options)
        return proof

    def failed(self, error: SideError) -> Proof:
        """Return the result where a file could not be read."""
        number = error.side - len(self._reports)
        if number < 0:
            report = self._reports[error.side]
            self._reports[error.side] = unreadable(report, error.error)
        else:
            fact = self._facts[number]
            self._facts[number] = fact._replace(file=unreadable(fact.file, error.error))
        return self._cannot_tell()

    def _cannot_tell(self) -> Proof:
        outcome, facts = ProofOutcome.CANNOT_TELL, tuple(self._facts)
        return Proof(self._reports[1], self._reports[0], outcome, adapters=facts)


def _adapter(path: str) -> tuple[AdapterFacts, Adapter | None]:
    """Open an adapter, or report what cannot be read of it."""
    from ckpttool.proof.adapters.reading import read_adapter  # late: few runs have one

    try:
        adapter = read_adapter(path)
    except UsageError:
        raise
    except CkpttoolError as error:
        file = FileReport(error.path or path, Verdict.CANNOT_TELL, ())
        return AdapterFacts(unreadable(file, error)), None
    config, deltas = adapter.config, adapter.deltas
    notes = () if config is None else config.unread
    return AdapterFacts(
        report_on(adapter.checkpoint, None)._replace(path=path),
        len(deltas),
        tuple(sorted({delta.rank for delta in deltas})),
        tuple(sorted({delta.scale for delta in deltas})),
        len(adapter.whole),
        tuple(f"{words}: a regular expression, which is not run" for words in notes),
    ), adapter
