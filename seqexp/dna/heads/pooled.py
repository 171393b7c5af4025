"""Expression from hidden states by attention, mean and maximum over the bins a mask leaves."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PooledHead(nn.Module):
    """Attention pooling with a say of the distance to the TSS, beside masked mean and maximum.

    Weights are not renormalised by the mask: a bin that the mask closes is gone, not shared out among the others.

    Parameters
    ----------
    width : int
        Width D of the hidden states.
    num_groups : int
        Attention patterns; each pools its share of the channels.
    hidden : int
        Width of the final layers.
    dropout : float
    num_covariates : int
        Gene-level covariates F joined to the pooled states.
    num_outputs : int
        Expression values G per gene.
    """

    def __init__(
        self,
        width: int,
        num_groups: int = 4,
        hidden: int = 128,
        dropout: float = 0.2,
        num_covariates: int = 0,
        num_outputs: int = 1,
    ) -> None:
        super().__init__()
        self.num_groups = num_groups
        self.score = nn.Linear(width, num_groups)
        self.value = nn.Linear(width, width)
        self.layers = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(3 * width + num_covariates, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, num_outputs),
        )

    def forward(self, hidden: Tensor, mask: Tensor | None, position: Tensor, covariates: Tensor) -> Tensor:
        """Predict targets.

        Parameters
        ----------
        hidden : Tensor (B, N, D)
        mask : Tensor (B, N), optional
            In [0, 1]; None leaves every bin.
        position : Tensor (B, N, num_groups)
            Attention scores from the distance to the TSS.
        covariates : Tensor (B, F)

        Returns
        -------
        Tensor (B, G)
        """
        batch, num_bins, width = hidden.shape
        kept = hidden.new_ones(batch, num_bins) if mask is None else mask.to(hidden.dtype)
        weights = torch.softmax((self.score(hidden) + position).float(), dim=1) * kept[..., None]
        values = self.value(hidden).view(batch, num_bins, self.num_groups, -1)
        attended = torch.einsum("bng,bngc->bgc", weights.to(values.dtype), values).reshape(batch, width)
        open_states = hidden * kept[..., None]
        pooled = torch.cat([attended, open_states.mean(dim=1), open_states.amax(dim=1), covariates.to(hidden.dtype)], 1)
        return self.layers(pooled)
