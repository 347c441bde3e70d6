"""What the models of two files make of the same images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Sequence, Union

from ckpttool.comparison.numbers.compare import SideError
from ckpttool.findings.errors import CkpttoolError
from ckpttool.findings.pictures import change_of
from ckpttool.findings.text import count
from ckpttool.models.choosing import choose, hold, said_of
from ckpttool.models.pictures.restoring import restore, stated_of, why_not

if TYPE_CHECKING:
    from ckpttool.comparison.result import Comparison
    from ckpttool.findings.pictures import Reconstruction
    from ckpttool.models.canonical import Canonical
    from ckpttool.models.pictures.images import Photo
    from ckpttool.tensors.catalogue import Checkpoint

_SIDES = ("left", "right")


def with_pictures(
    comparison: Comparison,
    sides: Sequence[Checkpoint],
    canonical: Sequence[Canonical],
    photos: Sequence[Photo],
) -> Comparison:
    """Add what both files make of images; or a note on why they make nothing of them.

    Raises:
        SideError: a file cannot be read.
    """
    found: list[tuple[Reconstruction, ...]] = []
    reason = ""
    for side, (checkpoint, named) in enumerate(zip(sides, canonical)):
        try:
            restored = _restored(checkpoint, named, photos)
            checkpoint.check_unchanged()
        except CkpttoolError as error:
            raise SideError(side, error) from error
        if isinstance(restored, str):
            reason = f"the {_SIDES[side]} file: {restored}"
            break
        found.append(restored)
    if not reason and _size(found[0]) != _size(found[1]):
        reason = "the models are for images of other sizes"
    if reason:
        note = f"the reconstruction of {count(len(photos), 'image')}: {reason}"
        return comparison._replace(notes=(*comparison.notes, note))
    return comparison._replace(reconstructions=tuple(map(change_of, *found)))


def _restored(
    checkpoint: Checkpoint, canonical: Canonical, photos: Sequence[Photo]
) -> Union[tuple[Reconstruction, ...], str]:
    said = said_of(checkpoint)
    if canonical.family is None:
        return "it is of no known model"
    judged, _, coverage = hold(choose(canonical, said=said), canonical, checkpoint)
    reason = why_not(judged)
    if reason is not None:
        return reason
    if not all(group.complete for group in coverage.groups.values()):
        return "it does not hold all of the model"
    return restore(judged, canonical.tensors, photos, stated_of(judged, {}, said))


def _size(found: Sequence[Reconstruction]) -> tuple[int, ...]:
    one = found[0]
    return one.restored.width, one.restored.height, one.patches
