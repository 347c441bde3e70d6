"""Proving that a file was made from another: open both, prove, or report what cannot be read."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Iterable, Mapping, Union

from ckpttool.comparison.numbers.compare import SideError
from ckpttool.comparison.opening import open_either, report_on, unreadable
from ckpttool.conversion.options import rules_of
from ckpttool.findings import rules
from ckpttool.findings.arguments import check_progress, pairs_of, path_of, paths_of, texts_of
from ckpttool.findings.errors import CkpttoolError, UnsupportedError, UsageError
from ckpttool.findings.finding import Verdict
from ckpttool.findings.results import FileReport
from ckpttool.models.canonical import canonicalize
from ckpttool.proof.options import ProveOptions
from ckpttool.proof.result import AdapterFacts, Proof, ProofOutcome
from ckpttool.proof.run import Run
from ckpttool.tensors.catalogue import Checkpoint

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from ckpttool.findings.arguments import AnyPath
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
    workers: int | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Proof:
    """Prove tensor by tensor that one checkpoint was made from another, and by what.

    A file that cannot be read is a finding of the result. See ``docs/prove.md``.

    Args:
        made: the checkpoint B that is said to be made from the other one, of any format.
        source: the checkpoint A.
        map: pattern of names in A -> what these are called in B, with ``*`` and ``{n}`` as in
            ``docs/convert.md``.
        rename_file: a TOML file of renames, joins, splits and transposes, from A to B.
        allow_missing: patterns of names in A of which nothing in B has to be made.
        wrapper: the dotted key of the state dict of B; ``None`` to choose, ``""`` the root.
        from_wrapper: the same of A.
        adapter: LoRA adapters that B is said to have merged into it, in this order: the folders
            that PEFT writes, or files of weights.
        workers: threads; ``None`` for one a processor, at most 6, and one for small tensors.
        executor: runs the reading, in place of threads of our own.
        progress: told how far the reading is.

    Raises:
        UsageError: an argument is not valid, a pattern matches nothing, or there is no state dict
            under a wrapper.
    """
    options = ProveOptions(
        rules=rules_of((), dict(pairs_of(map, "map")), rename_file),
        allow_missing=texts_of(allow_missing, "allow_missing"),
        wrappers=(from_wrapper, wrapper),
        adapters=paths_of(adapter),
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
    reports: list[FileReport] = []
    sides: list[Checkpoint] = []
    canonical: list[Canonical] = []
    with ExitStack() as stack:
        for path, wrapper in zip((source, made), options.wrappers):
            try:
                file = stack.enter_context(_opened(path, wrapper))
            except UsageError:  # the caller's mistake says nothing about the file
                raise
            except CkpttoolError as error:
                # The other file is opened all the same, so that one run reports both.
                reports.append(unreadable(FileReport(path, Verdict.CANNOT_TELL, ()), error))
                continue
            sides.append(file)
            canonical.append(canonicalize(file.tensors))
            reports.append(report_on(file, canonical[-1].layout))
        adapters: list[Adapter] = []
        facts: list[AdapterFacts] = []
        for path in options.adapters:
            fact, adapter = _adapter(path)
            facts.append(fact)
            if adapter is not None:
                stack.enter_context(adapter.checkpoint)
                adapters.append(adapter)

        def cannot_tell() -> Proof:
            outcome = ProofOutcome.CANNOT_TELL
            return Proof(reports[1], reports[0], outcome, adapters=tuple(facts))

        if len(sides) < 2 or len(adapters) < len(options.adapters):
            return cannot_tell()
        try:
            both = (sides[0], sides[1]), (canonical[0], canonical[1])
            return Run(*both, adapters, options, progress).prove(
                reports[0], reports[1], tuple(facts)
            )
        except SideError as failed:
            # Nothing of a partial proof is reported: it could look like a whole one.
            if failed.side < len(reports):
                reports[failed.side] = unreadable(reports[failed.side], failed.error)
            else:
                fact = facts[failed.side - len(reports)]
                facts[failed.side - len(reports)] = fact._replace(
                    file=unreadable(fact.file, failed.error)
                )
            return cannot_tell()


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


def _opened(path: str, wrapper: str | None) -> Checkpoint:
    file = open_either(path, wrapper)
    if isinstance(file, Checkpoint):
        return file
    raise UnsupportedError(
        "a list of digests holds no elements to prove anything of",
        rules.UNSUPPORTED,
        path=path,
        fix=f"Compare with it by its digests: ckpttool diff {path} CHECKPOINT.",
    )
