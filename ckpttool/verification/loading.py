"""What a loader would fill of the model from the file as it is: names as they stand in it."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Mapping

from ckpttool.findings.results import LOAD_STATE_DICT, Loading
from ckpttool.models.coverage import is_matched

if TYPE_CHECKING:
    from ckpttool.tensors.catalogue import TensorInfo
    from ckpttool.verification.evidence import Evidence


def loading_of(evidence: Evidence) -> Loading:
    """Return what ``load_state_dict(strict=False)`` would do with the state dict that was taken."""
    groups, origins = evidence.coverage.groups, evidence.canonical.origins
    random = {name: group.expected for name, group in groups.items()}
    outside = frozenset(evidence.coverage.unexpected)
    mismatched = {one.name: one for group in groups.values() for one in group.mismatched}
    filled = parameters = refused = 0
    tensors: Mapping[str, TensorInfo] = evidence.canonical.tensors
    # other spellings of code are those that its own loader knows
    as_stored = evidence.reference is None or evidence.reference.code is None
    if evidence.reference is not None:
        held = evidence.quantized.held
        tensors = evidence.reference.placed(tensors if held is None else held)
    for name, info in tensors.items():
        # a loader knows the names of the file: neither a prefix is taken off nor are parts joined
        if name in outside or (as_stored and origins.get(name, (name,)) != (name,)):
            continue
        mismatch = mismatched.get(name)
        if mismatch is None or is_matched(mismatch):
            filled += 1
            parameters += prod(info.shape)
            random[evidence.family.group_of(name)] -= 1
        elif not mismatch.same_shape:
            refused += 1
    renamed = sum(group.matched for group in groups.values())
    canonical = evidence.canonical
    # what could not be put together under one name is not converted either
    converted = canonical.layout is not None and not canonical.problems and renamed > filled
    return Loading(
        sum(group.expected for group in groups.values()),
        sum(group.parameters for group in groups.values()),
        filled,
        parameters,
        renamed,
        sum(group.covered for group in groups.values()),
        refused,
        {name: number for name, number in random.items() if number},
        evidence.family.layouts[0].name if converted and evidence.has_roles else None,
        evidence.reference.loader if evidence.reference else LOAD_STATE_DICT,
    )
