"""The scale of the target, between what a head says and what is predicted."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqexp.dna.loaders.statistics import DataStatistics

LEAST_STD = 1e-6  # of a target that is constant


class TargetScale(nn.Module):
    """Mean and standard deviation of the target over the training split: heads speak in units of them."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("std", torch.ones(()))

    def calibrate(self, statistics: DataStatistics) -> None:
        """Take the figures of the training split, of one target () or of several (G,)."""
        self.mean = torch.as_tensor(statistics.target_mean, dtype=torch.float32).to(self.mean)
        self.std = torch.as_tensor(statistics.target_std, dtype=torch.float32).clamp_min(LEAST_STD).to(self.std)

    def forward(self, raw: Tensor) -> Tensor:
        """Answers of a head (B, G) on the scale of the target."""
        return self.mean + self.std * raw
