"""A small network over SequenceBatch, importable by name from a config."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from seqexp.objectives.contracts import Losses
from seqexp.objectives.losses import make_loss, regression
from seqexp.objectives.outputs import ModelOutput


class TinyDnaNet(nn.Module):
    def __init__(self, num_tracks: int = 2) -> None:
        super().__init__()
        self.bases = nn.Conv1d(4, 6, 9, padding=4)
        self.signal = nn.Linear(num_tracks, 6)
        self.drop = nn.Dropout(0.1)
        self.out = nn.Linear(12, 1)
        self.register_buffer("top", torch.ones(0))

    def calibrate(self, statistics: Any) -> None:
        quantiles = torch.as_tensor(statistics.signal_quantiles, dtype=torch.float32)
        self.top = quantiles[:, -1].clamp_min(1e-3)

    def forward(self, batch: Any) -> ModelOutput:
        bases = torch.relu(self.bases(batch.one_hot().transpose(1, 2))).mean(dim=-1)
        signal = torch.relu(self.signal(batch.signal_values() / self.top)).mean(dim=1)
        return ModelOutput(self.out(self.drop(torch.cat([bases, signal], dim=-1))))

    def losses(self, batch: Any) -> Losses:
        return regression(self(batch), batch, make_loss("mse"))
