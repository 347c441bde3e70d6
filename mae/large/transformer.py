"""The transformer block of a ViT: pre-norm attention and MLP (arXiv:2010.11929, section 3.1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mae.large.attention import Attention


class Mlp(nn.Module):
    """Two linear layers with the exact (erf) GELU between them.

    Args:
        dim: width of a token.
        hidden_dim: width between the layers.
        device: where the parameters are made; ``"meta"`` allocates nothing.
    """

    def __init__(self, dim: int, hidden_dim: int, device: torch.device | str | None = None) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden_dim, device=device)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(hidden_dim, dim, device=device)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, N, D) for tokens (B, N, D), each on its own."""
        x = self.fc1(x)  # (B, N, hidden_dim)
        x = self.act(x)
        out: Tensor = self.fc2(x)  # (B, N, D)
        return out


class Block(nn.Module):
    """LayerNorm, attention, residual; LayerNorm, MLP, residual.

    Args:
        dim: width of a token, a multiple of ``num_heads``.
        num_heads: heads of the attention.
        hidden_dim: width inside the MLP; four times ``dim`` unless told otherwise.
        qkv_bias: whether query, key and value have a bias; the published weights do.
        layer_norm_eps: added to the variance in both LayerNorms.
        device: where the parameters are made; ``"meta"`` allocates nothing.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        hidden_dim: int | None = None,
        qkv_bias: bool = True,
        layer_norm_eps: float = 1e-6,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=layer_norm_eps, device=device)
        self.attn = Attention(dim, num_heads, qkv_bias, device=device)
        self.norm2 = nn.LayerNorm(dim, eps=layer_norm_eps, device=device)
        self.mlp = Mlp(dim, 4 * dim if hidden_dim is None else hidden_dim, device=device)

    def forward(self, x: Tensor) -> Tensor:
        """Return tokens (B, N, D) for tokens (B, N, D)."""
        x = x + self.attn(self.norm1(x))  # (B, N, D)
        out: Tensor = x + self.mlp(self.norm2(x))  # (B, N, D)
        return out
