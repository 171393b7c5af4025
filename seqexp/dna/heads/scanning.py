"""A readout that reads from the TSS into the gene until it meets a learned stop."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

_OPEN_BIAS = -5.0  # initial stop rate softplus(-5) = 0.007 per token: reads on for some 150 tokens


class ScanningReadout(nn.Module):
    """Average what lies between the TSS and a learned stop, and measure how far that is.

    Each scan keeps position n with ``exp(-sum of the stop rates between the TSS and n)``, as a polymerase or a
    ribosome that falls off at rate ``softplus(stop_n)`` would. The mask weighs both what is read and what can stop,
    so a position with mask 0 does neither.

    Parameters
    ----------
    width : int
        Channels D of the tokens.
    num_scans : int
        Independent scans R, each with its own stops.
    value_width : int
        Channels V that each scan averages.
    """

    def __init__(self, width: int, num_scans: int, value_width: int) -> None:
        super().__init__()
        self.num_scans, self.value_width = num_scans, value_width
        self.num_features = num_scans * (value_width + 1)
        self.stop = nn.Linear(width, num_scans)
        nn.init.constant_(self.stop.bias, _OPEN_BIAS)
        self.value = nn.Linear(width, num_scans * value_width)

    def kept(self, hidden: Tensor, mask: Tensor | None, distance_bp: Tensor) -> Tensor:
        """Chance (B, N, R) that each scan reads each position; 0 upstream of the TSS."""
        is_downstream = (distance_bp >= 0).unsqueeze(-1)
        reach = is_downstream.float() if mask is None else is_downstream * mask.unsqueeze(-1).float()
        rates = functional.softplus(self.stop(hidden).float()) * reach
        before = rates.cumsum(1) - rates
        return torch.exp(-before) * reach

    def forward(self, hidden: Tensor, mask: Tensor | None, distance_bp: Tensor) -> Tensor:
        """Read.

        Parameters
        ----------
        hidden : Tensor, (B, N, D)
        mask : Tensor, (B, N) or None
        distance_bp : Tensor, (B, N)
            Signed distance to the TSS in gene orientation.

        Returns
        -------
        Tensor, (B, R * (V + 1))
            Averages, and log(1 + tokens read) / 5.
        """
        kept = self.kept(hidden, mask, distance_bp)
        num_read = kept.sum(1)
        values = rearrange(self.value(hidden), "b n (r v) -> b n r v", r=self.num_scans)
        totals = torch.einsum("bnr,bnrv->brv", kept, values.float())
        averages = totals / (1.0 + num_read).unsqueeze(-1)
        return torch.cat([averages.flatten(1), torch.log1p(num_read) / 5.0], dim=-1).to(hidden.dtype)
