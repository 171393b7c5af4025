"""Naive baselines of a histology run: what hand-made features and their nearest neighbours reach on the same spots."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from seqexp.core.tables import read_table
from seqexp.histology.loaders.data import SpotData
from seqexp.histology.loaders.inputs import cache_of, read_features, scaled_by_slide
from seqexp.objectives.baselines import fit_low_rank_ridge
from seqexp.objectives.bootstrap import bootstrap_interval
from seqexp.objectives.spatial import SpatialScores, column_pearson, defined_mean, spatial_scores

Array = NDArray[np.float64]

LABELS = {
    "mean": "training mean",
    "colour_ridge": "ridge, colour of one patch",
    "texture_ridge": "ridge, colour and texture at four scales",
    "encoder_ridge": "ridge, all features of this run",
    "nearest": "mean of the nearest training spots, the same",
}
NUM_NEAREST = 100  # or a fifth of the training spots


def naive_predictions(data: SpotData) -> dict[str, Array]:
    """Predictions (S, G) of each baseline by key, in the unit of the data, fitted on the training spots only.

    Features are scaled and training targets centred by slide; ridge regressions go through the principal components of
    the targets, their penalty and rank are chosen by cross-validation over whole training slides.
    """
    values, train = data.values.astype(np.float64), data.fold.rows("train")
    slide = data.slide
    predicted = {"mean": np.repeat(values[train].mean(0)[None], len(values), axis=0)}
    centred = _centred(values, slide, train)
    spread = np.maximum(centred[train].std(0), 1e-12)
    common = values[train].mean(0)
    cache = cache_of(data.slides, data.cache_folder)
    for kind in ("colour", "texture"):
        features = scaled_by_slide(read_features(cache, data.fold.spots, data.slides.slides, kind), slide)
        ridge = fit_low_rank_ridge(features[train], centred[train] / spread, groups=slide[train])
        predicted[f"{kind}_ridge"] = ridge.predict(features) * spread + common
    if data.feature_encoder is not None:
        ridge = fit_low_rank_ridge(data.features[train], centred[train] / spread, groups=slide[train])
        predicted["encoder_ridge"] = ridge.predict(data.features) * spread + common
    predicted["nearest"] = _nearest(features, centred, train) + common
    return predicted


def _centred(values: Array, slide: NDArray[np.int64], train: NDArray[np.int64]) -> Array:
    """Values less the mean of the training spots of their slide; 0 on slides without training spots."""
    out = np.zeros_like(values)
    for number in np.unique(slide[train]):
        rows = train[slide[train] == number]
        out[rows] = values[rows] - values[rows].mean(0)
    return out


def _nearest(features: NDArray[np.float32], centred: Array, train: NDArray[np.int64]) -> Array:
    index = NearestNeighbors(n_neighbors=min(NUM_NEAREST, max(1, len(train) // 5)), metric="cosine").fit(
        features[train]
    )
    return centred[train][index.kneighbors(features, return_distance=False)].mean(1)


def score(data: SpotData, prediction: Array, split: str) -> SpatialScores:
    """Scores of predictions (S, G) for all spots on one split."""
    rows = data.fold.rows(split)
    return spatial_scores(prediction[rows], data.values[rows], data.fold.spots.frame["slide"].to_numpy()[rows])


def model_table(data: SpotData, named: dict[str, Array]) -> tuple[pd.DataFrame, dict[str, float]]:
    """One row per prediction, and the figures of the baselines among them as flat metrics.

    Parameters
    ----------
    data : SpotData
    named : dict
        Predictions (S, G) by name; baselines under their key in :data:`LABELS`.
    """
    rows = []
    metrics: dict[str, float] = {}
    for name, values in named.items():
        row = _row(data, LABELS.get(name, name), values)
        rows.append(row)
        if name in LABELS:
            ends = (("pcc_mean", "value"), ("pcc_mean_low", "low"), ("pcc_mean_high", "high"), ("mse", "mse"))
            metrics |= {f"baseline_{name}_{end}": float(row[column]) for end, column in ends}
            metrics[f"baseline_{name}_pearson"] = defined_mean(pooled_pearson(data, values, "test"))
    defined = [v for k, v in metrics.items() if k.endswith("_pcc_mean") and not math.isnan(v)]
    metrics["best_baseline_pcc_mean"] = max(defined, default=math.nan)
    return pd.DataFrame(rows), metrics


def truth_table(data: SpotData, named: dict[str, Array]) -> tuple[pd.DataFrame, dict[str, float]] | None:
    """Mean correlation on the test slides by what a gene follows, where the data are simulated and have ``truth.tsv``.

    Returns
    -------
    DataFrame
        A row per prediction: ``model``, and a column per effect.
    dict
        ``truth_<effect>_pcc_mean`` of the first prediction, which is the model's.
    """
    path = data.slides.spec.path.parent / "truth.tsv"
    if not path.is_file():
        return None
    truth = read_table(path).set_index("gene")
    effect = truth["effect"].reindex(list(data.fold.panel)).to_numpy()
    kinds = list(dict.fromkeys(truth["effect"]))
    rows: list[dict[str, Any]] = []
    for name, values in named.items():
        r = score(data, values, "test").per_gene
        rows.append({"model": LABELS.get(name, name), **{kind: defined_mean(r[effect == kind]) for kind in kinds}})
    metrics = {f"truth_{kind}_pcc_mean": float(rows[0][kind]) for kind in kinds}
    return pd.DataFrame(rows), metrics


def _row(data: SpotData, name: str, values: Array) -> dict[str, float | str]:
    test, val = score(data, values, "test"), score(data, values, "val")
    low, high = interval(test.per_gene)
    flat = test.as_dict()
    inner = val.as_dict()["pcc_mean"]
    return {"name": name, "value": flat["pcc_mean"], "low": low, "high": high, "mse": test.mse, "val": inner}


def pooled_pearson(data: SpotData, values: Array, split: str) -> Array:
    """Correlation of each gene (G,) over all spots of a split, slides taken together."""
    rows = data.fold.rows(split)
    return column_pearson(values[rows], data.values[rows])


def interval(per_gene: Array) -> tuple[float, float]:
    """95 % bootstrap interval over genes of the mean correlation."""
    genes = per_gene[np.isfinite(per_gene)]
    if not len(genes):
        return math.nan, math.nan
    bound = bootstrap_interval(lambda r: float(np.mean(r)), genes)
    return bound.low, bound.high
