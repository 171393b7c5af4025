"""Attention between rows of a set: spots of a slide, bins of a window, tokens of a text."""

from __future__ import annotations

from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional


class AttentionBlock(nn.Module):
    """Pre-norm attention between rows, then a perceptron; both are added to what came in.

    Parameters
    ----------
    width : int
        Channels D.
    num_heads, head_width : int
        Heads, and channels of each; their product need not be D.
    dropout : float
        In the perceptron.
    """

    def __init__(self, width: int, num_heads: int, head_width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.norm, self.out_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * num_heads * head_width, bias=False)
        self.out = nn.Linear(num_heads * head_width, width)
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Dropout(dropout), nn.Linear(width, width))

    def forward(self, rows: Tensor, is_seen: Tensor | None = None) -> Tensor:
        """Mix rows.

        Parameters
        ----------
        rows : Tensor (B, S, D)
        is_seen : bool Tensor (S, S) or (B, S, S), optional
            Whether a row sees another, itself included; without it all rows see each other. Every row must see one.

        Returns
        -------
        Tensor (B, S, D)
        """
        q, k, v = rearrange(self.qkv(self.norm(rows)), "b s (qkv h d) -> qkv b h s d", qkv=3, h=self.num_heads)
        seen = is_seen.unsqueeze(1) if is_seen is not None and is_seen.dim() == 3 else is_seen
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=seen)
        rows = rows + self.out(rearrange(mixed, "b h s d -> b s (h d)"))
        return rows + self.mlp(self.out_norm(rows))
