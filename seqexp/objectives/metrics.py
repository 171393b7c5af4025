"""Regression and ranking metrics in float64; what is undefined is NaN and counted, never a number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata
from sklearn.metrics import average_precision_score

from seqexp.core.errors import DataError
from seqexp.objectives.bootstrap import Bound, bootstrap_interval

__all__ = [
    "Bound",
    "RegressionScores",
    "StreamingRegression",
    "average_precision",
    "bootstrap_interval",
    "column_pearson",
    "defined_mean",
    "defined_means",
    "grouped_pearson",
    "mean_pearson",
    "mean_pearson_lead",
    "pearson",
    "r_squared",
    "regression_scores",
    "spearman",
]

Array = NDArray[np.float64]


def pearson(prediction: ArrayLike, target: ArrayLike) -> float:
    """Pearson correlation of two vectors; NaN when either is constant or has fewer than two values."""
    x, y = np.asarray(prediction, dtype=np.float64), np.asarray(target, dtype=np.float64)
    return float(column_pearson(x.reshape(-1, 1), y.reshape(-1, 1))[0])


def column_pearson(prediction: ArrayLike, target: ArrayLike) -> Array:
    """Pearson correlation of each column (G,) of two matrices (R, G); NaN where either column is constant."""
    x, y = np.asarray(prediction, dtype=np.float64), np.asarray(target, dtype=np.float64)
    if x.shape != y.shape or x.ndim != 2:
        raise DataError(f"predictions of shape {x.shape} against targets of shape {y.shape}", expected="equal (R, G)")
    if len(x) < 2:
        return np.full(x.shape[1], np.nan)
    is_constant = (np.ptp(x, axis=0) == 0) | (np.ptp(y, axis=0) == 0)
    x, y = x - x.mean(0), y - y.mean(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        x, y = x / np.linalg.norm(x, axis=0), y / np.linalg.norm(y, axis=0)
    return np.where(is_constant, np.nan, np.clip((x * y).sum(0), -1.0, 1.0))


def grouped_pearson(prediction: ArrayLike, target: ArrayLike, group: ArrayLike) -> tuple[tuple[str, ...], Array]:
    """Names of the groups of rows, in order of their first row, and the correlations (groups, G) within each."""
    x, y, names = np.asarray(prediction), np.asarray(target), np.asarray(group).astype(str)
    order = tuple(dict.fromkeys(names.tolist()))
    return order, np.stack([column_pearson(x[names == name], y[names == name]) for name in order])


def spearman(prediction: ArrayLike, target: ArrayLike) -> float:
    """Rank correlation with ties averaged; NaN where :func:`pearson` is, or where a value is NaN."""
    return pearson(rankdata(prediction, nan_policy="propagate"), rankdata(target, nan_policy="propagate"))


def r_squared(prediction: ArrayLike, target: ArrayLike) -> float:
    """1 - residual / total sum of squares; NaN when the target is constant."""
    x, y = np.asarray(prediction, dtype=np.float64), np.asarray(target, dtype=np.float64)
    if y.size < 2 or np.ptp(y) == 0.0:
        return float("nan")
    return float(1.0 - np.square(y - x).sum() / np.square(y - y.mean()).sum())


@dataclass(frozen=True)
class RegressionScores:
    """Agreement of predictions with targets; with several targets the mean over those where it is defined.

    Attributes
    ----------
    pearson, spearman, r2 : float
        NaN where undefined.
    mse, mae : float
        In squared and plain units of the target.
    num : int
        Rows scored.
    num_undefined : int
        Targets (columns) whose correlation is undefined because prediction or measurement is constant.
    """

    pearson: float
    spearman: float
    mse: float
    mae: float
    r2: float
    num: int
    num_undefined: int

    def as_dict(self, prefix: str = "") -> dict[str, float]:
        """Flat mapping, names prefixed."""
        return {prefix + name: float(value) for name, value in asdict(self).items()}


def defined_mean(values: ArrayLike) -> float:
    """Mean of the values that are defined; NaN where none is."""
    return float(defined_means(np.asarray(values, dtype=np.float64).ravel(), 0))


def defined_means(values: ArrayLike, axis: int) -> Array:
    """Means along an axis of what is defined; NaN, without a warning, where nothing is."""
    matrix = np.asarray(values, dtype=np.float64)
    is_defined = np.isfinite(matrix)
    count = is_defined.sum(axis)
    total = np.where(is_defined, matrix, 0.0).sum(axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def regression_scores(prediction: ArrayLike, target: ArrayLike) -> RegressionScores:
    """Score predictions (B,) or (B, G) against targets of the same shape.

    Raises
    ------
    DataError
        The shapes differ.
    """
    x, y = np.asarray(prediction, dtype=np.float64), np.asarray(target, dtype=np.float64)
    if x.shape != y.shape:
        raise DataError(f"predictions of shape {x.shape} against targets of shape {y.shape}", expected="equal shapes")
    if x.size == 0:
        nan = float("nan")
        return RegressionScores(nan, nan, nan, nan, nan, num=0, num_undefined=1 if x.ndim == 1 else x.shape[1])
    x, y = x.reshape(len(x), -1), y.reshape(len(y), -1)
    columns = range(x.shape[1])
    correlations = column_pearson(x, y)
    return RegressionScores(
        pearson=defined_mean(correlations),
        spearman=defined_mean(np.array([spearman(x[:, g], y[:, g]) for g in columns])),
        mse=float(np.square(x - y).mean()),
        mae=float(np.abs(x - y).mean()),
        r2=defined_mean(np.array([r_squared(x[:, g], y[:, g]) for g in columns])),
        num=len(x),
        num_undefined=int(np.isnan(correlations).sum()),
    )


def mean_pearson(prediction: ArrayLike, target: ArrayLike) -> float:
    """Pearson correlation of every column of (B, G), averaged over those where it is defined; NaN where none is."""
    return defined_mean(column_pearson(prediction, target))


def mean_pearson_lead(prediction: ArrayLike, other: ArrayLike, target: ArrayLike) -> float:
    """:func:`mean_pearson` of one prediction (B, G) less that of another of the same targets."""
    return mean_pearson(prediction, target) - mean_pearson(other, target)


class StreamingRegression:
    """Collects predictions batch by batch and scores each row once.

    Samplers of several processes repeat rows to give every process as many; rows are told apart by their ``index``,
    the first of equal indices stays. Values are kept (Spearman needs them all) as float64.
    """

    def __init__(self) -> None:
        self._index: list[NDArray[np.int64]] = []
        self._columns: list[dict[str, Array]] = []

    def update(
        self,
        index: ArrayLike,
        prediction: ArrayLike,
        target: ArrayLike,
        loss: ArrayLike | None = None,
        *,
        group: ArrayLike | None = None,
    ) -> None:
        """Add a batch: row numbers (B,), predictions and targets (B, G), optionally loss and group of each row (B,)."""
        rows = np.asarray(index, dtype=np.int64).reshape(-1)
        columns = {"prediction": np.asarray(prediction, np.float64), "target": np.asarray(target, np.float64)}
        if loss is not None:
            columns["loss"] = np.asarray(loss, np.float64)
        if group is not None:
            columns["group"] = np.asarray(group, np.float64)
        if any(len(values) != len(rows) for values in columns.values()):
            shapes = {name: values.shape for name, values in columns.items()}
            raise DataError(f"{len(rows)} row numbers for values of shapes {shapes}", expected="one row number per row")
        self._index.append(rows)
        self._columns.append(columns)

    def state(self) -> dict[str, NDArray[Any]]:
        """All rows collected so far, in order, repeated ones included: what another process or a checkpoint needs."""
        if not self._index:
            return {}
        names = self._columns[0]
        columns = {name: np.concatenate([c[name] for c in self._columns]) for name in names}
        return {"index": np.concatenate(self._index), **columns}

    def add_state(self, state: Mapping[str, ArrayLike]) -> None:
        """Add the rows of :meth:`state`."""
        if state:
            self.update(
                state["index"], state["prediction"], state["target"], state.get("loss"), group=state.get("group")
            )

    def merge(self, other: StreamingRegression) -> None:
        """Add what another process collected."""
        self.add_state(other.state())

    def reset(self) -> None:
        """Forget all rows."""
        self._index, self._columns = [], []

    def rows(self) -> dict[str, NDArray[Any]]:
        """Distinct rows sorted by ``index``: index (R,), prediction and target (R, G), loss and group (R,) if given."""
        state = self.state()
        if not state:
            empty = np.zeros((0, 1))
            return {"index": np.zeros(0, dtype=np.int64), "prediction": empty, "target": empty}
        first = np.unique(state["index"], return_index=True)[1]
        return {name: values[first] for name, values in state.items()}

    def compute(self) -> RegressionScores:
        """Score the distinct rows."""
        rows = self.rows()
        return regression_scores(rows["prediction"], rows["target"])


def average_precision(score: ArrayLike, is_positive: ArrayLike, weight: ArrayLike | None = None) -> float:
    """Area under precision-recall as a step function, ties taken together; NaN without a positive.

    Parameters
    ----------
    score : array (R,)
        Higher is more likely positive.
    is_positive : array (R,) of bool
    weight : array (R,), optional
        For example the width of each interval in base pairs.

    Raises
    ------
    DataError
        A score or a weight is not finite, or a weight is negative.
    """
    labels, values = np.asarray(is_positive, dtype=bool), np.asarray(score, dtype=np.float64)
    given = np.ones(len(values)) if weight is None else np.asarray(weight, dtype=np.float64)
    if not (np.isfinite(values).all() and np.isfinite(given).all() and (given >= 0).all()):
        raise DataError("scores or weights are not finite, or weights negative", expected="a number for every row")
    if not given[labels].sum() > 0:
        return float("nan")
    return float(average_precision_score(labels, values, sample_weight=weight))
