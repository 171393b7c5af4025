"""Laws of the algebra of Beta factors, over drawn concentrations."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqexp.dna.selectors.beta import BetaFactor, bayes, combine, kl_divergence, log_pool, odds, product

UNIFORM = BetaFactor(torch.ones(()), torch.ones(()))


def factors(least: float) -> st.SearchStrategy[BetaFactor]:
    concentration = st.floats(least, 300.0, width=32)
    return st.builds(
        lambda alpha, beta: BetaFactor(torch.tensor(alpha), torch.tensor(beta)), concentration, concentration
    )


ANY, MODAL = factors(0.0625), factors(1.0)


def same(first: BetaFactor, second: BetaFactor) -> None:
    torch.testing.assert_close(first.alpha, second.alpha, rtol=2e-4, atol=2e-4)
    torch.testing.assert_close(first.beta, second.beta, rtol=2e-4, atol=2e-4)


@settings(max_examples=60, deadline=None)
@given(ANY, ANY, ANY)
def test_odds_and_pools_of_proper_factors_are_proper(first: BetaFactor, second: BetaFactor, prior: BetaFactor) -> None:
    for rule in ("odds", "log_pool"):
        assert combine([first, second], prior, rule).is_proper()


@settings(max_examples=60, deadline=None)
@given(MODAL, MODAL, ANY)
def test_products_are_proper_where_no_factor_has_a_pole(
    first: BetaFactor, second: BetaFactor, third: BetaFactor
) -> None:
    assert product(first, second).is_proper()
    assert product(first, third).is_proper()  # one pole at each end does no harm
    assert not product(*[BetaFactor(torch.tensor(0.4), torch.tensor(0.4))] * 2).is_proper()


@pytest.mark.parametrize("rule", ["odds", "product", "bayes", "log_pool"])
@settings(max_examples=40, deadline=None)
@given(first=ANY, second=ANY, third=ANY, prior=ANY)
def test_order_does_not_matter(
    rule: str, first: BetaFactor, second: BetaFactor, third: BetaFactor, prior: BetaFactor
) -> None:
    same(combine([first, second, third], prior, rule), combine([third, first, second], prior, rule))


@settings(max_examples=60, deadline=None)
@given(ANY, ANY, ANY)
def test_product_is_associative_and_the_uniform_is_its_identity(
    first: BetaFactor, second: BetaFactor, third: BetaFactor
) -> None:
    same(product(product(first, second), third), product(first, product(second, third)))
    same(product(product(first, second), third), product(first, second, third))
    same(product(first, UNIFORM), first)
    same(product(UNIFORM, first), first)


@settings(max_examples=60, deadline=None)
@given(ANY, st.lists(st.floats(0.01, 1.0), min_size=1, max_size=5))
def test_pool_of_equal_factors_is_that_factor(one: BetaFactor, raw: list[float]) -> None:
    weights = torch.tensor(raw) / sum(raw)
    same(log_pool([one] * len(raw), weights), one)


@settings(max_examples=60, deadline=None)
@given(ANY, ANY, ANY)
def test_bayes_with_a_flat_prior_is_the_product_and_the_prior_is_its_identity(
    first: BetaFactor, second: BetaFactor, prior: BetaFactor
) -> None:
    same(bayes([first, second], UNIFORM), product(first, second))
    same(bayes([first, prior], prior), first)


@settings(max_examples=60, deadline=None)
@given(ANY, ANY)
def test_an_observation_that_says_what_the_prior_says_leaves_the_odds(one: BetaFactor, prior: BetaFactor) -> None:
    found = odds([one, prior], prior)
    torch.testing.assert_close(found.mean, one.mean.clamp(1e-5, 1 - 1e-5), rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(found.precision, one.precision + prior.precision)


@settings(max_examples=60, deadline=None)
@given(ANY, ANY)
def test_natural_parameters_add_and_divergence_is_not_negative(first: BetaFactor, second: BetaFactor) -> None:
    for joint, one, other in zip(product(first, second).natural(), first.natural(), second.natural(), strict=True):
        torch.testing.assert_close(joint, one + other, rtol=1e-4, atol=1e-4)
    assert kl_divergence(first, second) > -2e-3
