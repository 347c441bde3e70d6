"""Quantized weights as the numbers that they stand for, in the place of their parts.

A decoded weight takes the place of its codes before anything is selected or planned, as a tensor
whose bytes are decoded when they are read. What comes after copies and proves it like any other.
"""

from __future__ import annotations

import re
from copy import copy
from typing import TYPE_CHECKING, Iterable, Iterator, Mapping, NamedTuple, Sequence

from ckpttool.conversion.quantization_config import settings_beside
from ckpttool.conversion.result import Dequantised
from ckpttool.findings import rules
from ckpttool.findings.errors import UnsupportedError, UsageError
from ckpttool.findings.finding import Finding, finding
from ckpttool.findings.text import count, printable
from ckpttool.models.canonical import canonicalize
from ckpttool.quantization.in_place import decode
from ckpttool.quantization.recognise import packed_in
from ckpttool.quantization.schemes import SCHEMES
from ckpttool.tensors.catalogue import Checksum, TensorInfo
from ckpttool.tensors.dtypes import DTYPES
from ckpttool.tensors.sharing import check_expansion, covered
from ckpttool.tensors.sums import tensor_sum

if TYPE_CHECKING:
    from ckpttool.conversion.options import ConvertOptions
    from ckpttool.conversion.selecting import TensorSelection
    from ckpttool.models.canonical import Canonical
    from ckpttool.quantization.in_place import Decoded
    from ckpttool.quantization.undoing import Refused
    from ckpttool.tensors.catalogue import Checkpoint


class Dequantising(NamedTuple):
    """What was dequantised of the tensors that are taken.

    Attributes:
        weights: the weights, in the order of the file.
        parts: their parts in the file, by the name of the weight.
        checked: the stored sums over their parts that were compared.
        findings: errors on weights that cannot be decoded.
    """

    weights: tuple[Dequantised, ...] = ()
    parts: Mapping[str, tuple[TensorInfo, ...]] = {}
    checked: frozenset[Checksum] = frozenset()
    findings: tuple[Finding, ...] = ()

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 sums of the parts in the source, by its names, where they were asked for."""
        return {
            name: sha256
            for weight in self.weights
            for name, sha256 in (weight.sha256 or {}).items()
        }

    def undone(self, tensors: Mapping[str, TensorInfo]) -> Canonical:
        """Return the tensors as the source has them, its codes and scales among them."""
        source: dict[str, TensorInfo] = {}
        for name, info in tensors.items():
            source.update({one.name: one for one in self.parts.get(name, (info,))})
        return canonicalize(source)


def dequantise(
    checkpoint: Checkpoint, options: ConvertOptions
) -> tuple[Checkpoint, Decoded | None]:
    """Return a checkpoint that has decoded weights in the place of the quantized ones.

    Without the option it is the same, and nothing is decoded.

    Raises:
        CkpttoolError: a part that says how a weight is stored cannot be read.
        UsageError: no weight is quantized.
    """
    if options.dequantise is None:
        return checkpoint, None
    contents = packed_in(checkpoint.tensors, settings_beside(checkpoint))
    found = decode(checkpoint.tensors, contents, DTYPES[options.dequantise])
    if not found.packed and not found.refused:
        raise UsageError(
            "there is no quantized weight to dequantise", fix="Leave --dequantise out."
        )
    changed = copy(checkpoint)
    changed.tensors = found.tensors
    return changed, found


def taken(
    found: Decoded | None,
    checkpoint: Checkpoint,
    selection: TensorSelection,
    options: ConvertOptions,
) -> Dequantising:
    """Return what was dequantised of the tensors that are taken.

    Raises:
        MalformedError: the bytes of a part do not match their stored sum.
        UnreadableError: a part cannot be read.
        UnsupportedError: a weight of a scheme that is not undone here is taken.
    """
    if found is None:
        return Dequantising()
    findings = tuple(_refusals(found, selection))
    parts = {name: found.made_of(name) for name in selection.tensors if name in found.packed}
    every = [info for infos in parts.values() for info in infos]
    # a view that repeats bytes would be decoded into any amount of numbers
    check_expansion(
        {info.name: info for info in every}, covered(one for info in every for one in info.extents)
    )
    checked: frozenset[Checksum] = frozenset()
    if not findings and not options.dry_run:
        checked = _checked(every, checkpoint.checksums)
    hashes = options.hashes and not findings and not options.dry_run
    weights = tuple(
        Dequantised(
            name,
            SCHEMES[found.packed[name].scheme],
            selection.tensors[name].dtype.name,
            {what: info.name for what, info in found.packed[name].parts.items()},
            {info.name: tensor_sum(info) for info in infos} if hashes else None,
        )
        for name, infos in parts.items()
    )
    return Dequantising(weights, parts, checked, findings)


# --- what is not decoded ------------------------------------------------------------------

_OUT = "Leave such weights out with --exclude."
_WHOLE = "Get the complete file, or leave such weights out with --exclude."


def _refusals(found: Decoded, selection: TensorSelection) -> Iterator[Finding]:
    """Yield an error for each reason for which weights that are taken are not decoded."""
    reasons: dict[str, list[tuple[str, Refused]]] = {}
    for name, (refused, stored) in found.refused.items():
        if not stored.isdisjoint(selection.tensors):
            kind = re.sub(r"\S*[.\[]\S*|\d+", "", refused.reason)
            reasons.setdefault(kind, []).append((name, refused))
    for several in reasons.values():
        name, refused = several[0]
        more = f"; the same of {count(len(several) - 1, 'other weight')}" if several[1:] else ""
        message = f"{printable(name)} cannot be dequantised: {refused.reason}{more}"
        names = [one for _, other in several for one in other.tensors]
        if refused.unsupported:
            raise UnsupportedError(message, rules.UNSUPPORTED, fix=_OUT)
        yield finding(rules.NOT_DEQUANTISED, message, tensors=names, fix=_WHOLE)


# --- stored sums over what is decoded -----------------------------------------------------


def _checked(infos: Iterable[TensorInfo], checksums: Sequence[Checksum]) -> frozenset[Checksum]:
    """Compare the stored sums over the bytes of parts, which no copying reads."""
    from ckpttool.formats.writing import stored_sums  # late: few files store any

    if not checksums:
        return frozenset()
    places = sorted(
        (id(one.source), one.offset) for info in infos for one in info.extents if one.length
    )
    theirs = [one for one in checksums if stored_sums.is_touched(one.extent, places)]
    sums = {one.extent: stored_sums.sum_of(one.extent) for one in theirs}
    return stored_sums.compare((), theirs, {}, sums)
