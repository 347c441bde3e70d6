"""How models of a family restore images of which they see a part, and what comes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, NamedTuple

if TYPE_CHECKING:
    import torch


class Guess(NamedTuple):
    """What a model's output is as pixels, taken in one of two ways.

    Attributes:
        pixels: (images, channels, height, width), from 0 to 1 but for what is beyond.
        losses: of each image, over its hidden patches.
        constant_losses: those of a constant in place of the output.
    """

    pixels: torch.Tensor
    losses: tuple[float, ...]
    constant_losses: tuple[float, ...]


class Restored(NamedTuple):
    """What a model makes of images of which it sees a part.

    Attributes:
        patches, hidden: of an image, in all and those that are hidden.
        mask: (height, width), true where a pixel is hidden; the same for all images.
        plain: the output taken as the pixels of images that are normalised as a whole.
        by_patch: the output taken as pixels that are normalised in each patch.
    """

    patches: int
    hidden: int
    mask: torch.Tensor
    plain: Guess
    by_patch: Guess


class Restoring(NamedTuple):
    """How a model restores images.

    Attributes:
        run: a model with its weights, and images (images, channels, height, width) from 0 to 1 on
            its device, to what it makes of them.
        image: a model's sizes, to height and width of its images.
        why_not: a model's sizes, to why a model of them restores none; ``None`` if it does.
        normalised: the name of the size that says whether a model's pixels are normalised in each
            patch, by those of :class:`ckpttool.models.family.SizeReader`.
    """

    run: Callable[[Any, torch.Tensor], Restored]
    image: Callable[[Any], tuple[int, int]]
    why_not: Callable[[Any], str | None]
    normalised: str
