"""Masks that can be drawn: the Beta posterior itself, and the hard concrete; the third is in :mod:`kumaraswamy`.

Concentrations are float32 whatever the surrounding precision, and nothing here multiplies matrices, the one thing that
autocast would round.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from seqexp.dna.selectors.beta import BetaFactor, kl_divergence

STRETCH = (-0.1, 1.1)  # interval onto which a binary concrete is stretched before it is cut to [0, 1]
TEMPERATURE = 2 / 3
UNIFORM_EDGE = 1e-6


class Relaxed(Protocol):
    """A mask that can be drawn, elementwise over (B, N)."""

    def rsample(self) -> Tensor:
        """A draw in [0, 1] with gradients."""

    def point(self) -> Tensor:
        """The value in [0, 1] that stands for the draws at evaluation."""

    def divergence(self, prior: BetaFactor) -> Tensor:
        """Divergence from the prior in nats."""


@dataclass(frozen=True)
class BetaMask:
    """The posterior itself."""

    posterior: BetaFactor

    def rsample(self) -> Tensor:
        """A draw with implicit reparameterisation gradients."""
        return self.posterior.rsample()

    def point(self) -> Tensor:
        """The mean."""
        return self.posterior.mean

    def divergence(self, prior: BetaFactor) -> Tensor:
        """``KL(posterior || prior)``, closed form."""
        return kl_divergence(self.posterior, prior)


@dataclass(frozen=True)
class HardConcrete:
    """A binary concrete variable, stretched over :data:`STRETCH` and cut to [0, 1].

    Only the posterior's mean enters: how far draws scatter is the temperature's part, not the precision's.

    Attributes
    ----------
    logit : float32 Tensor (...)
        Log-odds of the posterior's mean.
    temperature : float
        Between 0 (a coin) and 1.
    """

    logit: Tensor
    temperature: float = TEMPERATURE

    def rsample(self) -> Tensor:
        """A draw in [0, 1], ends included; no gradient where it was cut."""
        uniform = torch.rand_like(self.logit).clamp(UNIFORM_EDGE, 1 - UNIFORM_EDGE)
        return self._cut(torch.sigmoid((torch.logit(uniform) + self.logit) / self.temperature))

    def point(self) -> Tensor:
        """The published value at evaluation: the mean of the log-odds, stretched and cut."""
        return self._cut(torch.sigmoid(self.logit))

    def open_probability(self) -> Tensor:
        """Probability that a draw is not exactly 0, for penalties on the number of open bins."""
        low, high = STRETCH
        return torch.sigmoid(self.logit - self.temperature * math.log(-low / high))

    def divergence(self, prior: BetaFactor) -> Tensor:
        """KL from the concrete of the prior's mean at the same temperature, both before the cut.

        ``d * coth(d / 2) - 2`` with d the difference of the log-odds: the KL of two logistic densities of one scale.
        After the cut there are atoms at 0 and 1, for which no KL to a Beta exists; cutting both sides alike can only
        lower the divergence, so this bounds it.
        """
        half = (self.logit - prior.logit).abs() / 2
        safe = half.clamp_min(0.1)
        near_zero = half.square() / 3 - half.pow(4) / 45
        return 2 * torch.where(half < 0.1, near_zero, safe / torch.tanh(safe) - 1)

    @staticmethod
    def _cut(concrete: Tensor) -> Tensor:
        low, high = STRETCH
        return (low + (high - low) * concrete).clamp(0.0, 1.0)
