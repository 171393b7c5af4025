"""What a selector returns, and which positions are not its choice."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True)
class Selection:
    """A mask over bins and the evidence behind it.

    Attributes
    ----------
    mask : float32 Tensor (B, N)
        What passes, in [0, 1]: a draw in training, what stands for the draws otherwise (the posterior mean, unless the
        relaxation has another value; 0 or 1 of a hard mask); forced bins 1, blacklisted bins 0.
    kl : float32 Tensor (B, N)
        Divergence from the prior in nats; 0 where the mask is not the selector's choice.
    alpha, beta : float32 Tensor (B, N)
        Posterior concentrations.
    forced : bool Tensor (B, N)
        Bins that are kept or dropped whatever the evidence says.
    sequence_logit, signal_logit : float32 Tensor (B, N)
        Log-odds of these two kinds of evidence.
    place_logit : float32 Tensor (B, N)
        Log-odds of contacts and distance; 0 where they are not evidence, () of a selector without that kind.
    """

    mask: Tensor
    kl: Tensor
    alpha: Tensor
    beta: Tensor
    forced: Tensor
    sequence_logit: Tensor
    signal_logit: Tensor
    place_logit: Tensor = field(default_factory=lambda: torch.zeros(()))

    @property
    def mean(self) -> Tensor:
        """Posterior mean (B, N), without forcing."""
        return self.alpha / (self.alpha + self.beta)

    def contiguity(self) -> Tensor:
        """Mean () of ``|mean_n - mean_(n-1)|`` over neighbours of which neither is forced: 0 of a constant mask."""
        is_pair = (~(self.forced[:, 1:] | self.forced[:, :-1])).float()
        step = self.mean.diff(dim=1).abs()
        return (step * is_pair).sum() / is_pair.sum().clamp_min(1)

    def kept_bins(self) -> Tensor:
        """Free bins kept per window (), on average over the batch."""
        return self.mask.masked_fill(self.forced, 0.0).sum() / self.mask.shape[0]


def near_tss(distance_bp: Tensor, promoter_bp: int) -> Tensor:
    """Bins (B, N) whose centre lies in the ``promoter_bp`` around the TSS: of single bases, exactly that many."""
    return (distance_bp >= -promoter_bp / 2) & (distance_bp < promoter_bp / 2)


def apply_forced(mask: Tensor, kept: Tensor, dropped: Tensor) -> tuple[Tensor, Tensor]:
    """Mask with blacklisted bins at 0, then kept bins at 1, in this order; and which bins were forced."""
    mask = torch.where(dropped, torch.zeros_like(mask), mask)
    return torch.where(kept, torch.ones_like(mask), mask), dropped | kept
