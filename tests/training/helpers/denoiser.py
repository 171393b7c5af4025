"""A regressor that samples, as a user would write it: one file, named by --allow-classes.

The target plus noise of a random strength is denoised, given the inputs; a sample starts from noise and is denoised in
a few steps (DDIM of Song et al., ICLR 2021), a prediction is the mean of a few samples.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from seqexp.core.seeds import sample_seed
from seqexp.objectives.contracts import Losses
from seqexp.objectives.outputs import ModelOutput


class Denoiser(nn.Module):
    def __init__(self, num_tracks: int = 2, num_targets: int = 1, width: int = 32, num_steps: int = 8) -> None:
        super().__init__()
        self.num_targets, self.num_steps = num_targets, num_steps
        sizes = (4 + num_tracks + num_targets + 1, width, width)
        hidden = [layer for a, b in pairwise(sizes) for layer in (nn.Linear(a, b), nn.SiLU())]
        self.body = nn.Sequential(*hidden, nn.Linear(width, num_targets))

    def inputs(self, batch: Any) -> Tensor:
        """Means over the window of bases and signals (B, 4 + T)."""
        return torch.cat([batch.one_hot().mean(1), torch.nan_to_num(batch.signal_values()).mean(1)], dim=-1)

    def denoise(self, x: Tensor, noisy: Tensor, level: Tensor) -> Tensor:
        """The clean target (B, G), from one with the share ``level`` (B, 1) of noise."""
        return self.body(torch.cat([x, noisy, level], dim=-1))

    def losses(self, batch: Any) -> Losses:
        level = torch.rand(len(batch.index), 1, device=batch.target.device)
        noisy = torch.sqrt(1 - level.square()) * batch.target + level * torch.randn_like(batch.target)
        error = self.denoise(self.inputs(batch), noisy, level) - batch.target
        return Losses({"denoising": error.square().mean(-1)})

    def forward(self, batch: Any) -> ModelOutput:
        return ModelOutput(self.sample(batch, 4, 0).mean(0))

    @torch.no_grad()
    def sample(self, batch: Any, num_samples: int, seed: int) -> Tensor:
        return torch.stack([self.draw(batch, seed, number) for number in range(num_samples)])

    def draw(self, batch: Any, seed: int, number: int) -> Tensor:
        """One draw (B, G), each row from noise of its own."""
        seeds = [sample_seed(seed, row, number) for row in batch.index.tolist()]
        noise = [torch.randn(self.num_targets, generator=torch.Generator().manual_seed(one)) for one in seeds]
        now = torch.stack(noise).to(batch.target)
        levels = torch.linspace(1.0, 0.0, self.num_steps + 1).tolist()
        for level, following in pairwise(levels):
            clean = self.denoise(self.inputs(batch), now, torch.full_like(now[:, :1], level))
            residue = (now - (1 - level**2) ** 0.5 * clean) / level
            now = (1 - following**2) ** 0.5 * clean + following * residue
        return now
