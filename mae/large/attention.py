"""Multi-head self-attention (arXiv:1706.03762, section 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Attention(nn.Module):
    """``softmax(Q K^T / sqrt(d)) V`` in every head, then a projection.

    Args:
        dim: width of a token, a multiple of ``num_heads``.
        num_heads: number of heads, each of width d = dim / num_heads.
        qkv_bias: whether query, key and value have a bias; the published weights do.
        device: where the parameters are made; ``"meta"`` allocates nothing.

    Raises:
        ValueError: the width cannot be shared evenly among the heads.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int = 16,
        qkv_bias: bool = True,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        if dim % num_heads:
            raise ValueError(f"{num_heads} heads do not share a width of {dim} evenly")
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, dim * 3, bias=qkv_bias, device=device)
        self.proj = nn.Linear(dim, dim, device=device)

    def forward(self, x: Tensor) -> Tensor:
        """Return tokens (B, N, D) after each has looked at all of its sample's (B, N, D)."""
        batch, length, width = x.shape
        qkv: Tensor = self.qkv(x)  # (B, N, 3 * D), the queries' rows first
        qkv = qkv.reshape(batch, length, 3, self.num_heads, width // self.num_heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # (B, heads, N, d) each

        x = functional.scaled_dot_product_attention(query, key, value)  # (B, heads, N, d)
        x = x.transpose(1, 2).reshape(batch, length, width)  # (B, N, D)
        out: Tensor = self.proj(x)  # (B, N, D)
        return out
