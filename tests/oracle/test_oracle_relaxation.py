"""Kumaraswamy and hard concrete masks against scipy, numerical integration and finite differences in float64."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import integrate, optimize, special, stats
from torch import Tensor

from seqexp.dna.selectors.beta import SAMPLE_EDGE, BetaFactor
from seqexp.dna.selectors.kumaraswamy import Kumaraswamy
from seqexp.dna.selectors.masks import TEMPERATURE, HardConcrete
from seqexp.dna.selectors.relaxation import RELAXATIONS, Relaxation

PAIRS = [(0.5, 0.7), (1.0, 1.0), (2.0, 5.0), (2.0, 18.0), (10.0, 90.0), (36.7, 20.5), (300.0, 4.0)]
WIDE = [*PAIRS, (0.05, 0.3), (0.05, 300.0), (300.0, 300.0), (4.0, 0.05)]
FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "mean": lambda m: m,
    "square": torch.square,
    "root": torch.sqrt,
    "wave": lambda m: torch.sin(6 * m),
}


def factor(alpha: float, beta: float, number: int = 1) -> BetaFactor:
    return BetaFactor(torch.full((number,), alpha), torch.full((number,), beta))


def kumaraswamy_of(alpha: float, beta: float) -> tuple[float, float]:
    """Concentrations (a, log b) in float64: spread by the stated formula, mean by a root finder of scipy."""

    def log_variance(first: float, second: float) -> float:
        of_first = second * (2 * first + second) / (first * (first + second)) ** 2
        return of_first + second / ((first + 0.5) * (first + 0.5 + second))

    a = np.sqrt(log_variance(1.0, beta) / log_variance(alpha, beta))
    wanted = np.log(alpha / (alpha + beta))

    def excess(log_b: float) -> float:
        return log_b + special.betaln(1 + 1 / a, np.exp(log_b)) - wanted

    return a, optimize.brentq(excess, -20, 30, xtol=1e-13)


def kumaraswamy_quantile(a: float, log_b: float, level: float) -> float:
    """Value below which a share ``level`` of the draws falls."""
    return float((-np.expm1(np.log1p(-level) / np.exp(log_b))) ** (1 / a))


@pytest.mark.parametrize(("alpha", "beta"), PAIRS)
def test_kumaraswamy_has_the_posteriors_mean_and_nearly_its_spread(alpha: float, beta: float) -> None:
    made, exact = Kumaraswamy.of(factor(alpha, beta)), stats.beta(alpha, beta)
    a, log_b = float(made.a), float(made.log_b)
    assert (a, log_b) == pytest.approx(kumaraswamy_of(alpha, beta), rel=2e-4, abs=2e-4)
    own_mean = np.exp(log_b + special.betaln(1 + 1 / a, np.exp(log_b)))
    assert float(made.point()) == pytest.approx(own_mean, rel=1e-4)
    assert float(made.point()) == pytest.approx(exact.mean(), rel=1e-5)
    second = np.exp(log_b + special.betaln(1 + 2 / a, np.exp(log_b)))
    assert np.sqrt(second - own_mean**2) == pytest.approx(exact.std(), rel=0.12)


@pytest.mark.parametrize("value", [0.3, 1.0, 4.0, 50.0])
def test_kumaraswamy_meets_the_betas_that_belong_to_both_families(value: float) -> None:
    power = Kumaraswamy.of(factor(value, 1.0))
    assert float(power.log_b) == pytest.approx(0.0, abs=0.07)  # the spread's formula is approximate
    assert float(power.a) == pytest.approx(value, rel=0.07)
    lengths = Kumaraswamy.of(factor(1.0, value))
    assert float(lengths.a) == pytest.approx(1.0, abs=1e-5)
    assert float(torch.exp(lengths.log_b)) == pytest.approx(value, rel=1e-4)


@pytest.mark.parametrize(("alpha", "beta"), PAIRS)
def test_kumaraswamy_draws_follow_its_distribution_function(alpha: float, beta: float) -> None:
    torch.manual_seed(0)
    draws = Kumaraswamy.of(factor(alpha, beta, 5000)).rsample().numpy().astype(np.float64)
    a, log_b = kumaraswamy_of(alpha, beta)
    inside = draws[(draws > SAMPLE_EDGE) & (draws < 1 - SAMPLE_EDGE)]

    def below(x: np.ndarray | float) -> np.ndarray:
        return -np.expm1(np.exp(log_b) * np.log1p(-(np.asarray(x) ** a)))

    low, high = below(SAMPLE_EDGE), below(1 - SAMPLE_EDGE)
    assert len(inside) / len(draws) == pytest.approx(high - low, abs=0.01)
    assert stats.kstest(inside, lambda x: (below(x) - low) / (high - low)).pvalue > 1e-3


@pytest.mark.parametrize("prior", [(1.0, 9.0), (2.0, 2.0), (0.5, 4.0)])
@pytest.mark.parametrize("posterior", WIDE)
def test_kl_of_kumaraswamy_to_a_beta_is_that_of_numerical_integration(
    posterior: tuple[float, float], prior: tuple[float, float]
) -> None:
    made = Kumaraswamy.of(factor(*posterior))
    a, log_b = float(made.a), float(made.log_b)

    def integrand(t: float) -> float:  # over t = log of the waiting time, where neither spikes nor poles matter
        w = np.exp(t - log_b)
        log_y = np.log(-np.expm1(-w)) if w < 0.7 else np.log1p(-np.exp(-w))
        log_m = log_y / a
        log_rest = np.log(-np.expm1(log_m)) if log_m < 0 else -w - np.log(a)
        own = np.log(a) + log_b + (a - 1) * log_m - b_minus_one * w
        wanted = (prior[0] - 1) * log_m + (prior[1] - 1) * log_rest - special.betaln(*prior)
        return float(np.exp(t - np.exp(t)) * (own - wanted))

    b_minus_one = np.exp(log_b) - 1
    integral = sum(integrate.quad(integrand, left, left + 2, limit=200)[0] for left in np.arange(-30.0, 4.0, 2.0))
    found = float(made.divergence(factor(*prior)))
    assert found == pytest.approx(integral, rel=1e-3, abs=1e-3)
    assert found > -1e-3


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(("alpha", "beta"), [(0.8, 1.5), (2.0, 5.0), (10.0, 90.0)])
@pytest.mark.parametrize("relaxation", ["kumaraswamy", "hard_concrete"])
def test_gradients_of_draws_are_finite_differences_of_the_exact_expectation(
    relaxation: str, alpha: float, beta: float, name: str
) -> None:
    torch.manual_seed(0)
    function = FUNCTIONS[name]
    concentrations = [torch.full((100_000,), value, requires_grad=True) for value in (alpha, beta)]
    draws = Relaxation(relaxation).of(BetaFactor(*concentrations)).rsample()
    if name == "root":  # whose slope at an exact zero is infinite, and no part of any expectation
        draws = draws[draws > 0]
    function(draws).sum().backward()

    def expected(first: float, second: float) -> float:
        if relaxation == "kumaraswamy":
            a, log_b = kumaraswamy_of(first, second)
            return _integral(lambda u: kumaraswamy_quantile(a, log_b, u), function, [])
        logit = np.log(first / second)
        edges = [special.expit(TEMPERATURE * special.logit(x) - logit) for x in (0.1 / 1.2, 1.1 / 1.2)]
        return _integral(lambda u: hard_concrete_quantile(logit, u), function, edges)

    step = 1e-3
    differences = (
        (expected(alpha + step, beta) - expected(alpha - step, beta)) / (2 * step),
        (expected(alpha, beta + step) - expected(alpha, beta - step)) / (2 * step),
    )
    for tensor, difference in zip(concentrations, differences, strict=True):
        each = tensor.grad
        assert each is not None
        error = float(each.std()) / np.sqrt(len(each))
        assert float(each.mean()) == pytest.approx(difference, abs=4 * error + 2e-3 * abs(difference) + 1e-6)


def hard_concrete_quantile(logit: float, level: float) -> float:
    concrete = special.expit((special.logit(level) + logit) / TEMPERATURE)
    return float(np.clip(1.2 * concrete - 0.1, 0, 1))


def _integral(quantile: Callable[[float], float], function: Callable[[Tensor], Tensor], edges: list[float]) -> float:
    def value(level: float) -> float:
        return float(function(torch.tensor(quantile(level), dtype=torch.float64)))

    cuts = [1e-12, *edges, 1 - 1e-12]
    parts = [integrate.quad(value, low, high, limit=400, epsabs=1e-11)[0] for low, high in pairwise(cuts)]
    return float(sum(parts))


@pytest.mark.parametrize(("alpha", "beta"), PAIRS)
def test_hard_concrete_is_open_shut_and_between_as_often_as_its_formula_says(alpha: float, beta: float) -> None:
    torch.manual_seed(0)
    made = HardConcrete(factor(alpha, beta, 200_000).logit)
    draws = made.rsample()
    logit = np.log(alpha / beta)
    is_open = special.expit(logit - TEMPERATURE * np.log(0.1 / 1.1))
    assert float(made.open_probability()[0]) == pytest.approx(is_open, rel=1e-5)
    assert float((draws > 0).float().mean()) == pytest.approx(is_open, abs=5e-3)
    is_full = special.expit(logit - TEMPERATURE * np.log(1.1 / 0.1))
    assert float((draws == 1).float().mean()) == pytest.approx(is_full, abs=5e-3)
    mean = alpha / (alpha + beta)
    assert float(made.point()[0]) == pytest.approx(np.clip(1.2 * mean - 0.1, 0, 1), abs=1e-5)


@pytest.mark.parametrize("difference", [0.0, 0.05, 0.3, 2.0, 9.0, -4.0])
def test_divergence_of_concretes_is_that_of_numerical_integration(difference: float) -> None:
    prior = factor(1.0, 9.0)
    made = HardConcrete(prior.logit + difference)
    p, q = stats.logistic(difference / TEMPERATURE, 1 / TEMPERATURE), stats.logistic(0, 1 / TEMPERATURE)
    integral, _ = integrate.quad(lambda x: p.pdf(x) * (p.logpdf(x) - q.logpdf(x)), -90, 90, limit=400)
    assert float(made.divergence(prior)) == pytest.approx(integral, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("relaxation", RELAXATIONS)
def test_nothing_breaks_over_concentrations_from_1e_minus_4_to_1e5(relaxation: str) -> None:
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    alpha, beta = (torch.tensor(np.exp(rng.uniform(np.log(1e-4), np.log(1e5), 10_000))).float() for _ in range(2))
    alpha.requires_grad_()
    beta.requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        made = Relaxation(relaxation).of(BetaFactor(alpha, beta))
        divergence, draw, point = made.divergence(factor(1.0, 9.0)), made.rsample(), made.point()
    assert all(values.isfinite().all() for values in (divergence, draw, point))
    assert {values.dtype for values in (divergence, draw, point)} == {torch.float32}
    assert ((draw >= 0) & (draw <= 1) & (point >= 0) & (point <= 1)).all()
    assert divergence.min() > -2e-2  # the Beta's closed form loses digits at large concentrations
    if relaxation == "kumaraswamy":
        torch.testing.assert_close(point, BetaFactor(alpha, beta).mean, atol=1e-5, rtol=1e-4)
    for loss in (divergence.sum(), draw.sum(), draw.square().sum(), point.sum()):
        gradients = torch.autograd.grad(loss, (alpha, beta), retain_graph=True)
        assert all(gradient.isfinite().all() for gradient in gradients)
