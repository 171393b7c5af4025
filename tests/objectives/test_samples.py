"""Scores of samples against closed forms and against integrals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from seqexp.core.errors import DataError
from seqexp.objectives.samples import sample_metrics, summarise_samples


def test_crps_is_the_integral_of_the_squared_difference_of_distributions() -> None:
    rng = np.random.default_rng(0)
    draws, target = rng.normal(size=(7, 3, 2)), rng.normal(size=(3, 2))
    grid = np.linspace(-6, 6, 240_001)
    for row, column in np.ndindex(3, 2):
        below = (draws[:, row, column][:, None] <= grid).mean(0)
        integral = np.square(below - (grid >= target[row, column])).sum() * (grid[1] - grid[0])
        assert summarise_samples(draws, target).crps[row, column] == pytest.approx(integral, abs=1e-3)


def test_a_right_spread_covers_nine_in_ten_and_has_the_crps_of_a_normal() -> None:
    rng = np.random.default_rng(1)
    centre = rng.normal(size=(400, 2)) * 3
    target = centre + rng.normal(size=(400, 2))
    found = sample_metrics([summarise_samples(centre + rng.normal(size=(200, 400, 2)), target)], 200)
    assert found["sample_coverage_90"] == pytest.approx(0.9, abs=0.03)
    assert found["sample_sd"] == pytest.approx(1.0, abs=0.01)
    z = target - centre  # CRPS of a standard normal (Gneiting and Raftery 2007, eq. 20 with sigma 1)
    exact = z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / np.sqrt(np.pi)
    assert found["sample_crps"] == pytest.approx(exact.mean(), rel=0.02)
    assert found["sample_mean_mse"] == pytest.approx(1.0, abs=0.15)
    narrow = sample_metrics([summarise_samples(centre + 0.2 * rng.normal(size=(200, 400, 2)), target)], 200)
    assert narrow["sample_coverage_90"] < 0.4
    assert narrow["sample_crps"] > found["sample_crps"]


def test_parts_are_scored_as_one_and_one_value_is_a_point() -> None:
    rng = np.random.default_rng(2)
    draws, target = rng.normal(size=(9, 6, 2)), rng.normal(size=(6, 2))
    halves = [summarise_samples(draws[:, rows], target[rows]) for rows in (slice(0, 2), slice(2, 6))]
    assert sample_metrics(halves, 9) == sample_metrics([summarise_samples(draws, target)], 9)
    point = summarise_samples(np.repeat(draws[:1], 4, axis=0), target)
    np.testing.assert_allclose(point.crps, np.abs(draws[0] - target))


@pytest.mark.parametrize("draws", [np.zeros((1, 3, 2)), np.zeros((4, 2, 2)), np.full((4, 3, 2), np.nan)])
def test_what_cannot_be_scored_is_refused(draws: np.ndarray) -> None:
    with pytest.raises(DataError, match="samples"):
        summarise_samples(draws, np.zeros((3, 2)))
