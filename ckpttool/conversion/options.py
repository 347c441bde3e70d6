"""What is to be converted, and how: the options, and the words that a size is given in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from ckpttool.findings.arguments import (
    check_choice,
    check_executor,
    check_flags,
    check_number,
    check_text,
    check_workers,
)
from ckpttool.findings.errors import UsageError
from ckpttool.formats.writing import TARGETS
from ckpttool.tensors.dtypes import DTYPES

if TYPE_CHECKING:
    from concurrent.futures import Executor

#: What tensors can be cast to, narrow ones first. Nobody has weights that gain by float64.
CAST_DTYPES = tuple(
    dtype.name
    for dtype in sorted(DTYPES.values(), key=lambda dtype: dtype.bits)
    if dtype.castable and dtype.bits <= 32
)

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,3})?)\s*([KMGT]?)B?", re.IGNORECASE)


class ConvertOptions(NamedTuple):
    """How to convert.

    Attributes:
        to: a key of :data:`TARGETS`.
        output: a file or a folder; ``None`` puts the result beside the source.
        max_shard_size: bytes of tensors a file; ``None`` for one file of any size.
        dtype: one of :data:`CAST_DTYPES`; ``None`` leaves every tensor as it is.
        except_quantized: leave quantized weights, and what belongs to them, as they are.
        include: patterns of names to take; none takes all.
        exclude: patterns of names to leave out, of those taken.
        encoder_only: leave out the decoder, by the canonical names.
        wrapper: the dotted key of the state dict to take; ``None`` to choose.
        metadata: further strings for ``__metadata__``.
        keep: patterns of names to store of those that share all their bytes.
        keep_aliases: write names that share their bytes out one by one.
        allow_overflow: let a cast make numbers infinite.
        force: replace what stands at the destination.
        sync: wait until the bytes are on the disk before the file gets its name.
        dry_run: say what would be written, and write nothing.
        sidecar: a JSON file for what lies beside the tensors; ``None`` to leave it out.
        receipt: a JSON file for sums, digests and what was changed; ``None`` for none.
        workers: threads; ``None`` for one a processor.
        executor: where they come from; see :class:`ckpttool.tensors.workers.Work`.
    """

    to: str
    output: str | None = None
    max_shard_size: int | None = None
    dtype: str | None = None
    except_quantized: bool = False
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    encoder_only: bool = False
    wrapper: str | None = None
    metadata: tuple[tuple[str, str], ...] = ()
    keep: tuple[str, ...] = ()
    keep_aliases: bool = False
    allow_overflow: bool = False
    force: bool = False
    sync: bool = True
    dry_run: bool = False
    sidecar: str | None = None
    receipt: str | None = None
    workers: int | None = None
    executor: Executor | None = None


def check(options: ConvertOptions) -> None:
    """Raise UsageError for options that do not exist or do not go together."""
    _check_types(options)
    check_choice(options.to, TARGETS, "target")
    if options.dtype is not None:
        check_choice(options.dtype, CAST_DTYPES, "dtype to cast to")
    if options.except_quantized and options.dtype is None:
        raise UsageError(
            "--dtype-except-quantized says what is not cast, and nothing is",
            fix="Name the dtype for the others with --dtype.",
        )
    if options.keep and options.keep_aliases:
        raise UsageError(
            "--keep and --keep-aliases contradict each other: one of the names, or all of them",
            fix="Leave one of the two out.",
        )
    in_shards = [name for name, target in TARGETS.items() if target.IN_SHARDS]
    with_metadata = [name for name, target in TARGETS.items() if target.HOLDS_METADATA]
    # where there are views, there is nothing to choose between
    recording_ties = [name for name in with_metadata if not TARGETS[name].HOLDS_VIEWS]
    for what, given, able in (
        ("--max-shard-size", options.max_shard_size, in_shards),
        ("--metadata", options.metadata, with_metadata),
        ("--keep", options.keep, recording_ties),
        ("--keep-aliases", options.keep_aliases, recording_ties),
    ):
        if given and options.to not in able:
            raise UsageError(
                f"{what} is for {' and '.join(able)} only",
                fix=f"Leave it out, or convert with --to {' or '.join(able)}.",
            )


def _check_types(options: ConvertOptions) -> None:
    check_number(options.max_shard_size, 1, "--max-shard-size", whole=True)
    check_workers(options.workers)
    check_executor(options.executor)
    check_text(options.wrapper, "--wrapper")
    flags = "except_quantized encoder_only keep_aliases allow_overflow force sync dry_run".split()
    check_flags({flag: getattr(options, flag) for flag in flags})
    for key, value in options.metadata:
        for text in (key, value):
            check_text(text, "--metadata")
            try:
                text.encode()
            except UnicodeEncodeError:  # safetensors holds text, and half a surrogate pair is none
                reason = "the metadata is not valid text"
                raise UsageError(reason, found=f"{key}={value}") from None


def parse_size(text: str) -> int:
    """Return the bytes that ``5GB``, ``500 MB`` or ``1000`` stand for, in decimal units.

    Raises:
        UsageError: it is not such a size, or none.
    """
    found = _SIZE.fullmatch(text.strip())
    nbytes = int(float(found.group(1)) * _UNITS[found.group(2).upper()]) if found else 0
    if nbytes <= 0:
        raise UsageError("not a size in bytes", expected="5GB or 500MB, say", found=text)
    return nbytes
