"""Confidence intervals by resampling rows, or whole groups of rows."""

from __future__ import annotations

from collections.abc import Callable
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
    value = float(statistic(*arrays))
    draws = _draws(len(arrays[0]), groups, num_resamples, np.random.default_rng(seed))
    values = np.array([statistic(*(a[rows] for a in arrays)) for rows in draws], dtype=np.float64)
    defined = values[np.isfinite(values)]
    num_undefined = num_resamples - len(defined)
    if len(defined) <= num_resamples / 2:
        return Bound(value, float("nan"), float("nan"), num_undefined)
    low, high = np.quantile(defined, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return Bound(value, float(low), float(high), num_undefined)


def _draws(num: int, groups: ArrayLike | None, times: int, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """Row numbers of each resample; none at all where nothing can be resampled."""
    if num == 0:
        return []
    if groups is None:
        return [rng.integers(0, num, num) for _ in range(times)]
    labels = np.asarray(groups)
    members = [np.flatnonzero(labels == name) for name in np.unique(labels)]
    if len(members) < 2:
        return []
    return [np.concatenate([members[g] for g in rng.integers(0, len(members), len(members))]) for _ in range(times)]
