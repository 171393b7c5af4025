"""What predicted distributions are worth, from samples of them: their mean, their spread, and whether it is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seqexp.core.errors import DataError
from seqexp.objectives.spatial import column_pearson, defined_mean

Array = NDArray[np.float64]
LEVEL = 0.9  # of the interval whose coverage is told


@dataclass(frozen=True)
class SampleSummary:
    """Samples of some rows, reduced to what scores need; all in the unit of the target.

    Attributes
    ----------
    target, mean, sd : float64 array (R, G)
        Measured value; mean and standard deviation (n - 1) of the samples.
    is_covered : bool array (R, G)
        Whether the measured value lies between the quantiles 0.05 and 0.95 of the samples.
    crps : float64 array (R, G)
        Continuous ranked probability score of the samples, lower is better; the absolute error for samples that are
        all one value (Gneiting and Raftery 2007, eq. 21).
    """

    target: Array
    mean: Array
    sd: Array
    is_covered: NDArray[np.bool_]
    crps: Array


def summarise_samples(draws: ArrayLike, target: ArrayLike) -> SampleSummary:
    """Reduce samples (N, R, G), two or more, beside measured values (R, G).

    Raises
    ------
    DataError
        Shapes do not fit, fewer than two samples, or samples that are not finite.
    """
    x, y = np.sort(np.asarray(draws, dtype=np.float64), axis=0), np.asarray(target, dtype=np.float64)
    if x.ndim != 3 or x.shape[1:] != y.shape or len(x) < 2:
        raise DataError(f"samples {x.shape} of targets {y.shape}", expected="(N, R, G) of (R, G), at least 2 samples")
    if not np.isfinite(x).all():
        raise DataError(f"{int((~np.isfinite(x)).sum())} of {x.size} samples are not finite", expected="numbers")
    low, high = np.quantile(x, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    num = len(x)
    weight = (2 * np.arange(1, num + 1) - num - 1)[:, None, None]  # sum over pairs of |x_i - x_j|, of sorted values
    pairs = 2 * (weight * x).sum(0) / num**2
    return SampleSummary(
        target=y,
        mean=x.mean(0),
        sd=x.std(0, ddof=1),
        is_covered=(low <= y) & (y <= high),
        crps=np.abs(x - y).mean(0) - pairs / 2,
    )


def sample_metrics(parts: Sequence[SampleSummary], num_samples: int) -> dict[str, float]:
    """Figures of all rows, each a mean over rows and targets, by their keys in ``metrics.json``.

    Returns
    -------
    dict
        ``sample_num``; ``sample_mean_pearson``, ``sample_mean_mse``: mean of the samples against the measured value,
        the correlation over rows, mean over targets; ``sample_sd``; ``sample_coverage_90``: 0.9 where the spread is
        right; ``sample_crps``.
    """
    target, mean, sd, covered, crps = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("target", "mean", "sd", "is_covered", "crps")
    )
    return {
        "sample_num": float(num_samples),
        "sample_mean_pearson": defined_mean(column_pearson(mean, target)),
        "sample_mean_mse": float(np.square(mean - target).mean()),
        "sample_sd": float(sd.mean()),
        "sample_coverage_90": float(covered.mean()),
        "sample_crps": float(crps.mean()),
    }
