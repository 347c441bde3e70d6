"""The size of a model that is small enough for a test; torch is not loaded for it."""

from __future__ import annotations

from mae.config import MAEConfig

#: 16 patches of 8 x 8 pixels; everything else as small as it can be and still differ.
TINY = MAEConfig(
    embed_dim=16,
    depth=2,
    num_heads=2,
    patch_size=8,
    img_size=32,
    decoder_embed_dim=8,
    decoder_depth=1,
    decoder_num_heads=2,
)
