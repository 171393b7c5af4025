"""Relaxations of the mask: what is drawn from a Beta posterior, by name.

``beta``
    Draws of the posterior itself, implicit reparameterisation gradients.
``kumaraswamy``
    Draws of the Kumaraswamy density of the same mean, see :mod:`seqexp.dna.selectors.kumaraswamy`.
``hard_concrete``
    Draws that are exactly 0 or 1 with positive probability (Louizos, Welling & Kingma 2018).
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from seqexp.core.errors import ConfigError
from seqexp.dna.selectors.beta import BetaFactor
from seqexp.dna.selectors.kumaraswamy import Kumaraswamy
from seqexp.dna.selectors.masks import TEMPERATURE, BetaMask, HardConcrete, Relaxed

RELAXATIONS = ("beta", "kumaraswamy", "hard_concrete")
CUT = 0.5  # of a hard mask


@dataclass(frozen=True)
class Relaxation:
    """How a mask is made of a posterior.

    Parameters
    ----------
    kind : str
        ``beta``, ``kumaraswamy`` or ``hard_concrete``.
    temperature : float
        Of ``hard_concrete``, between 0 and 1.
    is_hard : bool
        Round the mask to 0 or 1. Nothing is gathered and the gradient is that of the mask before rounding, so the error
        of the prediction reaches the evidence of dropped bins too.
    is_sampled : bool
        Draw the mask in training; otherwise what stands for the draws is used there too.
    """

    kind: str = "beta"
    temperature: float = TEMPERATURE
    is_hard: bool = False
    is_sampled: bool = True

    def __post_init__(self) -> None:
        if self.kind not in RELAXATIONS or not 0 < self.temperature < 1:
            raise ConfigError(
                f"kind {self.kind!r}, temperature {self.temperature}",
                where="selector: relaxation",
                expected=f"one of {', '.join(RELAXATIONS)}; between 0 and 1, such as 0.67",
            )

    @property
    def has_exact_zeros(self) -> bool:
        """Whether masks at evaluation can be exactly 0."""
        return self.is_hard or self.kind == "hard_concrete"

    def of(self, posterior: BetaFactor) -> Relaxed:
        """What is drawn from a posterior."""
        if self.kind == "kumaraswamy":
            return Kumaraswamy.of(posterior)
        if self.kind == "hard_concrete":
            return HardConcrete(posterior.logit, self.temperature)
        return BetaMask(posterior)

    def mask(self, relaxed: Relaxed, is_training: bool) -> Tensor:
        """Mask (B, N): a draw in training, what stands for the draws otherwise."""
        soft = relaxed.rsample() if is_training and self.is_sampled else relaxed.point()
        return straight_through(soft) if self.is_hard else soft

    def share(self, posterior: BetaFactor) -> Tensor:
        """Share () that masks at evaluation keep of the bins of a posterior."""
        point = self.of(posterior).point()
        return (point >= CUT).float().mean() if self.is_hard else point.mean()


def straight_through(soft: Tensor) -> Tensor:
    """Exactly 1 where ``soft`` reaches :data:`CUT`, else 0; the gradient is that of ``soft``, kept or dropped."""
    return (soft >= CUT).to(soft.dtype) + (soft - soft.detach())
