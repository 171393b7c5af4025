"""Kumaraswamy draws of a Beta posterior: the inverse of the distribution function is closed, so gradients are plain.

A Kumaraswamy variable is ``m = y ** (1 / a)`` with y of Beta(1, b); its density is
``a * b * m**(a - 1) * (1 - m**a)**(b - 1)`` (Kumaraswamy 1980; as a stand-in for Beta: Nalisnick & Smyth 2017). Here a
and b follow from the Beta's concentrations so that the mean is the Beta's and the spread of log m nearly is. Every
Beta(alpha, 1) and Beta(1, beta) is met: they belong to both families.

Float32 throughout. b may be as large as exp(400) and as small as exp(-20), so it is kept as its logarithm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from seqexp.dna.selectors.beta import SAMPLE_EDGE, BetaFactor, log_beta

EULER = 0.5772156649015329
NUM_TERMS = 8  # of the sums written out; the rest by the Euler-Maclaurin formula, to 1e-6 of the whole
NEWTON_STEPS = 6
LARGE = 30.0  # log b beyond which b is as good as infinite, apart from its logarithm
NODES = (-14.0, 3.5, 24)  # in log E, E exponential with mean 1: first, last, number


@dataclass(frozen=True)
class Kumaraswamy:
    """Kumaraswamy densities, elementwise.

    Attributes
    ----------
    a : float32 Tensor (...)
        Power, positive.
    log_b : float32 Tensor (...)
        Logarithm of the second concentration.
    """

    a: Tensor
    log_b: Tensor

    @classmethod
    def of(cls, posterior: BetaFactor) -> Kumaraswamy:
        """The density of the posterior's mean, and nearly of its spread of log m.

        ``a = sqrt(v(1, beta) / v(alpha, beta))``, where ``v`` approximates the variance of log m under a Beta; b solves
        ``b * B(1 + 1/a, b) = alpha / (alpha + beta)``. Gradients are those of the exact solution.
        """
        alpha, beta = posterior.alpha, posterior.beta
        a = torch.sqrt(_log_variance(torch.ones_like(alpha), beta) / _log_variance(alpha, beta))
        wanted = torch.log(torch.log1p(beta / alpha))  # log(-log(mean))
        with torch.no_grad():
            # -log(mean) is concave in log b on log scales and at most this line, so Newton's steps rise to the root.
            log_b = wanted - torch.log(_slope(1 / a, torch.full_like(a, -math.inf)))
            for _ in range(NEWTON_STEPS):
                log_b = log_b - _newton(1 / a, log_b, wanted)
        return cls(a, log_b - _newton(1 / a, log_b, wanted))

    def point(self) -> Tensor:
        """The mean ``b * B(1 + 1/a, b)``."""
        return torch.exp(-_minus_log_mean(1 / self.a, self.log_b))

    def rsample(self) -> Tensor:
        """A draw by the inverse distribution function, kept off the edges as a Beta's is."""
        waiting = -torch.log1p(-torch.rand_like(self.a))
        return self.at(torch.log(waiting.clamp_min(1e-20))).clamp(SAMPLE_EDGE, 1 - SAMPLE_EDGE)

    def at(self, log_waiting: Tensor) -> Tensor:
        """The value whose probability of being exceeded is ``exp(-exp(log_waiting))``."""
        return torch.exp(_log_one_minus_exp(log_waiting - self.log_b) / self.a)

    def divergence(self, prior: BetaFactor) -> Tensor:
        """``KL(this || prior)`` in nats, elementwise, of a Beta prior.

        All terms are closed but ``E[log(1 - m)]``. The series of Nalisnick & Smyth (2017) for it needs ever more terms
        as b falls, so it is a trapezoid rule over :data:`NODES` instead: within 1e-3 (absolute or relative) of
        numerical integration for alpha and beta from 0.05 to 300.
        """
        s, inverse_b = 1 / self.a, torch.exp(-self.log_b)
        harmonic = _digamma_of_one_plus(self.log_b) + EULER  # of b: E[log m] = -harmonic / a
        entropy_part = torch.log(self.a) + self.log_b - (1 - s) * harmonic - 1 + inverse_b
        log_kept = -s * harmonic
        crossed = (prior.alpha - 1) * log_kept + (prior.beta - 1) * self._mean_log_complement()
        return entropy_part - crossed + log_beta(prior.alpha, prior.beta)

    def _mean_log_complement(self) -> Tensor:
        """``E[log(1 - m)]``: the integral over t of ``exp(t - exp(t)) * log(1 - m(t))``, m(t) by :meth:`at`."""
        first, last, number = NODES
        nodes = torch.linspace(first, last, number, device=self.a.device)
        weights = torch.exp(nodes - torch.exp(nodes))
        total = torch.zeros_like(self.a)
        for node, weight in zip(nodes, weights / weights.sum(), strict=True):
            log_z = _log_minus_log(node - self.log_b) - torch.log(self.a)  # log(-log m)
            total = total + weight * _log_one_minus_exp(log_z)
        return total


