"""Images through a model with a decoder: what it restores of what it does not see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Mapping, NamedTuple, Sequence, Union

from ckpttool.findings.pictures import Picture, Reconstruction
from ckpttool.models.forward import filled
from ckpttool.models.pictures.images import Fitted, fit

if TYPE_CHECKING:
    import torch

    from ckpttool.models.choosing import Judged, Said
    from ckpttool.models.family import Family
    from ckpttool.models.pictures.images import Photo
    from ckpttool.models.restoring import Guess, Restored
    from ckpttool.tensors.catalogue import TensorInfo

_AT_ONCE = 8  # images in memory
_GREY = 127


class Stated(NamedTuple):
    """Whether a model's pixels are normalised by patch, and who says so."""

    normalised: bool
    basis: str


def stated_of(judged: Judged, sizes: Mapping[str, object], said: Said) -> Stated | None:
    """Return what is said of a model's pixels; ``None`` where nothing is.

    Args:
        judged: the model.
        sizes: what the caller demands of it.
        said: what lies beside its tensors.
    """
    family = judged.family
    if family.restoring is None or family.reading is None:
        return None
    field = family.restoring.normalised
    demanded = sizes.get(field)
    if isinstance(demanded, bool):
        return Stated(demanded, "as asked for")
    hint = family.reading.hints(said.config, said.arguments).get(field)
    if hint is not None and isinstance(hint.value, bool):
        return Stated(hint.value, hint.source)
    return None


def why_not(judged: Judged) -> str | None:
    """Return why a model restores no images; ``None`` if it does."""
    restoring = judged.family.restoring
    if restoring is None:
        return f"models of the family {judged.family.name} restore none"
    return restoring.why_not(judged.config)


def restore(
    judged: Judged,
    tensors: Mapping[str, TensorInfo],
    photos: Sequence[Photo],
    stated: Stated | None,
    device: str = "cpu",
) -> Union[tuple[Reconstruction, ...], str]:
    """Return what a model makes of images, or why it makes nothing of them.

    Args:
        judged: the model, one that restores images.
        tensors: its weights, by canonical name.
        photos: the images.
        stated: what is said of its pixels; where nothing is, what fits better is taken.
        device: where to compute, as torch names it.
    """
    family, config = judged.family, judged.config
    with filled(family, config, tensors, full=True, device=device) as (model, problem):
        if problem:
            return problem
        found: list[Reconstruction] = []
        batches = [photos[at : at + _AT_ONCE] for at in range(0, len(photos), _AT_ONCE)]
        runs = [_run(family, config, model, batch, device) for batch in batches]
        pixels = stated or _likelier([restored for _, restored in runs])
        for batch, (fitted, restored) in zip(batches, runs):
            found += _told(batch, fitted, restored, pixels)
        return tuple(found)


def _run(
    family: Family, config: object, model: object, photos: Sequence[Photo], device: str
) -> tuple[list[Fitted], Restored]:
    import torch

    assert family.restoring is not None  # noqa: S101 (the caller's promise)
    height, width = family.restoring.image(config)
    fitted = [fit(photo, height, width) for photo in photos]
    shape = (len(photos), height, width, 3)
    content = bytearray(b"".join(one.pixels for one in fitted))
    images = torch.frombuffer(content, dtype=torch.uint8).reshape(shape).permute(0, 3, 1, 2)
    return fitted, family.restoring.run(model, images.to(device).float() / 255)


def _likelier(runs: Sequence[Restored]) -> Stated:
    """Return which of the two readings of the pixels does better than a constant, if one does."""
    plain = _share([one.plain for one in runs])
    by_patch = _share([one.by_patch for one in runs])
    # NaN is less than nothing
    better = [share for share in (plain, by_patch) if share < 1]
    told = "assumed: norm_pix_loss is not given"
    if not better:
        return Stated(False, f"{told}, and neither way the loss is below the mean colour's")
    normalised = min(better) == by_patch
    share, other = (by_patch, plain) if normalised else (plain, by_patch)
    told = f"{told}; the loss is {share:.0%} of the mean colour's, the other way {other:.0%}"
    return Stated(normalised, told.replace("%", " %"))


def _share(guesses: Sequence[Guess]) -> float:
    constant = sum(sum(one.constant_losses) for one in guesses)
    return sum(sum(one.losses) for one in guesses) / constant if constant else float("inf")


def _told(
    photos: Sequence[Photo], fitted: Sequence[Fitted], restored: Restored, pixels: Stated
) -> list[Reconstruction]:
    import torch

    guess = restored.by_patch if pixels.normalised else restored.plain
    hidden = restored.mask.cpu()
    height, width = hidden.shape
    found = []
    for at, (photo, one) in enumerate(zip(photos, fitted)):
        original = torch.frombuffer(bytearray(one.pixels), dtype=torch.uint8)
        original = original.reshape(height, width, 3)
        shown = _bytes(guess.pixels[at])
        pictures = (
            original,
            original.masked_fill(hidden[:, :, None], _GREY),
            shown,
            torch.where(hidden[:, :, None], shown, original),
        )
        found.append(
            Reconstruction(
                photo.path,
                one.how,
                restored.patches,
                restored.hidden,
                guess.losses[at],
                guess.constant_losses[at],
                pixels.normalised,
                pixels.basis,
                *(Picture(width, height, picture.numpy().tobytes()) for picture in pictures),
            )
        )
    return found


def _bytes(pixels: torch.Tensor) -> torch.Tensor:
    """Return pixels (3, H, W) from 0 to 1 as bytes (H, W, 3); black where they are no numbers."""
    import torch

    whole = (pixels.cpu().nan_to_num(0.0).clamp(0, 1) * 255).round()
    return whole.to(torch.uint8).permute(1, 2, 0).contiguous()
