"""Beta factors: evidence about a mask value in (0, 1), and the rules that combine it.

Everything is computed in float32 whatever the surrounding precision, because digamma and lgamma lose their digits in
half precision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Beta

from seqexp.core.errors import ConfigError

SAMPLE_EDGE = 1e-4
MEAN_EDGE = 1e-5


@dataclass(frozen=True)
class BetaFactor:
    """Beta densities ``m**(alpha - 1) * (1 - m)**(beta - 1)``, one per element of two tensors of equal shape.

    Attributes
    ----------
    alpha, beta : float32 Tensor (...)
        Concentrations, positive for a proper density.
    """

    alpha: Tensor
    beta: Tensor

    def __post_init__(self) -> None:
        object.__setattr__(self, "alpha", self.alpha.float())
        object.__setattr__(self, "beta", self.beta.float())

    @classmethod
    def from_mean(cls, mean: Tensor, precision: Tensor) -> BetaFactor:
        """The factor of a mean in (0, 1) and a precision ``alpha + beta``."""
        mean = mean.float().clamp(MEAN_EDGE, 1 - MEAN_EDGE)
        return cls(mean * precision, (1 - mean) * precision)

    @classmethod
    def from_logit(cls, logit: Tensor, precision: Tensor) -> BetaFactor:
        """The factor whose mean has the log-odds ``logit``."""
        return cls.from_mean(torch.sigmoid(logit.float()), precision)

    @property
    def mean(self) -> Tensor:
        """Expected mask value."""
        return self.alpha / (self.alpha + self.beta)

    @property
    def precision(self) -> Tensor:
        """``alpha + beta``: how many observations the evidence is worth."""
        return self.alpha + self.beta

    @property
    def variance(self) -> Tensor:
        """Variance of the mask value."""
        return self.mean * (1 - self.mean) / (self.precision + 1)

    @property
    def logit(self) -> Tensor:
        """Log-odds of the mean."""
        return torch.log(self.alpha) - torch.log(self.beta)

    def natural(self) -> tuple[Tensor, Tensor]:
        """Natural parameters ``(alpha - 1, beta - 1)``, which add under :func:`product`."""
        return self.alpha - 1, self.beta - 1

    def rsample(self) -> Tensor:
        """A draw with implicit reparameterisation gradients, kept off the edges where they explode."""
        with torch.autocast(self.alpha.device.type, enabled=False):
            draw = Beta(self.alpha, self.beta, validate_args=False).rsample()
        return draw.clamp(SAMPLE_EDGE, 1 - SAMPLE_EDGE)

    def is_proper(self) -> bool:
        """Whether every concentration is positive and finite."""
        return bool(((self.alpha > 0) & (self.beta > 0) & self.alpha.isfinite() & self.beta.isfinite()).all())


@dataclass(frozen=True)
class Prior:
    """What is thought of a bin before any evidence.

    Parameters
    ----------
    mean : float
        Share of bins expected to be elements.
    precision : float
        Weight of the prior, in observations.
    """

    mean: float = 0.1
    precision: float = 10.0

    def __post_init__(self) -> None:
        if not 0 < self.mean < 1 or self.precision <= 0:
            raise ConfigError(
                f"mean {self.mean}, precision {self.precision}",
                where="selector: prior",
                expected="a share of bins between 0 and 1, and a positive precision",
            )

    def factor(self, like: Tensor) -> BetaFactor:
        """The Beta of every bin."""
        mean = torch.full_like(like, self.mean, dtype=torch.float32)
        return BetaFactor.from_mean(mean, torch.full_like(mean, self.precision))


def product(*factors: BetaFactor) -> BetaFactor:
    """Normalised product of densities: natural parameters add; Beta(1, 1) changes nothing.

    ``alpha = sum(alpha_i) - (k - 1)``, and beta likewise.
    """
    return bayes(factors, BetaFactor(torch.ones(()), torch.ones(())))


def log_pool(factors: Sequence[BetaFactor], weights: Tensor) -> BetaFactor:
    """Log-linear pool ``prod(density_i ** w_i)`` with weights (k,) that sum to 1: concentrations average."""
    alpha = sum(w * f.alpha for w, f in zip(weights, factors))
    beta = sum(w * f.beta for w, f in zip(weights, factors))
    return BetaFactor(torch.as_tensor(alpha), torch.as_tensor(beta))


def bayes(factors: Sequence[BetaFactor], prior: BetaFactor) -> BetaFactor:
    """Posteriors of conditionally independent observations with one prior: product, prior divided out (k - 1) times.

    Not proper where the evidence is weaker than the prior; :meth:`BetaFactor.is_proper` tells.
    """
    surplus = len(factors) - 1
    alpha = sum(f.alpha for f in factors) - surplus * prior.alpha
    return BetaFactor(torch.as_tensor(alpha), torch.as_tensor(sum(f.beta for f in factors) - surplus * prior.beta))


def odds(factors: Sequence[BetaFactor], prior: BetaFactor) -> BetaFactor:
    """Bayes' rule for "is this an element?", a yes or no: log-odds of the means add, precisions add.

    ``logit(mean) = sum(logit(mean_i)) - (k - 1) * logit(prior mean)``. Proper for all proper inputs.
    """
    surplus = len(factors) - 1
    logit = torch.as_tensor(sum(f.logit for f in factors)) - surplus * prior.logit
    return BetaFactor.from_logit(logit, torch.as_tensor(sum(f.precision for f in factors)))


def combine(factors: Sequence[BetaFactor], prior: BetaFactor, rule: str) -> BetaFactor:
    """Combine factors by name: ``odds``, ``product``, ``bayes`` or ``log_pool`` (equal weights)."""
    if rule == "odds":
        return odds(factors, prior)
    if rule == "product":
        return product(*factors)
    if rule == "bayes":
        return bayes(factors, prior)
    if rule == "log_pool":
        return log_pool(factors, torch.full((len(factors),), 1 / len(factors)))
    raise ConfigError(f"no rule {rule!r}", where="rule", expected="odds, product, bayes or log_pool")


def kl_divergence(posterior: BetaFactor, prior: BetaFactor) -> Tensor:
    """``KL(posterior || prior)`` in nats, elementwise, closed form.

    ``ln B(a0, b0) - ln B(a, b) + (a - a0) psi(a) + (b - b0) psi(b) + (a0 - a + b0 - b) psi(a + b)``
    """
    a, b, a0, b0 = posterior.alpha, posterior.beta, prior.alpha, prior.beta
    log_ratio = log_beta(a0, b0) - log_beta(a, b)
    linear = (a - a0) * torch.digamma(a) + (b - b0) * torch.digamma(b)
    return log_ratio + linear + (a0 - a + b0 - b) * torch.digamma(a + b)


def log_beta(alpha: Tensor, beta: Tensor) -> Tensor:
    """Logarithm of the Beta function, elementwise."""
    return torch.lgamma(alpha) + torch.lgamma(beta) - torch.lgamma(alpha + beta)
