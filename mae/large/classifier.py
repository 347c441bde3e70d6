"""A classifier of images that was made from the encoder, by fine-tuning or a linear probe."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mae.config import MAEConfig
from mae.large.encoder import Encoder


class ViTClassifier(Encoder):
    """The encoder without a mask, and a head on one vector an image (arXiv:2111.06377, A.1, A.2).

    B is images, D the width, N the classes. With ``pooling`` of ``fc_norm`` that vector is the mean
    of the patches' tokens, normalised after it; otherwise it is the class token after ``norm``. A
    probe has a BatchNorm without weights before its linear layer.

    Args:
        config: the sizes; ``num_classes`` is 1 or more.
        device: as in :class:`mae.large.MAEViTLarge`.
    """

    def __init__(self, config: MAEConfig, device: torch.device | str | None = None) -> None:
        super().__init__(config)
        linear = nn.Linear(config.embed_dim, config.num_classes, device="meta")
        self.head: nn.Module = linear
        if config.probe:
            # the eps of the published code's probe, ten times smaller than torch's default
            batch_norm = nn.BatchNorm1d(config.embed_dim, affine=False, eps=1e-6, device="meta")
            self.head = nn.Sequential(batch_norm, linear)
        self.move_to(device)
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (B, N) of images (B, C, H, W)."""
        return self.classify(self.pooled(images))

    def pooled(self, images: Tensor) -> Tensor:
        """Return the vectors (B, D) that the head is given."""
        x = self.patch_tokens(images)
        if self.config.pooling != "fc_norm":
            tokens = self.encode(x)
            return tokens[:, 0] if self.config.class_token else tokens.mean(dim=1)
        tokens = self.through_blocks(x)[:, int(self.config.class_token) :]
        vectors: Tensor = self.fc_norm(tokens.mean(dim=1))  # type: ignore[operator]
        return vectors

    def classify(self, vectors: Tensor) -> Tensor:
        """Return the logits (B, N) of vectors (B, D)."""
        logits: Tensor = self.head(vectors)
        return logits
