"""The listing of ``inspect``: what a header says of a file.

Only headers and the pickle are read, no tensor's bytes, and numpy is not loaded, unless the
statistics of the tensors are asked for.
"""

from __future__ import annotations

from itertools import zip_longest
from math import prod
from typing import TYPE_CHECKING, Any, Iterable, Iterator, NamedTuple, Union

from ckpttool.files import collecting
from ckpttool.findings.arguments import (
    AnyPath,
    check_executor,
    check_flags,
    check_progress,
    check_workers,
    path_of,
    texts_of,
    trusted_of,
)
from ckpttool.findings.errors import CkpttoolError
from ckpttool.findings.finding import (
    Verdict,
)
from ckpttool.findings.listing import (
    TRUSTED,
    ByteCount,
    EntryRow,
    Listing,
    ReferenceRow,
    SettingRow,
    TensorRow,
    UnreadRow,
    UseRow,
    WrapperRow,
)
from ckpttool.findings.name_filter import NameFilter
from ckpttool.findings.private_text import MAX_TEXT, is_secret, masked
from ckpttool.findings.results import Diagnosis, FileReport
from ckpttool.findings.uses import Use
from ckpttool.formats import open_checkpoint
from ckpttool.formats.safety.known_names import python3
from ckpttool.formats.safety.telling import (
    is_trusted,
)
from ckpttool.formats.state_dicts.settings import optimizers_of, settings_of
from ckpttool.inspection.adapters import adapter_of
from ckpttool.inspection.container import container_report, stopped
from ckpttool.inspection.weighing import Weight, Weights, weigh
from ckpttool.models.canonical import canonicalize
from ckpttool.models.diagnosis import diagnose_header
from ckpttool.models.neighbours import neighbour_of
from ckpttool.tensors.sharing import tied_groups

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from ckpttool.tensors.catalogue import Checkpoint, TensorInfo
    from ckpttool.tensors.workers import Progress

# Characters of a setting that are shown.
_LONGEST = 400


