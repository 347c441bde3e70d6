"""Which tensors a cast changes, and whether it may."""

from __future__ import annotations

from typing import TYPE_CHECKING, Collection, Iterator

from ckpttool import rules
from ckpttool.conversion.quantized import quantized
from ckpttool.findings import Finding, finding
from ckpttool.tensors import DTYPES
from ckpttool.text import count

if TYPE_CHECKING:
    from ckpttool.conversion.options import ConvertOptions
    from ckpttool.conversion.selecting import Selection
    from ckpttool.sharing import Sharing
    from ckpttool.tensors import Checkpoint, DType

#: What is cast where that is asked for: numbers by themselves, which narrower ones are not.
CASTABLE = frozenset(("float64", "float32", "float16", "bfloat16"))


def written_dtype(dtype: DType, cast_to: str | None) -> DType:
    """Return the type that elements are written in: only floating numbers are cast."""
    return dtype if cast_to is None or dtype.name not in CASTABLE else DTYPES[cast_to]


def not_to_cast(
    checkpoint: Checkpoint, selection: Selection, sharing: Sharing, options: ConvertOptions
) -> frozenset[str]:
    """Return what quantized weights are made of, where something is to be cast."""
    if options.dtype is None:
        return frozenset()
    # what is left out tells of what is taken, too
    kept = quantized({**checkpoint.tensors, **selection.tensors})
    # of one tensor under several names there is one dtype
    same = {name for group in sharing.groups if kept.intersection(group) for name in group}
    return frozenset(name for name in selection.tensors if name in kept or name in same)


def refused(
    kept: Collection[str], selection: Selection, options: ConvertOptions
) -> Iterator[Finding]:
    """Refuse to cast a model of which a part means nothing by itself, unless that is known."""
    others = {info.dtype.name for info in selection.tensors.values()} - {options.dtype}
    if (
        not kept
        or options.except_quantized
        or not any(DTYPES[name].kind == "float" for name in others)
    ):
        return
    names = [name for name in selection.tensors if name in kept]
    types = ", ".join(dict.fromkeys(selection.tensors[name].dtype.name for name in names))
    yield finding(
        rules.QUANTIZED,
        f"{count(len(names), 'tensor')} make up quantized weights ({types}), which would be others "
        f"as {options.dtype}",
        tensors=names,
        fix="--dtype-except-quantized casts the others and copies these bit for bit.",
    )
