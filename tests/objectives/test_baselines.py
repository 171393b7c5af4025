"""The ridge baseline learns a linear rule and chooses its penalty on whole chromosomes."""

from __future__ import annotations

import numpy as np
import pytest

from seqexp.core.errors import DataError
from seqexp.objectives.baselines import fit_ridge, mean_baseline
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
