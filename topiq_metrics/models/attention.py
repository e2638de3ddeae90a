"""Attention blocks of CFANet (TOPIQ, arXiv 2308.03060, Eq. 5–8)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class MultiHeadAttention(nn.Module):
    """Scaled dot-product attention over tokens ``(N, L, D)``; linear in memory, since no map is kept."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"Argument `dim` must be a multiple of `heads`, but got {dim} and {heads}.")
        self.heads = heads
        self.dropout = dropout
        self.in_proj = nn.Linear(dim, 3 * dim)
        self.out_proj = nn.Linear(dim, dim)

    def forward(self, query: Tensor, memory: Tensor | None = None) -> Tensor:
        dropout = self.dropout if self.training else 0.0
        out = F.scaled_dot_product_attention(*self._project(query, memory), dropout_p=dropout)
        projected: Tensor = self.out_proj(out.transpose(1, 2).flatten(2))
        return projected

    def weights(self, query: Tensor, memory: Tensor | None = None) -> Tensor:
        """How much each query attends to each token of the memory, ``(N, heads, Lq, Lm)``: rows sum to 1.

        `forward` never makes it: it takes memory for every pair of tokens.
        """
        q, k, _ = self._project(query, memory)
        logits: Tensor = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
        return logits.softmax(dim=-1)

    def _project(self, query: Tensor, memory: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values by head, ``(N, heads, L, D / heads)``."""
        if memory is None:
            q, k, v = self.in_proj(query).chunk(3, dim=-1)
        else:
            dim = query.shape[-1]
            weight, bias = self.in_proj.weight, self.in_proj.bias
            q = F.linear(query, weight[:dim], bias[:dim])
            k, v = F.linear(memory, weight[dim:], bias[dim:]).chunk(2, dim=-1)
        return self._split(q), self._split(k), self._split(v)

    def _split(self, x: Tensor) -> Tensor:
        batch, length, dim = x.shape
        return x.view(batch, length, self.heads, dim // self.heads).transpose(1, 2)


class FeedForward(nn.Sequential):
    """Linear, GELU, Linear; hidden width ``min(4 D, 2048)``."""

    def __init__(self, dim: int, dropout: float) -> None:
        hidden = min(4 * dim, 2048)
        super().__init__(nn.Linear(dim, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, dim))


class _AttentionBlock(nn.Module):
    """What the two blocks share: attention and a feed-forward step, each normalised before and added after."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.norm_query = nn.LayerNorm(dim)
        self.attention = MultiHeadAttention(dim, heads, dropout)
        self.norm_ffn = nn.LayerNorm(dim)
        self.ffn = FeedForward(dim, dropout)
        self.drop = nn.Dropout(dropout)
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.kaiming_normal_(layer.weight)
                nn.init.zeros_(layer.bias)

    def _feed_forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.drop(self.ffn(self.norm_ffn(x)))
        return out


class SelfAttentionBlock(_AttentionBlock):
    """Self-attention within one pyramid level (Eq. 5): ``(N, L, D) -> (N, L, D)``."""

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.drop(self.attention(self.norm_query(tokens)))
        return self._feed_forward(tokens)


class CrossScaleAttentionBlock(_AttentionBlock):
    """Semantics look for distortions (Eq. 6–8).

    The running query ``(N, L, D)`` of the deeper levels attends to the tokens of the next shallower one.
    """

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__(dim, heads, dropout)
        self.norm_memory = nn.LayerNorm(dim)

    def forward(self, query: Tensor, memory: Tensor) -> Tensor:
        query = query + self.drop(self.attention(self.norm_query(query), self.norm_memory(memory)))
        return self._feed_forward(query)

    def weights(self, query: Tensor, memory: Tensor) -> Tensor:
        """How much each query attends to each token of the memory, as `MultiHeadAttention.weights`."""
        weights: Tensor = self.attention.weights(self.norm_query(query), self.norm_memory(memory))
        return weights


def position_embedding(h_emb: Tensor, w_emb: Tensor, size: tuple[int, int]) -> Tensor:
    """The learned embedding ``(1, D/2, 32, 1) + (1, D/2, 1, 32)`` on a grid of ``size``: ``(1, D, H, W)``."""
    grid = h_emb.shape[2], w_emb.shape[3]
    full = torch.cat([h_emb.expand(-1, -1, *grid), w_emb.expand(-1, -1, *grid)], dim=1)
    return F.interpolate(full, size=size, mode="bicubic", align_corners=False)
