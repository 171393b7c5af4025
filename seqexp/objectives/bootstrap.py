"""Confidence intervals by resampling rows, or whole groups of rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seqexp.core.errors import DataError


class Bound(NamedTuple):
    """A figure with its percentile interval; ``num_undefined`` resamples gave NaN and were left out."""

    value: float
    low: float
    high: float
    num_undefined: int


def bootstrap_interval(
    statistic: Callable[..., float],
    *columns: ArrayLike,
    groups: ArrayLike | None = None,
    level: float = 0.95,
    num_resamples: int = 1000,
    seed: int = 0,
) -> Bound:
    """Percentile bootstrap of ``statistic(*columns)``.

    Parameters
    ----------
    statistic : callable
        From the columns to one number, such as :func:`seqexp.objectives.metrics.pearson`.
    *columns : arrays (R, ...)
        Resampled together along the first axis.
    groups : array (R,), optional
        Label of each row, such as its chromosome: whole groups are drawn, because rows of one group may depend on
        each other. With one group only there is nothing to resample and the interval is NaN.
    level : float
        Coverage.
    num_resamples : int
    seed : int

    Returns
    -------
    Bound
        NaN interval when more than half of the resamples are undefined.

    Raises
    ------
    DataError
        No columns, or columns of different lengths.
    """
    arrays = [np.asarray(column) for column in columns]
    if not arrays or len({len(a) for a in arrays}) != 1:
        raise DataError(f"columns of lengths {[len(a) for a in arrays]} to resample", expected="equal lengths")
    draws = resampled_rows(len(arrays[0]), groups, num_resamples, seed)
    values = [statistic(*(a[rows] for a in arrays)) for rows in draws]
    return percentile_interval(float(statistic(*arrays)), values, level)


def percentile_interval(value: float, resampled: Sequence[float], level: float = 0.95) -> Bound:
    """A figure with its interval, from its values on the rows of :func:`resampled_rows`.

    NaN interval when more than half of the values are undefined, or there are none.
    """
    values = np.asarray(resampled, dtype=np.float64)
    defined = values[np.isfinite(values)]
    num_undefined = len(values) - len(defined)
    if len(defined) <= len(values) / 2:
        return Bound(value, float("nan"), float("nan"), num_undefined)
    low, high = np.quantile(defined, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return Bound(value, float(low), float(high), num_undefined)


def resampled_rows(
    num: int, groups: ArrayLike | None = None, num_resamples: int = 1000, seed: int = 0
) -> list[NDArray[np.int64]]:
    """Row numbers of each resample of ``num`` rows; none at all where nothing can be resampled.

    For figures that are not a function of the hall's: the caller computes them on these rows and hands the values to
    :func:`percentile_interval`.
    """
    if num == 0:
        return []
    rng, times = np.random.default_rng(seed), num_resamples
    if groups is None:
        return [rng.integers(0, num, num) for _ in range(times)]
    labels = np.asarray(groups)
    members = [np.flatnonzero(labels == name) for name in np.unique(labels)]
    if len(members) < 2:
        return []
    return [np.concatenate([members[g] for g in rng.integers(0, len(members), len(members))]) for _ in range(times)]
