"""A readout that is a sum over bins, so that credit goes straight to the bin that earned it."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class ContributionHead(nn.Module):
    """Sum over bins of mask times value times a decay with the distance to the TSS.

    y = bias + sum_n mask_n * value(h_n) * exp(-|d_n| / lambda), lambda learned.

    Parameters
    ----------
    width : int
        Width D of the states.
    decay_bp : float
        Initial length lambda in bp.
    num_outputs : int
        Expression values G.
    """

    def __init__(self, width: int, decay_bp: float = 4_000.0, num_outputs: int = 1) -> None:
        super().__init__()
        self.value = nn.Linear(width, num_outputs)
        self.bias = nn.Parameter(torch.zeros(num_outputs))
        self.log_decay = nn.Parameter(torch.tensor(math.log(decay_bp)))
        self.log_decay._no_weight_decay = True  # type: ignore[attr-defined]

    def contributions(self, states: Tensor, mask: Tensor, distance_bp: Tensor) -> Tensor:
        """What each bin adds to the prediction (B, N, G)."""
        decay = torch.exp(-distance_bp.abs().float() / self.log_decay.exp().clamp(100.0, 1e7))
        return self.value(states).float() * (mask.float() * decay)[..., None]

    def forward(self, states: Tensor, mask: Tensor, distance_bp: Tensor) -> Tensor:
        """Predictions (B, G) from states (B, N, D), mask (B, N) and signed distances (B, N) in bp."""
        return self.contributions(states, mask, distance_bp).sum(dim=1) + self.bias


def signal_likelihood(logit: Tensor, compressed: Tensor, slope: Tensor, offset: Tensor) -> Tensor:
    """Cross-entropy of explaining each track's openness sigmoid(u) from sequence log-odds.

    Parameters
    ----------
    logit : Tensor (B, N)
        Sequence evidence.
    compressed : Tensor (B, N, T)
        Bounded signal evidence u.
    slope, offset : Tensor (T,)
        How each track follows the sequence evidence; the slope is made positive.

    Returns
    -------
    Tensor ()
        Mean over bins and tracks, in nats.
    """
    follow = logit[..., None] * functional.softplus(slope) + offset
    return functional.binary_cross_entropy_with_logits(follow, torch.sigmoid(compressed))
