"""Beta factors against torch.distributions, scipy and finite differences of exact expectations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import integrate, special, stats
from torch.distributions import Beta
from torch.distributions import kl_divergence as torch_kl

from seqexp.core.errors import ConfigError
from seqexp.dna.selectors.beta import (
    SAMPLE_EDGE,
    BetaFactor,
    bayes,
    combine,
    kl_divergence,
    log_pool,
    odds,
    product,
)

PAIRS = [(0.5, 0.7), (1.0, 1.0), (2.0, 5.0), (10.0, 90.0), (36.7, 20.5), (300.0, 4.0)]


def factor(alpha: float, beta: float) -> BetaFactor:
    return BetaFactor(torch.tensor(alpha), torch.tensor(beta))


def density(alpha: float, beta: float, at: np.ndarray) -> np.ndarray:
    return stats.beta(alpha, beta).pdf(at)


@pytest.mark.parametrize("posterior", PAIRS)
@pytest.mark.parametrize("prior", PAIRS)
def test_kl_is_that_of_torch_and_of_numerical_integration(
    posterior: tuple[float, float], prior: tuple[float, float]
) -> None:
    found = float(kl_divergence(factor(*posterior), factor(*prior)))
    of_torch = float(torch_kl(Beta(*map(torch.tensor, posterior)), Beta(*map(torch.tensor, prior))))
    p, q = stats.beta(*posterior), stats.beta(*prior)
    # Over quantiles of p instead of values, so that neither spikes nor poles at the edges matter.
    integral, _ = integrate.quad(lambda level: _log_ratio(p, q, level), 0, 1, limit=400)
    assert found == pytest.approx(of_torch, rel=1e-4, abs=1e-4)
    assert found == pytest.approx(integral, rel=2e-3, abs=2e-4)


def _log_ratio(p: stats.rv_continuous, q: stats.rv_continuous, level: float) -> float:
    value = p.ppf(level)
    return float(p.logpdf(value) - q.logpdf(value))


def test_kl_is_zero_at_equality_and_positive_elsewhere() -> None:
    rng = np.random.default_rng(0)
    alpha, beta, other = (torch.from_numpy(np.exp(rng.uniform(-3, 5, 1000))) for _ in range(3))
    same = kl_divergence(BetaFactor(alpha, beta), BetaFactor(alpha, beta))
    torch.testing.assert_close(same, torch.zeros_like(same), atol=2e-3, rtol=0)
    assert (kl_divergence(BetaFactor(alpha, beta), BetaFactor(alpha * 2, other)) > 0).all()


@pytest.mark.parametrize(("alpha", "beta"), PAIRS)
def test_moments_and_draws_are_those_of_scipy(alpha: float, beta: float) -> None:
    torch.manual_seed(0)
    exact = stats.beta(alpha, beta)
    made = factor(alpha, beta)
    assert float(made.mean) == pytest.approx(exact.mean(), rel=1e-5)
    assert float(made.variance) == pytest.approx(exact.var(), rel=1e-4)
    assert float(made.logit) == pytest.approx(special.logit(exact.mean()), abs=1e-5)
    draws = BetaFactor(torch.full((5000,), alpha), torch.full((5000,), beta)).rsample().numpy()
    inside = draws[(draws > SAMPLE_EDGE) & (draws < 1 - SAMPLE_EDGE)]
    low, high = exact.cdf([SAMPLE_EDGE, 1 - SAMPLE_EDGE])
    assert len(inside) / len(draws) == pytest.approx(high - low, abs=0.01)
    assert stats.kstest(inside, lambda x: (exact.cdf(x) - low) / (high - low)).pvalue > 1e-3


@pytest.mark.parametrize("function", [lambda m: m, torch.square, torch.log], ids=["mean", "square", "log"])
@pytest.mark.parametrize(("alpha", "beta"), [(0.8, 1.5), (2.0, 5.0), (10.0, 90.0)])
def test_gradients_of_draws_are_finite_differences_of_the_exact_expectation(
    alpha: float, beta: float, function: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    torch.manual_seed(0)
    concentrations = [torch.full((400_000,), value, requires_grad=True) for value in (alpha, beta)]
    draws = Beta(*concentrations).rsample() if function is torch.log else BetaFactor(*concentrations).rsample()
    function(draws).sum().backward()

    def expected(a: float, b: float) -> float:
        exact = stats.beta(a, b)
        return integrate.quad(lambda u: float(function(torch.tensor(exact.ppf(u)))), 1e-12, 1, limit=400)[0]

    step = 1e-3
    differences = (
        (expected(alpha + step, beta) - expected(alpha - step, beta)) / (2 * step),
        (expected(alpha, beta + step) - expected(alpha, beta - step)) / (2 * step),
    )
    for tensor, difference in zip(concentrations, differences, strict=True):
        each = tensor.grad
        assert each is not None
        error = float(each.std()) / np.sqrt(len(each))
        assert float(each.mean()) == pytest.approx(difference, abs=4 * error + 2e-3 * abs(difference))


def test_nothing_breaks_over_concentrations_from_1e_minus_4_to_1e5() -> None:
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    alpha, beta = (torch.tensor(np.exp(rng.uniform(np.log(1e-4), np.log(1e5), 10_000))).float() for _ in range(2))
    alpha.requires_grad_()
    beta.requires_grad_()
    made = BetaFactor(alpha, beta)
    divergence, draw = kl_divergence(made, factor(1.0, 9.0)), made.rsample()
    assert divergence.isfinite().all()
    assert draw.isfinite().all()
    assert ((draw >= SAMPLE_EDGE) & (draw <= 1 - SAMPLE_EDGE)).all()
    for loss in (divergence.sum(), draw.sum(), torch.log(draw).sum(), torch.log1p(-draw).sum()):
        gradients = torch.autograd.grad(loss, (alpha, beta), retain_graph=True)
        assert all(gradient.isfinite().all() for gradient in gradients)


def test_product_of_densities_and_its_identity() -> None:
    first, second = (2.5, 3.0), (4.0, 1.5)
    at = np.linspace(0.05, 0.95, 7)
    direct = density(*first, at) * density(*second, at)
    joint = product(factor(*first), factor(*second))
    ratio = direct / density(float(joint.alpha), float(joint.beta), at)
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-5)
    same = product(factor(*first), factor(1.0, 1.0))
    assert (float(same.alpha), float(same.beta)) == pytest.approx(first)
    turned = product(factor(*second), factor(*first))
    assert (float(turned.alpha), float(turned.beta)) == (float(joint.alpha), float(joint.beta))


def test_log_pool_is_the_weighted_geometric_mean_of_densities() -> None:
    parts, weights = [(2.5, 3.0), (4.0, 1.5), (9.0, 2.0)], [0.4, 0.4, 0.2]
    at = np.linspace(0.05, 0.95, 7)
    direct = np.prod([density(*part, at) ** weight for part, weight in zip(parts, weights, strict=True)], axis=0)
    pooled = log_pool([factor(*part) for part in parts], torch.tensor(weights))
    ratio = direct / density(float(pooled.alpha), float(pooled.beta), at)
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-5)


def test_bayes_divides_the_prior_out_and_tells_when_the_answer_is_not_proper() -> None:
    parts, prior = [(4.5, 13.0), (6.0, 11.5)], (2.0, 10.0)
    at = np.linspace(0.05, 0.95, 7)
    direct = density(*parts[0], at) * density(*parts[1], at) / density(*prior, at)
    joint = bayes([factor(*part) for part in parts], factor(*prior))
    ratio = direct / density(float(joint.alpha), float(joint.beta), at)
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-5)
    assert joint.is_proper()
    assert not bayes([factor(0.5, 4.0), factor(0.5, 4.0)], factor(*prior)).is_proper()


def test_odds_is_bayes_rule_for_a_yes_or_no_question() -> None:
    prior, given = 0.1, (0.3, 0.6)
    # Likelihood ratios of two observations that are independent given the answer, worked out by hand.
    ratios = [p / (1 - p) * (1 - prior) / prior for p in given]
    direct = prior * np.prod(ratios) / (prior * np.prod(ratios) + 1 - prior)
    parts = [BetaFactor.from_mean(torch.tensor(p), torch.tensor(10.0)) for p in given]
    joint = odds(parts, BetaFactor.from_mean(torch.tensor(prior), torch.tensor(10.0)))
    assert float(joint.mean) == pytest.approx(direct, rel=1e-5)
    assert float(joint.precision) == pytest.approx(20.0)


@pytest.mark.parametrize("rule", ["odds", "product", "bayes", "log_pool"])
def test_rules_by_name_agree_with_their_functions(rule: str) -> None:
    parts, prior = [factor(4.5, 13.0), factor(6.0, 11.5)], factor(2.0, 10.0)
    direct = {
        "odds": odds(parts, prior),
        "product": product(*parts),
        "bayes": bayes(parts, prior),
        "log_pool": log_pool(parts, torch.tensor([0.5, 0.5])),
    }[rule]
    named = combine(parts, prior, rule)
    assert torch.equal(named.alpha, direct.alpha)
    assert torch.equal(named.beta, direct.beta)


def test_unknown_rule_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="log_pool"):
        combine([factor(1.0, 1.0)], factor(1.0, 1.0), "sum")