def _log_variance(alpha: Tensor, beta: Tensor) -> Tensor:
    """Variance of log m under Beta(alpha, beta), as a rational function within a third of the trigamma difference."""
    of_first = beta * (2 * alpha + beta) / (alpha * (alpha + beta)).square()
    return of_first + beta / ((alpha + 0.5) * (alpha + 0.5 + beta))


def _minus_log_mean(s: Tensor, log_b: Tensor) -> Tensor:
    """``-log(b * B(1 + s, b)) = sum over k > 0 of log(1 + s b / (k (k + s + b)))``: no term cancels another."""
    b = torch.exp(log_b.clamp(max=LARGE))
    both = s + b
    total = sum(torch.log1p(s / k * (b / (k + both))) for k in range(1, NUM_TERMS + 1))
    x = NUM_TERMS + 1.0
    shared = torch.log1p(s / x * (b / (x + both)))
    log_ratio = functional.softplus(log_b - torch.log(x + s))  # log(1 + b / (x + s)), for every size of b
    tail = s * log_ratio + b * torch.log1p(s / (x + b)) - (x - 0.5) * shared
    correction = s / (x * (x + s)) * (b / (x + b)) * ((2 * x + both) / (x + both)) / 12
    return torch.as_tensor(total) + tail + correction


def _slope(s: Tensor, log_b: Tensor) -> Tensor:
    """Derivative of :func:`_minus_log_mean` by b: ``digamma(1 + s + b) - digamma(1 + b)``."""
    b = torch.exp(log_b.clamp(max=LARGE))
    total = sum(s / ((k + b) * (k + b + s)) for k in range(1, NUM_TERMS + 1))
    x = NUM_TERMS + 1.0 + b
    near, far = 1 / x, 1 / (x + s)
    return torch.as_tensor(total) + torch.log1p(s / x) + (near - far) / 2 + (near - far) * (near + far) / 12


def _newton(s: Tensor, log_b: Tensor, wanted: Tensor) -> Tensor:
    """Newton's step in log b towards ``log(-log(mean)) = wanted``; its gradient is that of the implicit function."""
    found = _minus_log_mean(s, log_b)
    with torch.no_grad():
        rate = torch.exp(log_b.clamp(max=LARGE)) * _slope(s, log_b) / found
    return (torch.log(found) - wanted) / rate


def _log_one_minus_exp(log_w: Tensor) -> Tensor:
    """``log(1 - exp(-w))`` from log w, without loss of digits at either end."""
    w = torch.exp(log_w.clamp(-10.0, 25.0))
    small = log_w.clamp(max=0.0) - w.clamp(max=1.0) / 2
    middle = torch.log(-torch.expm1(-w.clamp(max=1.0)))
    large = torch.log1p(-torch.exp(-w.clamp_min(0.5)))
    return torch.where(log_w < -9.0, small, torch.where(w < 0.7, middle, large))


def _log_minus_log(log_w: Tensor) -> Tensor:
    """``log(-log(1 - exp(-w)))`` from log w; minus w where that is large."""
    w = torch.exp(log_w.clamp(max=25.0))
    inner = _log_one_minus_exp(log_w.clamp(max=2.0))
    return torch.where(w > 7.0, -w, torch.log(-inner))


def _digamma_of_one_plus(log_b: Tensor) -> Tensor:
    """``digamma(1 + b)`` from log b."""
    return torch.where(log_b > 10.0, log_b + torch.exp(-log_b) / 2, torch.digamma(1 + torch.exp(log_b.clamp(max=10.0))))
