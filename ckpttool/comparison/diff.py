"""Comparing two files: open both, and compare them or report why one cannot be read."""

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
from ckpttool.comparison.options import DiffOptions
from ckpttool.comparison.result import Comparison, Outcome
from ckpttool.comparison.run import Run
from ckpttool.findings.arguments import (
    check_progress,
    pairs_of,
    path_of,
    paths_of,
    texts_of,
)
from ckpttool.findings.errors import CkpttoolError, UsageError
from ckpttool.findings.finding import Verdict
from ckpttool.findings.results import FileReport
from ckpttool.inputs.receipts import Receipt
from ckpttool.models.canonical import canonicalize
from ckpttool.tensors.catalogue import Checkpoint

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from ckpttool.findings.arguments import AnyPath
    from ckpttool.models.canonical import Canonical
    from ckpttool.models.pictures.images import Photo
    from ckpttool.tensors.workers import Progress

__all__ = ["DiffOptions", "diff", "diff_files"]


def diff(
    left: AnyPath,
    right: AnyPath,
    *,
    atol: float | None = None,
    rtol: float | None = None,
    max_ulp: int | None = None,
    equal_nan: bool = False,
    include: Union[str, Iterable[str]] = (),
    exclude: Union[str, Iterable[str]] = (),
    weights_only: bool = False,
    left_wrapper: str | None = None,
    right_wrapper: str | None = None,
    map: Mapping[str, str] = {},  # noqa: A002 (the name of the option)
    images: Union[AnyPath, Iterable[AnyPath]] = (),
    stats: bool = False,
    workers: int | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Compare two checkpoints. A file that cannot be read is a finding of the result.

    Without a tolerance, tensors are the same if their bytes are; see ``docs/diff.md``.

    Args:
        left: a checkpoint of any format, a receipt of ``convert`` or a lock file.
        right: the other one; exchanging them exchanges the sides of the result and nothing else.
        atol: tolerate absolute differences up to this one.
        rtol: tolerate differences up to this part of the larger number; adds to ``atol``.
        max_ulp: tolerate tensors whose elements are at most so many numbers of their type apart.
        equal_nan: take any two NaN as equal.
        include: patterns of names to compare; all of them without any.
        exclude: patterns of names to leave out.
        weights_only: ignore what lies beside the state dicts.
        left_wrapper: the dotted key of the left state dict; ``None`` to choose, ``""`` the root.
        right_wrapper: the same of the right one.
        map: pattern of names on the left -> what these are called on the right, with ``*`` and
            ``{n}`` as in ``docs/convert.md``.
        images: image files for models with a decoder to reconstruct, to compare what they make of
            them; needs Pillow and torch. It does not change the outcome.
        stats: whether to gather the statistics of every tensor of both sides in the same pass; a
            receipt or a lock file has none.
        workers: threads; ``None`` for one per processor, at most 6, and one for small tensors.
        executor: runs the reading, in place of threads of our own.
        progress: told how far the reading is.

    Raises:
        UsageError: an argument is not valid, the patterns leave nothing to compare, or there is
            no state dict under a wrapper.
    """
    options = DiffOptions(
        atol=atol,
        rtol=rtol,
        max_ulp=max_ulp,
        equal_nan=equal_nan,
        include=texts_of(include, "include"),
        exclude=texts_of(exclude, "exclude"),
        workers=workers,
        executor=executor,
        weights_only=weights_only,
        wrappers=(left_wrapper, right_wrapper),
        given=pairs_of(map, "map"),
        images=_read(paths_of(images)),
        stats=stats,
    )
    check_progress(progress)
    return diff_files((path_of(left), path_of(right)), options, progress)


def _read(paths: tuple[str, ...]) -> tuple[Photo, ...]:
    from ckpttool.models.pictures.images import read_images  # late, as below: few runs have any

    return read_images(paths)


def _with_pictures(
    found: Comparison,
    sides: tuple[Checkpoint, Checkpoint],
    canonical: list[Canonical],
    options: DiffOptions,
) -> Comparison:
    if not options.images:
        return found
    from ckpttool.comparison.pictures import with_pictures

    return with_pictures(found, sides, canonical, options.images)


def diff_files(
    paths: tuple[str, str], options: DiffOptions, progress: Progress | None = None
) -> Comparison:
    """Compare two files as :func:`diff` does, which see."""
    options.check()
    reports: list[FileReport] = []
    opened: list[Checkpoint | Receipt] = []
    canonical: list[Canonical] = []
    with ExitStack() as stack:
        for path, wrapper in zip(paths, options.wrappers):
            try:
                file = open_either(path, wrapper)
            except UsageError:  # the caller's mistake says nothing about the file
                raise
            except CkpttoolError as error:
                # The other file is opened all the same, so that one run reports both.
                reports.append(unreadable(FileReport(path, Verdict.CANNOT_TELL, ()), error))
                continue
            opened.append(file)
            if isinstance(file, Checkpoint):
                stack.enter_context(file)
                canonical.append(canonicalize(file.tensors))
                reports.append(report_on(file, canonical[-1].layout))
            else:
                reports.append(report_on_receipt(file))
        if len(opened) < len(paths):
            return Comparison(reports[0], reports[1], Outcome.CANNOT_TELL)
        left, right = opened
        try:
            if isinstance(left, Checkpoint) and isinstance(right, Checkpoint):
                found = Run((left, right), canonical, options, progress).compare(*reports)
                return _with_pictures(found, (left, right), canonical, options)
            from ckpttool.comparison.digests import diff_digests  # late: for receipts only

            return diff_digests((left, right), reports, canonical, options)
        except SideError as failed:
            # Nothing of a partial comparison is reported: it could look like a whole one.
            reports[failed.side] = unreadable(reports[failed.side], failed.error)
            return Comparison(reports[0], reports[1], Outcome.CANNOT_TELL)
