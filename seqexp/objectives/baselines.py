"""Naive baselines: what a model must beat to have learned anything."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GroupKFold, KFold
from sklearn.preprocessing import StandardScaler

from seqexp.core.errors import DataError
from seqexp.objectives.metrics import mean_pearson

RANKS = (2, 4, 8, 16, 32)
LOW_RANK_ALPHAS = tuple(float(a) for a in np.logspace(1, 5, 17))
ALPHAS = tuple(float(a) for a in np.logspace(-1, 6, 15))


def mean_baseline(train_target: ArrayLike, num: int) -> NDArray[np.float64]:
    """The training mean for each of ``num`` rows (num,)."""
    return np.full(num, float(np.mean(np.asarray(train_target, dtype=np.float64))))


@dataclass(frozen=True)
class RidgeBaseline:
    """A fitted ridge regression on standardised features.

    Attributes
    ----------
    alpha : float
        Penalty chosen on the training folds.
    num_folds : int
        Folds it was chosen on.
    is_grouped : bool
        Whether folds kept groups (chromosomes) whole.
    """

    scaler: StandardScaler
    model: RidgeCV
    alpha: float
    num_folds: int
    is_grouped: bool

    def predict(self, features: ArrayLike) -> NDArray[np.float64]:
        """Features (R, F) to predictions (R,)."""
        scaled = self.scaler.transform(np.asarray(features, dtype=np.float64))
        return np.asarray(self.model.predict(scaled), dtype=np.float64)


def fit_ridge(
    features: ArrayLike,
    target: ArrayLike,
    groups: ArrayLike | None = None,
    alphas: tuple[float, ...] = ALPHAS,
    *,
    max_folds: int = 5,
) -> RidgeBaseline:
    """Fit a ridge regression on training rows only.

    Parameters
    ----------
    features : array (R, F)
    target : array (R,)
    groups : array (R,), optional
        Chromosome or slide of each row: neighbours on one chromosome share windows, so folds keep groups whole. Without
        groups, or with one only, folds are contiguous blocks of rows.
    alphas : tuple of float
        Penalties to choose from by cross-validated squared error.
    max_folds : int

    Raises
    ------
    DataError
        Fewer than 4 rows, shapes that do not fit, or features that are not finite.
    """
    x, y = np.asarray(features, dtype=np.float64), np.asarray(target, dtype=np.float64)
    if x.ndim != 2 or y.shape != (len(x),) or len(x) < 4:
        raise DataError(f"features {x.shape} and target {y.shape}", expected="(R, F) and (R,) with at least 4 rows")
    if not np.isfinite(x).all():
        raise DataError(f"{int((~np.isfinite(x)).sum())} feature values are not finite", expected="finite features")
    labels = None if groups is None else np.asarray(groups)
    num_groups = 0 if labels is None else len(np.unique(labels))
    is_grouped = num_groups >= 2
    num_folds = min(max_folds, num_groups if is_grouped else len(x) // 2)
    splitter = GroupKFold(num_folds) if is_grouped else KFold(num_folds)
    folds = list(splitter.split(x, y, labels if is_grouped else None))
    scaler = StandardScaler()
    model = RidgeCV(alphas=alphas, cv=folds, scoring="neg_mean_squared_error").fit(scaler.fit_transform(x), y)
    return RidgeBaseline(scaler, model, float(model.alpha_), num_folds, is_grouped)


@dataclass(frozen=True)
class LowRankRidge:
    """A ridge regression of many targets through their first principal components: genes lend each other strength.

    Attributes
    ----------
    alpha : float
        Penalty.
    rank : int
        Number of components.
    score : float
        Mean correlation over held-out training groups that both were chosen by.
    """

    alpha: float
    rank: int
    score: float
    mean: NDArray[np.float64]
    weights: NDArray[np.float64]
    feature_mean: NDArray[np.float64]

    def predict(self, features: ArrayLike) -> NDArray[np.float64]:
        """Features (R, F) to predictions (R, G)."""
        return np.asarray((np.asarray(features, dtype=np.float64) - self.feature_mean) @ self.weights + self.mean)


def fit_low_rank_ridge(
    features: ArrayLike,
    targets: ArrayLike,
    groups: ArrayLike,
    alphas: tuple[float, ...] = LOW_RANK_ALPHAS,
    *,
    ranks: tuple[int, ...] = RANKS,
) -> LowRankRidge:
    """Fit on training rows only; penalty and rank are those with the best correlation on held-out training groups.

    Parameters
    ----------
    features : array (R, F)
    targets : array (R, G)
        On one scale, since they share a penalty.
    groups : array (R,)
        Slide of each row. Each is held out in turn (blocks of rows, where there is one only), and correlations are
        taken inside it: the order of spots on a slide is wanted, and the penalty of the best squared error is higher.
    alphas, ranks : tuple
        To choose from.

    Raises
    ------
    DataError
        Fewer than 4 rows, shapes that do not fit, or features that are not finite.
    """
    x, y, labels = np.asarray(features, np.float64), np.asarray(targets, np.float64), np.asarray(groups)
    if x.ndim != 2 or y.ndim != 2 or not len(x) == len(y) == len(labels) or len(x) < 4 or not np.isfinite(x).all():
        raise DataError(f"features {x.shape}, targets {y.shape}", expected="finite (R, F) and (R, G), at least 4 rows")
    if len(np.unique(labels)) < 2:
        labels = np.arange(len(x)) * 4 // len(x)
    total = np.zeros((len(alphas), len(ranks)))
    for group in np.unique(labels):
        held = labels == group
        solved = _low_rank_weights(x[~held], y[~held], alphas, ranks)
        for (i, j), (_, weights, _) in solved.items():
            total[i, j] += np.nan_to_num(mean_pearson(x[held] @ weights, y[held]))
    i, j = divmod(int(total.argmax()), len(ranks))
    mean, weights, center = _low_rank_weights(x, y, alphas[i : i + 1], ranks[j : j + 1])[0, 0]
    score = float(total[i, j] / len(np.unique(labels)))
    return LowRankRidge(alphas[i], ranks[j], score, mean, weights, center)


def _low_rank_weights(
    x: NDArray[np.float64], y: NDArray[np.float64], alphas: tuple[float, ...], ranks: tuple[int, ...]
) -> dict[tuple[int, int], tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]]:
    """Mean (G,), weights (F, G) and mean of the features (F,) for each penalty and rank, from two decompositions."""
    center, mean = x.mean(0), y.mean(0)
    left, size, right = np.linalg.svd(x - center, full_matrices=False)
    components = np.linalg.svd(y - mean, full_matrices=False)[2]
    projected = left.T @ (y - mean)
    found = {}
    for i, alpha in enumerate(alphas):
        full = right.T @ ((size / (size**2 + alpha))[:, None] * projected)
        for j, rank in enumerate(ranks):
            kept = components[:rank]
            found[i, j] = (mean, full @ kept.T @ kept, center)
    return found