def inspect(
    path: AnyPath,
    *,
    wrapper: str | None = None,
    trust: Union[str, Iterable[str]] = (),
    include: Union[str, Iterable[str]] = (),
    stats: bool = False,
    workers: int | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Listing:
    """List what a checkpoint holds, or report why it cannot be read.

    Args:
        path: the file.
        wrapper: the dotted key of the state dict to take; ``None`` to choose.
        trust: patterns of names whose code is trusted, for example ``mypackage.*``.
        include: globs of the tensors to list; all without one.
        stats: whether to read every tensor and gather its statistics.
        workers: threads that read; ``None`` for one per processor.
        executor: to run them, instead of own threads.
        progress: told how far the reading is.

    Returns:
        The listing. Its verdict is PASS if the file could be read, which says nothing about the
        weights; FAIL if it is malformed or loading it calls unknown code.

    Raises:
        UsageError: there is no state dict under ``wrapper``, a glob of ``include`` matches no
            tensor, or an argument is not valid.
    """
    check_flags({"stats": stats})
    check_workers(workers)
    check_executor(executor)
    check_progress(progress)
    names = NameFilter(texts_of(include, "include"))
    reading = Reading(workers, executor, progress) if stats else None
    listing = listed(path_of(path), wrapper, trusted_of(trust, "trust"), names, reading)
    if listing.file.format is not None:
        names.check("tensor")
    return listing


class Reading(NamedTuple):
    """How the values of tensors are read for their statistics; see :func:`inspect`."""

    workers: int | None = None
    executor: Executor | None = None
    progress: Progress | None = None


def listed(
    path: str,
    wrapper: str | None,
    trust: tuple[str, ...],
    names: NameFilter,
    reading: Reading | None = None,
) -> Listing:
    """Do what :func:`inspect` does, for one of several files that ``names`` are chosen from.

    ``reading`` says how the statistics of the tensors are gathered; they are not without it.
    """
    try:
        with open_checkpoint(path, wrapper=wrapper) as checkpoint, collecting.paused():
            listing = _listing(path, checkpoint, trust, names)
            if reading is None:
                return listing
            from ckpttool.statistics.whole import statistics_of_file  # late: numpy

            wanted = {row.name: checkpoint.tensors[row.name] for row in listing.tensors}
            canonical = canonicalize(checkpoint.tensors)
            found = statistics_of_file(wanted, canonical, *reading)
            return listing._replace(file=listing.file._replace(statistics=found))
    except CkpttoolError as error:
        return Listing(stopped(FileReport(path, Verdict.CANNOT_TELL, ()), error, trust))


def _listing(
    path: str, checkpoint: Checkpoint, trust: tuple[str, ...], names: NameFilter
) -> Listing:
    report = container_report(path, checkpoint, trust)
    tensors = list(checkpoint.tensors.values())
    if not names.takes_all:
        tensors = [info for info in tensors if names.wants(info.name)]
    weights = weigh(checkpoint)
    return Listing(
        report._replace(diagnosis=_diagnosis(checkpoint, report.layout)),
        tuple(_tensor_rows(tensors)),
        tuple(WrapperRow(*wrapper) for wrapper in checkpoint.wrappers),
        checkpoint.outside,
        tuple(_entry_rows(checkpoint, weights.entries)),
        _references(checkpoint, trust),
        tuple(UseRow(use.use.value, *use[1:6], is_trusted(use, trust)) for use in checkpoint.uses),
        tuple(_unread_rows(checkpoint)),
        checkpoint.metadata,
        tied_groups(checkpoint.tensors),
        tuple(_setting_rows(checkpoint)),
        neighbour_of({name: info.shape for name, info in checkpoint.tensors.items()}),
        _byte_count(checkpoint, weights),
        len(checkpoint.tensors) - len(tensors),
        adapter_of(path, checkpoint),
    )


def _byte_count(checkpoint: Checkpoint, weights: Weights) -> ByteCount:
    beside = sum(weight.nbytes for weight in weights.entries)
    parts = weights.tensors, beside, weights.unread, weights.unused
    # an array of numpy may be written shorter than it is: as a text, in the pickle
    return ByteCount(checkpoint.size, *parts, max(checkpoint.size - sum(parts), 0))


def _entry_rows(checkpoint: Checkpoint, weights: Iterable[Weight]) -> Iterator[EntryRow]:
    # an index of shards has entries without nodes
    for entry, node, weight in zip_longest(checkpoint.entries, checkpoint.aside, weights):
        row = EntryRow(*entry, *weight)
        # more people read a listing than may know a secret
        shown = _shown(entry.key, node) if type(node) is str else node
        yield row if shown is node else row._replace(summary=str(shown)[:_LONGEST])


def _setting_rows(checkpoint: Checkpoint) -> Iterator[SettingRow]:
    known = settings_of(checkpoint)
    for one in (*known.values(), *optimizers_of(checkpoint)):
        yield SettingRow(one.key, _shown(*one))


def _shown(key: str, value: Any) -> Any:
    """Return a value as it may be shown: a credential masked, a long text cut."""
    if isinstance(value, tuple):
        return tuple(_shown(key, item) for item in value)
    if not isinstance(value, str):
        return value
    if is_secret(key, value[:MAX_TEXT]):
        return masked(value[:MAX_TEXT])
    return value if len(value) <= _LONGEST else f"{value[:_LONGEST]}... ({len(value):,} characters)"


def _unread_rows(checkpoint: Checkpoint) -> Iterator[UnreadRow]:
    known = {one.name: one for one in checkpoint.in_parts}
    for name, reason in checkpoint.unread:
        one = known.get(name)
        if one is None:
            yield UnreadRow(name, reason)
        else:
            parts = tuple(_tensor_rows(one.parts))
            yield UnreadRow(
                name, reason, one.cls, one.dtype, one.shape, one.facts, parts, one.closed, one.text
            )


def _tensor_rows(tensors: Iterable[TensorInfo]) -> Iterator[TensorRow]:
    for name, dtype, shape, *_ in tensors:
        nbytes = prod(shape) * dtype.bits // 8  # TensorInfo.nbytes
        # not by the class: its __new__ takes as long again
        yield tuple.__new__(TensorRow, (name, dtype.name, shape, nbytes))


def _references(checkpoint: Checkpoint, trust: tuple[str, ...]) -> tuple[ReferenceRow, ...]:
    # In the order of Use, from harmless to worst: of several uses of a name, the worst is shown.
    kinds = {
        use.name: TRUSTED if is_trusted(use, trust) else use.use.value
        for kind in Use
        for use in checkpoint.uses
        if use.use is kind
    }
    # Pickles of protocol 2 have Python 2's names for builtins; uses are under Python 3's.
    return tuple(
        ReferenceRow(str(one), kinds.get(str(python3(one.module, one.name)), "data"), one.offset)
        for one in checkpoint.references
    )


def _diagnosis(checkpoint: Checkpoint, layout: str | None) -> Diagnosis | None:
    """Return what a file of a known family is; of others the listing has what is known."""
    if layout is None:
        return None
    return diagnose_header(checkpoint, canonicalize(checkpoint.tensors))
