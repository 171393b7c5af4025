"""Naive baselines of a histology run: what hand-made features and their nearest neighbours reach on the same spots."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from seqexp.histology.loaders.data import SpotData
from seqexp.histology.loaders.inputs import cache_of, read_features, scaled_by_slide
from seqexp.objectives.baselines import fit_low_rank_ridge

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
