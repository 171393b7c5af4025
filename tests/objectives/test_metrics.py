"""Rows collected in batches and processes are scored once each."""

from __future__ import annotations

import numpy as np
import pytest

from seqexp.core.errors import DataError
from seqexp.objectives.metrics import (
    StreamingRegression,
    average_precision,
    bootstrap_interval,
    pearson,
    regression_scores,
)


def test_repeated_rows_of_two_processes_count_once() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(11, 1)), rng.normal(size=(11, 1))
    one, two = StreamingRegression(), StreamingRegression()
    one.update(np.arange(0, 11, 2), x[::2], y[::2], x[::2, 0])
    two.update([1, 3, 5], x[[1, 3, 5]], y[[1, 3, 5]], x[[1, 3, 5], 0])
    two.update([7, 9, 0], x[[7, 9, 0]], y[[7, 9, 0]], x[[7, 9, 0], 0])  # 0 pads the second process
    one.merge(two)
    rows = one.rows()
    assert rows["index"].tolist() == list(range(11))
    np.testing.assert_array_equal(rows["prediction"], x)
    np.testing.assert_array_equal(rows["loss"], x[:, 0])
    assert one.compute() == regression_scores(x, y)
    assert one.compute().num == 11


def test_scores_are_float64() -> None:
    x = np.linspace(0, 1, 100, dtype=np.float32)[:, None]
    stream = StreamingRegression()
    stream.update(np.arange(100), x + np.float32(1000), x)
    exact = np.float64(x + np.float32(1000)) - np.float64(x)
    assert stream.compute().mse == float(np.square(exact).mean())


def test_several_targets_average_over_the_defined_ones() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=(30, 3))
    x = y + rng.normal(size=(30, 3))
    x[:, 1] = 2.0
    scores = regression_scores(x, y)
    assert scores.num_undefined == 1
    assert scores.pearson == pytest.approx((pearson(x[:, 0], y[:, 0]) + pearson(x[:, 2], y[:, 2])) / 2)


def test_nothing_collected_is_nan() -> None:
    scores = StreamingRegression().compute()
    assert scores.num == 0
    assert np.isnan(scores.mse)
    assert np.isnan(scores.pearson)


def test_wrong_lengths_are_refused() -> None:
    with pytest.raises(DataError, match="row numbers"):
        StreamingRegression().update([1, 2], np.zeros((3, 1)), np.zeros((3, 1)))
    with pytest.raises(DataError, match="shape"):
        regression_scores(np.zeros((3, 1)), np.zeros((3, 2)))


def test_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for trial in range(100):
        sample = rng.normal(size=40)
        bound = bootstrap_interval(np.mean, sample, num_resamples=200, seed=trial)
        hits += bound.low <= 0.0 <= bound.high
    assert 86 <= hits <= 99


def test_groups_widen_the_interval_of_dependent_rows() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(8), 50)
    values = rng.normal(size=8)[groups] + 0.1 * rng.normal(size=400)
    rows = bootstrap_interval(np.mean, values, num_resamples=300)
    whole = bootstrap_interval(np.mean, values, groups=groups, num_resamples=300)
    assert whole.high - whole.low > 5 * (rows.high - rows.low)


def test_interval_without_anything_to_resample_is_nan() -> None:
    bound = bootstrap_interval(pearson, np.arange(5.0), np.arange(5.0), groups=["a"] * 5)
    assert bound.value == pytest.approx(1.0)
    assert np.isnan(bound.low)
    constant = bootstrap_interval(pearson, np.ones(5), np.arange(5.0), num_resamples=50)
    assert np.isnan(constant.value)
    assert constant.num_undefined == 50


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_an_area_needs_numbers(bad: float) -> None:
    labels = [True, False, True]
    with pytest.raises(DataError, match="not finite"):
        average_precision([0.3, bad, 0.1], labels)
    with pytest.raises(DataError, match="not finite"):
        average_precision([0.3, 0.2, 0.1], labels, weight=[1, bad, 1])
    with pytest.raises(DataError, match="weights negative"):
        average_precision([0.3, 0.2, 0.1], labels, weight=[1, -1, 1])
    assert np.isnan(average_precision([0.3, 0.2, 0.1], labels, weight=[0, 1, 0]))  # no positive counts
    assert average_precision([0.3, 0.2, 0.1], labels, weight=[1, 2, 1]) == pytest.approx(0.5 * 1 + 0.5 * 0.5)
