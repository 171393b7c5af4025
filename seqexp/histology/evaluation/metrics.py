"""Figures of a histology run: predictions of every spot, and what they are worth on validation and test spots."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seqexp.histology.evaluation.table import interval, pooled_pearson, score
from seqexp.histology.loaders.data import SpotData
from seqexp.histology.slides import spot_graph
from seqexp.objectives.metrics import regression_scores
from seqexp.objectives.spatial import (
    SpatialScores,
    column_pearson,
    genes_above,
    morans_i,
    oracle_means,
)

Array = NDArray[np.float64]
_NUM_TOP = 50


@dataclass(frozen=True)
class Predicted:
    """Predictions of a run for every spot.

    Attributes
    ----------
    table : DataFrame
        ``predictions.tsv``.
    values : float64 array (S, G)
        In the unit of the data; NaN for spots outside the splits.
    """

    data: SpotData
    table: pd.DataFrame
    values: Array

    @cached_property
    def test(self) -> SpatialScores:
        """Scores of the test spots."""
        return score(self.data, self.values, "test")

    @cached_property
    def val(self) -> SpatialScores:
        """Scores of the validation spots."""
        return score(self.data, self.values, "val")


def accuracy(predicted: Predicted) -> dict[str, float]:
    """Scores of validation and test spots, pooled and per slide; oracles are named so."""
    data = predicted.data
    metrics: dict[str, float] = {}
    for split, scores in (("val", predicted.val), ("test", predicted.test)):
        rows = data.fold.rows(split)
        pooled = regression_scores(predicted.values[rows], data.values[rows])
        metrics |= {f"{split}_{key}": getattr(pooled, key) for key in ("pearson", "spearman", "r2")}
        metrics |= scores.as_dict(f"{split}_")
        pooled_r = pooled_pearson(data, predicted.values, split)
        for name, per_gene in (("pcc_mean", scores.per_gene), ("pearson", pooled_r)):
            low, high = interval(per_gene)
            metrics |= {f"{split}_{name}_low": low, f"{split}_{name}_high": high}
    test = predicted.test
    metrics |= {"pcc_mean": metrics["test_pcc_mean"], "pcc_median": metrics["test_pcc_median"]}
    metrics |= canonical_errors(data, predicted.values)
    metrics |= {f"test_pcc_mean_{slide}": r for slide, r in test.per_slide.items()}
    train = data.values[data.fold.rows("train")]
    rankings = {"test_heg50_pcc": train.mean(0), "test_hvg50_pcc": train.var(0), "oracle_hpg50_pcc": test.per_gene}
    metrics |= oracle_means(test.per_gene, rankings, _NUM_TOP)
    rows = data.fold.rows("test")
    metrics |= genes_above(predicted.values[rows], data.values[rows])
    metrics["test_morans_i_agreement"] = _structure(predicted, rows)
    metrics["shuffled_pcc_mean"] = _shuffled(predicted)
    metrics |= {f"num_{split}": float(len(data.fold.rows(split))) for split in ("train", "val", "test")}
    metrics["num_genes"] = float(len(data.fold.panel))
    return metrics


def canonical_errors(data: SpotData, values: Array) -> dict[str, float]:
    """Errors on the test spots in ln(1 + CP10K), whatever target sum and logarithm the data have; none for raw counts.

    The library size stays that of the transform: over all genes, or over the panel.
    """
    transform, rows = data.fold.transform, data.fold.rows("test")
    if transform.scope == "none":
        return {}
    plain = replace(transform, mean=None, std=None)  # values have the z-score undone already
    total = transform.median_sum if transform.target_sum == "median" else transform.target_sum
    predicted, measured = (
        np.log1p(np.clip(plain.inverse(part[rows].astype(np.float64)), 0, None) * 10_000 / float(total or 1.0))
        for part in (values, data.values)
    )
    difference = predicted - measured
    return {
        "test_mse_cp10k": float(np.square(difference).mean()),
        "test_mae_cp10k": float(np.abs(difference).mean()),
    }


def _structure(predicted: Predicted, rows: NDArray[np.int64]) -> float:
    """Correlation over genes of Moran's I of predictions with that of measurements, on the test spots."""
    weights = spot_graph(predicted.data.fold.spots.frame.iloc[rows].reset_index(drop=True), "knn", 6).adjacency()
    own, measured = (morans_i(v[rows], weights) for v in (predicted.values, predicted.data.values))
    defined = np.isfinite(own) & np.isfinite(measured)
    return float(column_pearson(own[defined, None], measured[defined, None])[0]) if defined.sum() > 1 else float("nan")


def _shuffled(predicted: Predicted) -> float:
    """Mean correlation after the spots of each test slide were shuffled: what chance gives, near 0."""
    data, generator = predicted.data, np.random.default_rng(0)
    values = predicted.values.copy()
    for number in np.unique(data.slide[data.fold.rows("test")]):
        rows = data.fold.rows("test")
        rows = rows[data.slide[rows] == number]
        values[rows] = values[generator.permutation(rows)]
    return score(data, values, "test").as_dict()["pcc_mean"]
