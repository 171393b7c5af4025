"""Metrics against scipy and scikit-learn, constant inputs included."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import average_precision_score, r2_score

from seqexp.objectives.metrics import average_precision, pearson, regression_scores, spearman


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_correlations_agree_with_scipy(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=200)
    y = np.round((x + rng.normal(size=200)) * 3) * scale  # with ties
    assert pearson(x, y) == pytest.approx(stats.pearsonr(x, y).statistic, abs=1e-12)
    assert spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)


def test_small_signal_on_a_large_offset() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=500)
    y = 1e4 + 1e-3 * (x + rng.normal(size=500))
    assert pearson(x, y) == pytest.approx(stats.pearsonr(x, y).statistic, abs=1e-9)


@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, 1e8])
def test_constant_input_is_nan_as_in_scipy(value: float) -> None:
    x, y = np.full(50, value), np.arange(50.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.ConstantInputWarning)
        assert np.isnan(stats.pearsonr(x, y).statistic)
        assert np.isnan(stats.spearmanr(x, y).statistic)
    for a, b in ((x, y), (y, x), (x, x)):
        assert np.isnan(pearson(a, b))
        assert np.isnan(spearman(a, b))
    assert regression_scores(x, y).num_undefined == 1


def test_nan_is_not_ranked() -> None:
    x = np.array([1.0, np.nan, 3.0, 4.0])
    assert np.isnan(spearman(x, np.arange(4.0)))
    assert np.isnan(pearson(x, np.arange(4.0)))


def test_r2_agrees_with_sklearn() -> None:
    rng = np.random.default_rng(1)
    y = rng.normal(size=100)
    x = y + rng.normal(size=100)
    assert regression_scores(x, y).r2 == pytest.approx(r2_score(y, x), abs=1e-12)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.booleans(), st.integers(1, 9)), min_size=1, max_size=40))
def test_average_precision_takes_ties_together(rows: list[tuple[int, bool, int]]) -> None:
    score, label, weight = (np.array(column) for column in zip(*rows, strict=True))
    if not label.any():
        assert np.isnan(average_precision(score, label))
        return
    assert average_precision(score, label) == pytest.approx(average_precision_score(label, score))
    total = weight[label].sum()  # by hand: one step per distinct score, from the highest
    area, seen = 0.0, 0.0
    for threshold in sorted(set(score), reverse=True):
        above = score >= threshold
        found = weight[above & label].sum()
        area += (found - seen) / total * found / weight[above].sum()
        seen = found
    assert average_precision(score, label, weight) == pytest.approx(area, abs=1e-12)
