"""Decides which tensors a cast changes, and refuses to cast quantized weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator

from ckpttool.findings import rules
from ckpttool.findings.finding import Finding, finding
from ckpttool.findings.text import count
from ckpttool.quantization.by_name import Quantized, quantized
from ckpttool.tensors.dtypes import DTYPES

if TYPE_CHECKING:
    from ckpttool.conversion.options import ConvertOptions
    from ckpttool.conversion.selecting import TensorSelection
    from ckpttool.tensors.catalogue import Checkpoint
    from ckpttool.tensors.dtypes import DType
    from ckpttool.tensors.sharing import Sharing


def written_dtype(dtype: DType, cast_to: str | None) -> DType:
    """Return the type that elements are written in."""
    # Integers are indices or counts, and narrow floats mean nothing without their scales.
    return dtype if cast_to is None or not dtype.castable else DTYPES[cast_to]


def not_to_cast(
    checkpoint: Checkpoint, selection: TensorSelection, sharing: Sharing, options: ConvertOptions
) -> Quantized:
    """Return the parts of quantized weights among the selected tensors, if any is to be cast."""
    if options.dtype is None:
        return Quantized(frozenset(), frozenset())
    # From all tensors: a scale that is left out still shows that its codes are taken. By the names
    # of the source, which say what a tensor is for.
    found = quantized({**checkpoint.tensors, **selection.tensors})
    parts = _with_same(_written(found.parts, selection), sharing)
    return Quantized(parts, _with_same(_written(found.beside, selection), sharing) - parts)


def _written(names: frozenset[str], selection: TensorSelection) -> frozenset[str]:
    """Return the names under which tensors of the source are written."""
    naming = selection.naming
    if not naming.rows:
        return names & frozenset(naming.tensors)
    return frozenset(
        name for name in naming.tensors if any(rows.name in names for rows in naming.made_of(name))
    )


def _with_same(names: frozenset[str], sharing: Sharing) -> frozenset[str]:
    """Add the other names of tied tensors, which are stored once and have one dtype."""
    return names.union(*(group for group in sharing.groups if not names.isdisjoint(group)))


def refused(
    kept: Quantized, selection: TensorSelection, options: ConvertOptions
) -> Iterator[Finding]:
    """Refuse to cast a model with quantized weights unless ``except_quantized`` is given."""
    # Where every float already has the dtype, nothing is cast.
    tensors = selection.naming.tensors
    others = {info.dtype.name for info in tensors.values()} - {options.dtype}
    if (
        not kept.parts
        or options.except_quantized
        or not any(DTYPES[name].kind == "float" for name in others)
    ):
        return
    names = [name for name in tensors if name in kept.parts]
    types = ", ".join(dict.fromkeys(tensors[name].dtype.name for name in names))
    beside = f" (and {len(kept.beside):,} beside them)" if kept.beside else ""
    yield finding(
        rules.QUANTIZED,
        f"{count(len(names), 'tensor')} {'makes' if len(names) == 1 else 'make'} up quantized "
        f"weights ({types}), which cannot be cast to {options.dtype}",
        tensors=names,
        fix=f"--dtype-except-quantized casts the others and copies these{beside} bit for bit.",
    )
