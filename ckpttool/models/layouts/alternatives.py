"""What forks of the MAE code call single modules of a block.

Each is a spelling that public files have. It is recognised in a block of any convention, and a
report says which of them a file has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpttool.models.layouts.renames import Join, Rename, joined, module, under

if TYPE_CHECKING:
    from ckpttool.models.layouts.renames import NameRule

_BLOCK: tuple[NameRule, ...] = (
    # AdaptFormer and what grew from it: three Linear layers, and no module around the MLP
    *joined("attn.qkv", ("attn.q_proj", "attn.k_proj", "attn.v_proj")),
    *module("mlp.fc1", "fc1"),
    *module("mlp.fc2", "fc2"),
    *joined("attn.qkv", ("attn.q", "attn.k", "attn.v")),
    # torch's MultiheadAttention in the place of the attention
    Rename("attn.qkv.weight", "attn.in_proj_weight"),
    Rename("attn.qkv.bias", "attn.in_proj_bias"),
    *module("attn.proj", "attn.out_proj"),
    # BEiT, VideoMAE and EVA: the key has no bias, and no zeros are stored for it
    Join("attn.qkv.bias", ("attn.q_bias", "", "attn.v_bias"), "the key has none"),
)

ALTERNATIVES: tuple[NameRule, ...] = under("blocks.{n}.", "blocks.{n}.", _BLOCK)
