"""The options of ``convert``, and sizes as text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Iterable, Mapping, NamedTuple, Union

from ckpttool.conversion.renaming.rules import Kind, Rule, Rules
from ckpttool.conversion.renaming.rules import check as check_rules
from ckpttool.findings.arguments import (
    check_choice,
    check_executor,
    check_flags,
    check_number,
    check_text,
    check_type,
    check_workers,
    pairs_of,
    path_of,
    texts_of,
)
from ckpttool.findings.errors import UsageError
from ckpttool.formats.writing import TARGETS
from ckpttool.models.families import conventions
from ckpttool.tensors.dtypes import DTYPES

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from ckpttool.findings.arguments import AnyPath
    from ckpttool.models.family import Image

#: What tensors can be cast to, narrow ones first. No weights gain anything as float64.
CAST_DTYPES = tuple(
    dtype.name
    for dtype in sorted(DTYPES.values(), key=lambda dtype: dtype.bits)
    if dtype.castable and dtype.bits <= 32
)

#: What quantized weights are decoded to: types with room for the products of codes and scales.
DECODED_DTYPES = tuple(
    name
    for name, encoding in ((name, DTYPES[name].encoding) for name in CAST_DTYPES)
    if encoding is not None and encoding.exponent >= 8
)

#: The naming conventions that can be written.
LAYOUTS = tuple(conventions())

_MOST_PIXELS = 1 << 20  # of a side

# Up to 15 digits, which a float holds exactly.
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,3})?)\s*([KMGT]?)(I?)(B?)", re.IGNORECASE)
_LETTERS = "KMGT"


class ConvertOptions(NamedTuple):
    """The arguments of :func:`ckpttool.convert`.

    ``output`` is its ``destination``, ``rules`` what ``strip_prefix``, ``rename`` and
    ``rename_file`` say.
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
    fingerprint: bool = False
    workers: int | None = None
    executor: Executor | None = None
    layout: str | None = None
    rules: Rules = Rules()
    resize_pos_embed: Image | None = None
    dequantise: str | None = None
    parts: bool = False

    @property
    def hashes(self) -> bool:
        """Whether SHA-256 sums are made; the proof needs none."""
        return self.fingerprint or self.receipt is not None


def check(options: ConvertOptions) -> None:
    """Raise UsageError for options that do not exist or do not go together."""
    _check_types(options)
    check_choice(options.to, TARGETS, "target")
    if options.layout is not None:
        check_choice(options.layout, LAYOUTS, "layout to write")
    check_rules(options.rules)
    if options.dtype is not None:
        check_choice(options.dtype, CAST_DTYPES, "dtype to cast to")
    if options.dequantise is not None:
        check_choice(options.dequantise, DECODED_DTYPES, "dtype to dequantise to")
        if options.except_quantized:
            raise UsageError(
                "quantized weights are to be decoded, and to be kept as they are",
                fix="Leave --dequantise or --dtype-except-quantized out.",
            )
    if options.parts and options.dtype is not None:
        raise UsageError(
            "tensors are to be written as their parts, and parts are not cast",
            fix="Leave --parts or --dtype out.",
        )
    if options.except_quantized and options.dtype is None:
        raise UsageError(
            "quantized weights are to be excepted from a cast, and nothing is cast",
            fix="Name the dtype for the other tensors.",
        )
    if options.keep and options.keep_aliases:
        raise UsageError(
            "keep and keep_aliases contradict each other: one stores one name, one all of them",
            fix="Omit one of them.",
        )
    # Refused rather than ignored: the user would take the result for what was asked for.
    in_shards = [name for name, target in TARGETS.items() if target.IN_SHARDS]
    with_metadata = [name for name, target in TARGETS.items() if target.HOLDS_METADATA]
    # In a format with views, every name is kept, and there is nothing to choose.
    recording_ties = [name for name in with_metadata if not TARGETS[name].HOLDS_VIEWS]
    for what, given, able in (
        ("max_shard_size", options.max_shard_size, in_shards),
        ("metadata", options.metadata, with_metadata),
        ("keep", options.keep, recording_ties),
        ("keep_aliases", options.keep_aliases, recording_ties),
    ):
        if given and options.to not in able:
            raise UsageError(
                f"{what} is for {' and '.join(able)} only",
                fix=f"Leave it out, or convert to {' or '.join(able)}.",
            )


def _check_types(options: ConvertOptions) -> None:
    check_number(options.max_shard_size, 1, "max_shard_size", whole=True)
    _check_image(options.resize_pos_embed)
    check_workers(options.workers)
    check_executor(options.executor)
    check_text(options.wrapper, "wrapper")
    flags = "except_quantized parts encoder_only keep_aliases allow_overflow force sync dry_run"
    check_flags({flag: getattr(options, flag) for flag in [*flags.split(), "fingerprint"]})
    for key, value in options.metadata:
        for text in (key, value):
            check_type(text, str, "metadata")
            try:
                text.encode()
            except UnicodeEncodeError:  # half a surrogate pair, which UTF-8 cannot hold
                reason = "the metadata is not valid text"
                raise UsageError(reason, found=f"{key}={value}") from None


def _check_image(size: Image | None) -> None:
    sides = size if isinstance(size, tuple) else (size,)
    whole = all(type(side) is int and 0 < side <= _MOST_PIXELS for side in sides)
    if size is not None and not (whole and len(sides) in (1, 2)):
        raise UsageError(
            "resize_pos_embed is not a number of pixels, nor a pair of a height and a width",
            found=size,
        )


def rules_of(
    strip_prefix: Union[str, Iterable[str]],
    rename: Mapping[str, str],
    rename_file: AnyPath | None,
) -> Rules:
    """Return the rules of the arguments; those of the file come last.

    Raises:
        UsageError: an argument is not valid, or the file is not.
    """
    prefixes = texts_of(strip_prefix, "strip_prefix")
    rules = tuple(
        Rule(Kind.RENAME, (before,), (after,)) for before, after in pairs_of(rename, "rename")
    )
    if rename_file is None:
        return Rules(prefixes, rules)
    from ckpttool.conversion.renaming.rule_file import read_rules  # late: few have such a file

    read = read_rules(path_of(rename_file, "the file of rules"))
    return Rules((*prefixes, *read.prefixes), (*rules, *read.rules))


def parse_size(text: str) -> int:
    """Return the bytes that ``5GB``, ``500 MB``, ``4GiB`` or ``1000B`` stand for.

    ``GB`` is 1000 MB, as transformers reads ``max_shard_size``, and ``GiB`` is 1024 MiB.

    Raises:
        UsageError: it is not such a size, it has no unit, or it is 0.
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"{text!r} is not a size", fix="Write it as 5GB, 500MB or 4GiB.")
    number, letter, binary, unit = found.groups()
    if not unit:  # nobody wants shards of 5 bytes
        unit = f"{letter.upper() or 'G'}{'iB' if binary else 'B'}"
        raise UsageError(f"the size {text!r} has no unit", fix=f"Did you mean {number}{unit}?")
    power = _LETTERS.index(letter.upper()) + 1 if letter else 0
    nbytes = int(float(number) * (1024 if binary else 1000) ** power)
    if nbytes <= 0 or (binary and not letter):
        raise UsageError(f"{text!r} is not a size", fix="Write it as 5GB, 500MB or 4GiB.")
    return nbytes
