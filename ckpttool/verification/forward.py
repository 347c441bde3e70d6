"""Which forward pass a file gets: that of a known model, or of the model of a schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Collection

from ckpttool.models.code.running import run as run_code
from ckpttool.models.forward import not_run, run_forward

if TYPE_CHECKING:
    from ckpttool.findings.results import Coverage, ForwardSummary
    from ckpttool.models.canonical import Canonical
    from ckpttool.models.choosing import Judged
    from ckpttool.models.reference import Reference
    from ckpttool.models.schema import Schema
    from ckpttool.tensors.catalogue import TensorInfo
    from ckpttool.tensors.values import Values
    from ckpttool.verification.options import VerifyOptions


def forward_of(
    canonical: Canonical,
    judged: Judged,
    schema: Schema,
    coverage: Coverage,
    values: Values,
    options: VerifyOptions,
) -> ForwardSummary:
    """Run as much of the model as the file fills; nothing is filled in for an absent group."""
    family = judged.family
    if not options.forward:
        return not_run("--no-forward")
    if not coverage.core.complete:
        return not_run(f"the {family.core} is not complete")
    others = coverage.others.values()
    full = bool(others) and all(group.complete for group in others)
    groups = schema.groups if full else (family.core,)
    names = [entry.name for entry in schema.entries.values() if entry.group in groups]
    if any(name in values.skipped for name in names):
        return not_run("a tensor of the model was not read")
    tensors = canonical.tensors
    if _repeats([tensors[name] for name in names]):
        return not_run("tensors of the model are views that repeat their elements")
    return run_forward(family, judged.config, tensors, full=full, device=options.device)


def forward_of_code(
    reference: Reference,
    canonical: Canonical,
    coverage: Coverage,
    values: Values,
    options: VerifyOptions,
    *,
    quantized: bool,
) -> ForwardSummary:
    """Run the model of a schema that is from code, if the file has all of it, and whole."""
    code = reference.code
    if not options.forward:
        return not_run("--no-forward")
    if code is None:
        return not_run(
            "there is no schema" if reference.is_empty else "a schema has no code to run"
        )
    if quantized:
        return not_run("its weights are quantized")
    if not all(group.complete for group in coverage.groups.values()):
        return not_run("the model is not complete")
    ours = {*code.held.tensors, *code.held.tied}
    tensors = {name: info for name, info in canonical.tensors.items() if name in ours}
    if any(name in values.skipped for name in tensors):
        return not_run("a tensor of the model was not read")
    if _repeats(tensors.values()):
        return not_run("tensors of the model are views that repeat their elements")
    inputs = options.example.inputs() if options.example else None
    return run_code(code, tensors, inputs, options.device)


def _repeats(tensors: Collection[TensorInfo]) -> bool:
    """Whether tensors stand for more bytes than their files have.

    A view that repeats its elements may be of any size.
    """
    sources = {id(extent.source): extent.source for info in tensors for extent in info.extents}
    different = {info.view: info.nbytes for info in tensors}  # a tied one has several names
    return sum(different.values()) > sum(one.size for one in sources.values())
