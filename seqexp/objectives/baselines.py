"""Naive baselines: what a model must beat to have learned anything."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GroupKFold, KFold
from sklearn.preprocessing import StandardScaler

from seqexp.core.errors import DataError

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
    max_folds: int = 5,
) -> RidgeBaseline:
    """Fit a ridge regression on training rows only.

    Parameters
    ----------
    features : array (R, F)
    target : array (R,)
    groups : array (R,), optional
        Chromosome of each row: neighbours on one chromosome share windows, so folds keep chromosomes whole. Without
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
