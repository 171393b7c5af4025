"""A system as a user would write it, in a file of its own: a denoising regressor of expression, which samples.

(features of the window, noisy target, log noise) -> perceptron -> target          trained at random noise levels
forward: the target at the highest noise, which says nothing; sample: from noise down the levels, one by one
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqexp.core.seeds import sample_seed
from seqexp.dna.loaders.batch import SequenceBatch
from seqexp.objectives.contracts import Losses
from seqexp.objectives.outputs import ModelOutput

LEVELS = (4.0, 2.0, 1.0, 0.5, 0.25, 0.1)


class Denoiser(nn.Module):
    """Predicts the target from what noise has left of it, and from bases and signals of the window."""

    def __init__(self, num_tracks: int, num_targets: int = 1, width: int = 32) -> None:
        super().__init__()
        self.num_targets = num_targets
        sizes = (4 + num_tracks + num_targets + 1, width, num_targets)
        self.net = nn.Sequential(nn.Linear(*sizes[:2]), nn.SiLU(), nn.Linear(*sizes[1:]))

    def features(self, batch: SequenceBatch) -> Tensor:
        """Share of each base, mean signal of each track (B, 4 + T)."""
        bases = torch.stack([(batch.codes == code).float().mean(1) for code in range(4)], dim=1)
        return torch.cat([bases, torch.log1p(batch.signal_values().mean(1))], dim=1)

    def denoise(self, features: Tensor, noisy: Tensor, level: Tensor) -> Tensor:
        """The target (B, G) by what is left of it at noise of standard deviation ``level`` (B, 1)."""
        scaled = noisy / (1 + level.square()).sqrt()
        return self.net(torch.cat([features, scaled, level.log()], dim=1))

    def losses(self, batch: SequenceBatch) -> Losses:
        """Squared error at one random noise level per row."""
        level = torch.tensor(LEVELS, device=batch.target.device)[torch.randint(len(LEVELS), (len(batch.index), 1))]
        noisy = batch.target + level * torch.randn_like(batch.target)
        error = (self.denoise(self.features(batch), noisy, level) - batch.target).square().mean(1)
        return Losses({"denoising": error})

    def forward(self, batch: SequenceBatch) -> ModelOutput:
        """Prediction (B, G) without any hint of the target."""
        nothing = batch.target.new_zeros(len(batch.index), self.num_targets)
        return ModelOutput(self.denoise(self.features(batch), nothing, torch.full_like(nothing[:, :1], LEVELS[0])))

    def sample(self, batch: SequenceBatch, num_samples: int, seed: int) -> Tensor:
        """Draws (S, B, G); each follows from (seed, row, draw)."""
        features, drawn = self.features(batch), []
        for draw in range(num_samples):
            seeds = [sample_seed(seed, draw, row) for row in batch.index.tolist()]
            noise = [torch.randn(self.num_targets, generator=torch.Generator().manual_seed(s)) for s in seeds]
            values = LEVELS[0] * torch.stack(noise).to(features)
            for level, lower in zip(LEVELS, (*LEVELS[1:], 0.0)):
                clean = self.denoise(features, values, torch.full_like(values[:, :1], level))
                values = clean + lower / level * (values - clean)
            drawn.append(values)
        return torch.stack(drawn)
