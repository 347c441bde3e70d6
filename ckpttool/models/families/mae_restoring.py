"""What a masked autoencoder makes of images, with the same patches hidden every time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpttool.models.families.mae_forward import MAE_FORWARD, MASK_RATIO
from ckpttool.models.restoring import Guess, Restored, Restoring

if TYPE_CHECKING:
    import torch

    from mae.config import MAEConfig
    from mae.large import MAEViTLarge

# Mean and deviation of the channels of ImageNet, by which the published models' pixels are scaled.
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def visible_first(patches: int) -> list[int]:
    """Return the numbers of the patches in the order in which a mask shows them.

    By the SHA-256 of the text ``1 N`` for patch N: without any order, and the same everywhere.
    """
    from hashlib import sha256  # late: most commands load the families and compute no digest

    return sorted(range(patches), key=lambda number: sha256(b"1 %d" % number).digest())


def _restore(model: MAEViTLarge, images: torch.Tensor) -> Restored:
    import torch

    scale = (torch.tensor(numbers).reshape(1, 3, 1, 1) for numbers in (_MEAN, _DEVIATION))
    mean, deviation = (one.to(images) for one in scale)
    normal = (images - mean) / deviation
    patches = model.config.num_patches
    noise = torch.empty(patches)
    noise[visible_first(patches)] = torch.arange(patches, dtype=torch.float32)
    noise = noise.to(images.device).expand(len(images), -1)
    latent, mask, ids_restore = model.forward_encoder(normal, MASK_RATIO, noise)
    pred = model.forward_decoder(latent, ids_restore)  # (B, L, P)

    target = model.patchify(normal)
    hidden = mask[0].bool()  # (L,)
    centre, spread = model.patch_scale(target)
    plain, by_patch = (
        (_losses(pred, wanted, hidden), _losses(_mean_colour(wanted[:, ~hidden]), wanted, hidden))
        for wanted in (target, (target - centre) / spread)
    )
    shown = hidden.to(pred.dtype)[None, :, None].expand(1, -1, pred.shape[-1])
    return Restored(
        patches,
        int(hidden.sum()),
        model.unpatchify(shown)[0, 0] > 0,
        Guess(model.unpatchify(pred) * deviation + mean, *plain),
        Guess(model.unpatchify(pred * spread + centre) * deviation + mean, *by_patch),
    )


def _mean_colour(visible: torch.Tensor) -> torch.Tensor:
    """Return a patch (B, 1, P) of the mean colour of patches (B, K, P)."""
    batch, _, numbers = visible.shape
    colour = visible.reshape(batch, -1, 3).mean(dim=1)  # a patch is stored by row, column, channel
    return colour.repeat(1, numbers // 3)[:, None]


def _losses(pred: torch.Tensor, target: torch.Tensor, hidden: torch.Tensor) -> tuple[float, ...]:
    error = (pred - target).square().mean(dim=-1)  # (B, L)
    return tuple(error[:, hidden].mean(dim=1).tolist())


def _why_not(config: MAEConfig) -> str | None:
    if not config.has_decoder:
        return "the model has no decoder"
    if config.in_chans != 3:
        return f"the model's images have {config.in_chans} channels, not 3"
    return MAE_FORWARD.why_not(config)


MAE_RESTORING = Restoring(_restore, lambda config: config.image, _why_not, "norm_pix_loss")
