"""``verify()``: each file against its model, and another checkpoint. Never prints or exits."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import date
from typing import (
    TYPE_CHECKING,
    Callable,
    Iterable,
    Mapping,
    NamedTuple,
    Optional,
    Union,
)

from ckpttool.findings.arguments import (
    AnyPath,
    check_day,
    pairs_of,
    path_of,
    paths_of,
    texts_of,
)
from ckpttool.findings.errors import UsageError
from ckpttool.findings.results import NO_ITEMS, FileReport, Report
from ckpttool.models.families import AUTO
from ckpttool.models.pictures.images import read_images
from ckpttool.tensors.workers import Progress
from ckpttool.verification.batch import given, inputs_of, one_for_all, report_on, same_for_all
from ckpttool.verification.lock.content import Lock
from ckpttool.verification.lock.reading import read_lock
from ckpttool.verification.options import Thresholds, VerifyOptions
from ckpttool.verification.policy import Policy
from ckpttool.verification.run import verify_file

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from ckpttool.against.demands import Demands
    from ckpttool.against.source import Source
    from ckpttool.inputs.paths import Inputs
    from ckpttool.models.reference import Reference
    from ckpttool.verification.batch import AnyPaths, ProgressOf, TermsOf


class Against(NamedTuple):
    """The path of another checkpoint, and what is demanded of those that are held against it."""

    path: str
    demands: Demands


#: What each file of a run is held against, by its path; ``None`` for nothing.
AgainstOf = Callable[[str], Optional[Against]]


def verify(
    paths: AnyPaths,
    *,
    model: str = AUTO,
    sizes: Mapping[str, object] = NO_ITEMS,
    schema: Union[AnyPath, Reference, None] = None,
    example: str | None = None,
    require: str | None = None,
    forward: bool = True,
    device: str = "cpu",
    published: bool = False,
    fingerprint: bool = False,
    stats: bool = False,
    wrapper: str | None = None,
    expected_missing: Union[str, Iterable[str]] = (),
    allow_unexpected: Union[str, Iterable[str]] = (),
    groups: Mapping[str, Iterable[str]] = NO_ITEMS,
    against: AnyPath | None = None,
    against_wrapper: str | None = None,
    map: Mapping[str, str] = NO_ITEMS,  # noqa: A002 (the name of the option)
    rename_file: AnyPath | None = None,
    allow_cast: Union[str, Iterable[str]] = (),
    must_change: Union[str, Iterable[str]] = (),
    must_not_change: Union[str, Iterable[str]] = (),
    limits: Thresholds = Thresholds(),  # noqa: B008 (a constant)
    trust: Union[str, Iterable[str]] = (),
    exclude: Union[str, Iterable[str]] = (),
    lock: Union[AnyPath, Lock, None] = None,
    policy: Policy = Policy(),  # noqa: B008 (a constant)
    today: date | None = None,
    images: Union[AnyPath, Iterable[AnyPath]] = (),
    workers: int | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Report:
    """Check the names, shapes and values of checkpoints, and what loading them would call.

    No configuration is read: what the command line takes from ``[tool.ckpttool]`` is passed here.

    Args:
        paths: files, folders and globs; a folder is searched, and every file in it accounted for.
        model: the model that they are for, one of ``ckpttool.models.families.models()``; ``auto``
            for the one that each file is.
        sizes: sizes of it that are demanded: ``{"img_size": 448}``; the names are those of
            ``ckpttool.models.families.free_sizes()``.
        schema: what says which names, shapes and dtypes a file must have, in place of a model: the
            path of another checkpoint, a sharded index, a lock file, a receipt or a schema file, a
            ``config.json``, or what ``read_schema`` returned; ``"hf"`` for the ``config.json``
            beside each file; ``"none"`` for no such check at all.
        example: what the model of a schema from code is called with: ``package.module:inputs``,
            code that returns a tensor, a tuple, a dictionary of keywords, or a tuple and a
            dictionary.
        require: what a file must hold: ``full``, or the core of the model (``encoder``), which
            ``None`` is too.
        forward: whether to run the model.
        device: where to run it, as torch names it.
        published: whether to compare each file with the published one of its name.
        fingerprint: whether to compute the fingerprints of the weights; with a lock, or a waiver
            that names one, they are computed anyway.
        stats: whether to gather the statistics of every tensor in the one pass over the bytes.
        wrapper: the dotted key of the state dict to take; ``None`` to choose.
        expected_missing: patterns of names that a file may lack.
        allow_unexpected: patterns of names that a file may have beside those of the model.
        groups: parts of the model in which the tensors of a schema are counted, each with patterns
            of the names in it; what none takes is counted by top-level modules, as it is without.
        against: another checkpoint, of which a file must hold every tensor, with the same shape,
            dtype and values: a file of any format, a folder of one, a lock file or a receipt.
        against_wrapper: the dotted key of its state dict; ``None`` to choose.
        map: pattern of names in it -> what a file calls these, with ``*`` and ``{n}`` as in
            ``docs/convert.md``.
        rename_file: a TOML file of renames, joins, splits and transposes, from it to a file.
        allow_cast: dtypes to which a tensor may have been cast, which is proven bit for bit.
        must_change: patterns of names of tensors whose values must not be the other's.
        must_not_change: patterns of names of tensors whose values must be; where there are such,
            what no pattern names may differ.
        limits: what the checks tolerate.
        trust: patterns of names whose code is trusted, ``mypackage.*`` say.
        exclude: patterns of files to leave out of folders.
        lock: the lock file to compare with, or its path.
        policy: which findings count, and from which severity on they fail a file.
        today: the day for waivers that expire; ``None`` for the current one.
        images: image files for models with a decoder to reconstruct; needs Pillow.
        workers: threads that read; ``None`` for one per processor.
        executor: to run them, instead of own threads.
        progress: told how far the reading is, with a ``start`` for each file.

    Returns:
        The report. What is wrong with a file is a finding in it.

    Raises:
        UsageError: an argument has a value that is not allowed; an image cannot be read; or there
            is one file alone, and
            no state dict in it under ``wrapper``, or a pattern that demands something of no tensor.
        CkpttoolError: the lock file, the schema or the checkpoint ``against`` cannot be read.
    """
    if lock is not None and not isinstance(lock, Lock):
        lock = read_lock(path_of(lock, "lock"))
    options = VerifyOptions(
        model=model,
        sizes=sizes,
        require=require,
        forward=forward,
        device=device,
        published=published,
        fingerprint=fingerprint,
        stats=stats,
        wrapper=wrapper,
        workers=workers,
        executor=executor,
        limits=limits,
        lock=lock,
        images=read_images(paths_of(images)),
    )
    options = given(
        options,
        schema=schema,
        example=example,
        groups=groups,
        expected_missing=expected_missing,
        allow_unexpected=allow_unexpected,
        trust=trust,
    )
    terms, shown = same_for_all(options, policy), one_for_all(progress)
    check_day(today, "today")
    from ckpttool.against.demands import Demands
    from ckpttool.conversion.options import rules_of

    other = _against(
        against,
        Demands(
            rules_of((), dict(pairs_of(map, "map")), rename_file),
            against_wrapper,
            texts_of(allow_cast, "allow_cast"),
            texts_of(must_change, "must_change"),
            texts_of(must_not_change, "must_not_change"),
        ),
    )
    found = inputs_of(paths, exclude, trust)
    return verify_found(found, terms, today or date.today(), shown, lambda _: other)


def _against(path: AnyPath | None, demands: Demands) -> Against | None:
    from ckpttool.against.demands import Demands

    demands.check()
    if path is not None:
        return Against(path_of(path, "against"), demands)
    if demands != Demands():
        raise UsageError(
            "these demands need another checkpoint, and none is given",
            fix="Pass it as against.",
        )
    return None


def verify_found(
    found: Inputs, terms: TermsOf, today: date, progress: ProgressOf, against: AgainstOf
) -> Report:
    """Verify the files of a run, each with its own options.

    Args:
        found: what the run is about.
        terms: how each file is verified and judged.
        today: the day for waivers that expire.
        progress: opens what is told how far a file is.
        against: what each file is held against.

    Raises:
        UsageError: a demand is wrong, or cannot be fulfilled by any file.
        CkpttoolError: another checkpoint cannot be opened, or there is one file alone and it is
            missing.
    """
    named = {target.path: against(target.path) for target in found.targets}
    with ExitStack() as stack:
        sources: dict[Against, Source] = {}
        for other in filter(None, named.values()):  # before any file is read
            if other not in sources:
                from ckpttool.against.source import Source  # late, as below: few runs have one

                other.demands.check()
                sources[other] = stack.enter_context(Source(other.path, other.demands))

        def examine(path: str, options: VerifyOptions, bar: Progress | None) -> FileReport:
            other = named[path]
            if other is None:
                return verify_file(path, options, bar)
            from ckpttool.against.run import verify_against

            return verify_against(path, options, sources[other], other.demands, bar)

        return report_on(found, terms, examine, today, progress)
