"""What the model of a file makes of the images that were named, or why it makes nothing of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Optional

from ckpttool.models.family import FULL

if TYPE_CHECKING:
    from ckpttool.findings.pictures import Reconstruction
    from ckpttool.findings.results import ForwardSummary
    from ckpttool.models.canonical import Canonical
    from ckpttool.models.choosing import Judged, Said
    from ckpttool.verification.options import VerifyOptions


class Pictures(NamedTuple):
    """The reconstructions of images, or why there are none of so many images."""

    found: tuple[Reconstruction, ...] = ()
    images: int = 0
    reason: Optional[str] = None


def pictures_of(
    canonical: Canonical,
    judged: Optional[Judged],
    forward: ForwardSummary,
    said: Said,
    options: VerifyOptions,
) -> Pictures:
    """Restore the images of the options.

    Args:
        canonical: the tensors of the file.
        judged: the model that it is judged by; ``None`` for a schema.
        forward: the forward pass: where not all of the model was run, no image is restored.
        said: what lies beside the tensors.
        options: what to verify.
    """
    images = options.images
    if not images:
        return Pictures()

    from ckpttool.models.pictures.restoring import restore, stated_of, why_not  # late: few have any

    reason = "a schema has no model that restores images" if judged is None else why_not(judged)
    if reason is None and forward.status != "run":
        reason = forward.reason
    elif reason is None and forward.scope != FULL:
        reason = "the file does not hold all of the model"
    if reason is not None or judged is None:
        return Pictures((), len(images), reason)
    stated = stated_of(judged, options.sizes, said)
    found = restore(judged, canonical.tensors, images, stated, options.device)
    if isinstance(found, str):
        return Pictures((), len(images), found)
    return Pictures(found, len(images))
