"""Additive head: expression as a sum of what every selected position contributes, falling with distance.

Credit goes straight to positions: the derivative of the prediction with respect to the mask of a bin is that bin's
value, so a mask learns from the prediction loss without a detour.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from seqexp.core.errors import ConfigError


class AdditiveHead(nn.Module):
    """``bias + covariates . c + sum_n mask_n * value(hidden_n) * fall(distance_n)`` for each target.

    Parameters
    ----------
    width : int
        Channels D of the tokens.
    num_targets : int
        Targets G.
    num_covariates : int
        Gene-level covariates F.
    decay_bp : float
        Distance at which contributions start out fallen to 1/e; learned.
    value_scale : float
        Initial size of a contribution.
    dropout : float
        Of the hidden states.
    """

    def __init__(
        self,
        width: int,
        num_targets: int = 1,
        num_covariates: int = 0,
        decay_bp: float = 5_000.0,
        *,
        value_scale: float = 0.5,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if decay_bp <= 0:
            raise ConfigError(f"decay_bp {decay_bp}", expected="a distance above 0")
        self.num_covariates = num_covariates
        self.dropout = nn.Dropout(dropout)
        self.value = nn.Linear(width, num_targets)
        nn.init.zeros_(self.value.weight)  # hundreds of positions add up: anything else starts far from the target
        nn.init.zeros_(self.value.bias)
        self.value_scale = value_scale
        self.log_decay = nn.Parameter(torch.tensor(math.log(decay_bp)))
        self.bias = nn.Parameter(torch.zeros(num_targets))
        self.covariates = nn.Linear(num_covariates, num_targets, bias=False) if num_covariates else None

    def contributions(self, hidden: Tensor, mask: Tensor | None, distance_bp: Tensor) -> Tensor:
        """What each position adds (B, N, G)."""
        value = self.value_scale * self.value(self.dropout(hidden))
        fall = torch.exp(-distance_bp.float().abs() * torch.exp(-self.log_decay))
        weight = fall if mask is None else fall * mask
        return value * weight.unsqueeze(-1).to(value.dtype)

    def forward(
        self,
        hidden: Tensor,
        mask: Tensor | None = None,
        distance_bp: Tensor | None = None,
        covariates: Tensor | None = None,
    ) -> Tensor:
        """Predict (B, G) from tokens (B, N, D), mask (B, N), signed distances (B, N) and covariates (B, F)."""
        distance = hidden.new_zeros(hidden.shape[:2]) if distance_bp is None else distance_bp
        total = self.contributions(hidden, mask, distance).sum(dim=1) + self.bias
        found = 0 if covariates is None else covariates.shape[-1]
        if found != self.num_covariates:
            raise ConfigError(
                f"{found} covariates in the data, the head reads {self.num_covariates}",
                where="model: head: num_covariates",
                expected=f"num_covariates: {found}",
            )
        if self.covariates is not None and covariates is not None:
            total = total + self.covariates(covariates.to(total.dtype))
        return total
