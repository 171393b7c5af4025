"""The ridge baseline learns a linear rule and chooses its penalty on whole chromosomes."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from seqexp.core.errors import DataError
from seqexp.objectives.baselines import fit_low_rank_ridge, fit_ridge, mean_baseline
from seqexp.objectives.metrics import pearson


def test_mean() -> None:
    np.testing.assert_array_equal(mean_baseline([1.0, 3.0], 3), [2.0, 2.0, 2.0])


def test_ridge_learns_a_linear_rule_whatever_the_scales() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 20)) * np.logspace(-3, 3, 20)
    y = x[:, 0] * 1e3 + x[:, 19] * 1e-3 + 0.1 * rng.normal(size=300) + 5.0
    model = fit_ridge(x[:200], y[:200], groups=np.repeat(np.arange(4), 50))
    assert pearson(model.predict(x[200:]), y[200:]) > 0.98
    assert (model.num_folds, model.is_grouped) == (4, True)


def test_penalty_is_chosen_between_chromosomes() -> None:
    """A feature that only identifies the chromosome helps within it and harms elsewhere."""
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(6), 40)
    x = np.eye(6)[groups] + 0.01 * rng.normal(size=(240, 6))
    y = rng.normal(size=6)[groups] + 0.1 * rng.normal(size=240)
    assert fit_ridge(x, y, groups=groups).alpha > 1e3
    assert fit_ridge(x, y, groups=["chr1"] * 240).is_grouped is False


def test_bad_features_are_refused() -> None:
    with pytest.raises(DataError, match="not finite"):
        fit_ridge(np.full((8, 2), np.nan), np.zeros(8))
    with pytest.raises(DataError, match="at least 4 rows"):
        fit_ridge(np.zeros((3, 2)), np.zeros(3))


def test_low_rank_ridge_is_ridge_on_components_and_finds_the_rank() -> None:
    rng = np.random.default_rng(0)
    features, groups = rng.normal(size=(120, 10)), np.repeat(np.arange(4), 30)
    causes = features[:, :2] @ rng.normal(size=(2, 2))
    targets = causes @ rng.normal(size=(2, 40)) + 3 * rng.normal(size=(120, 40)) + 5
    fitted = fit_low_rank_ridge(features, targets, groups)
    assert fitted.rank == 2
    full = fit_low_rank_ridge(features, targets, groups, ranks=(40,))
    model = Ridge(alpha=full.alpha).fit(features, targets)
    np.testing.assert_allclose(full.predict(features), model.predict(features), rtol=1e-8)
    components = np.linalg.svd(targets - targets.mean(0), full_matrices=False)[2][:2]
    by_hand = Ridge(alpha=fitted.alpha).fit(features, (targets - targets.mean(0)) @ components.T)
    expected = by_hand.predict(features) @ components + targets.mean(0)
    np.testing.assert_allclose(fitted.predict(features), expected, rtol=1e-6)
    fresh = rng.normal(size=(200, 10))
    truth = fresh[:, :2] @ np.linalg.lstsq(features[:, :2], causes, rcond=None)[0]
    assert abs(np.corrcoef(fitted.predict(fresh)[:, 0], truth[:, 0])[0, 1]) > 0.3


def test_low_rank_ridge_with_one_slide_and_with_bad_features() -> None:
    rng = np.random.default_rng(1)
    features, targets = rng.normal(size=(40, 3)), rng.normal(size=(40, 5))
    assert fit_low_rank_ridge(features, targets, np.zeros(40)).predict(features).shape == (40, 5)
    with pytest.raises(DataError, match="finite"):
        fit_low_rank_ridge(np.full((40, 3), np.nan), targets, np.zeros(40))
