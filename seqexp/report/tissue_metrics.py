"""Figures of a histology run: predictions of every spot, and what they are worth on validation and test spots."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch.nn import functional

from seqexp.histology.loaders.data import SpotData
from seqexp.histology.models.mclstexp import MclSTExp
from seqexp.histology.slides import spot_graph
from seqexp.objectives.metrics import regression_scores
from seqexp.objectives.spatial import (
    SpatialScores,
    column_pearson,
    defined_mean,
    genes_above,
    morans_i,
    oracle_means,
    retrieval_recall,
)
from seqexp.report.tissue_naive import interval, score

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
        low, high = interval(scores)
        metrics |= {f"{split}_pcc_mean_low": low, f"{split}_pcc_mean_high": high}
    test = predicted.test
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


def retrieval(network: MclSTExp, data: SpotData) -> dict[str, float]:
    """How often the patch of a test spot finds its own expression among all spots of its slide, mean over slides."""
    image, spot, slide = [], [], []
    with torch.inference_mode():
        for batch in data.test_dataloader():
            image.append(functional.normalize(network.embed_image(batch), dim=1))
            spot.append(functional.normalize(network.embed_spots(batch), dim=1))
            slide.append(batch.slide)
    queries, keys, of_slide = torch.cat(image), torch.cat(spot), torch.cat(slide)
    scores = []
    for number in of_slide.unique():
        rows = of_slide == number
        scores.append(retrieval_recall((queries[rows] @ keys[rows].T).numpy()))
    return {f"retrieval_{name}": defined_mean([score[name] for score in scores]) for name in scores[0]}


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
