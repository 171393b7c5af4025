"""Naive baselines beside every model: fitted on the training genes of the same run, scored on the same genes."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from seqexp.dna.evaluation.collect import Collected
from seqexp.objectives.baselines import fit_ridge, mean_baseline
from seqexp.objectives.bootstrap import Bound, bootstrap_interval
from seqexp.objectives.metrics import mean_pearson, mean_pearson_lead
from seqexp.objectives.model_table import UNDEFINED, ModelTable, Score, best_baseline, model_table

Array = NDArray[np.float64]

# Names as in metrics.json (baseline_<key>_pearson) and as people read them.
LABELS = {
    "mean": "training mean",
    "kmer_ridge": "5-mer ridge",
    "signal_ridge": "signal ridge",
    "kmer_signal_ridge": "5-mer + signal ridge",
}


def naive_predictions(collected: Collected) -> dict[str, Array]:
    """Predictions (R, G) of each baseline for all genes, fitted on the training split only, target by target.

    Ridge penalties are chosen by cross-validation over whole training chromosomes. Signal baselines are left out
    where the data have no tracks.
    """
    table = collected.predictions
    train = collected.rows("train")
    targets = collected.measured.T
    chroms = table["chrom"].to_numpy()
    predicted = {"mean": np.stack([mean_baseline(target[train], len(table)) for target in targets], axis=1)}
    features = {"kmer_ridge": collected.kmers}
    if collected.profiles.shape[1]:
        features["signal_ridge"] = collected.profiles
        features["kmer_signal_ridge"] = np.hstack([collected.kmers, collected.profiles])
    for name, matrix in features.items():
        ridges = [fit_ridge(matrix[train], target[train], groups=chroms[train]) for target in targets]
        predicted[name] = np.stack([ridge.predict(matrix) for ridge in ridges], axis=1)
    return predicted


def score(collected: Collected, prediction: Array) -> Score:
    """Test Pearson (mean over targets) of predictions (R, G), its interval over genes, test MSE, validation Pearson."""
    target, test, val = collected.measured, collected.rows("test"), collected.rows("val")
    bound = bootstrap_interval(mean_pearson, prediction[test], target[test])
    mse = float(np.mean((prediction[test] - target[test]) ** 2)) if len(test) else math.nan
    inner = mean_pearson(prediction[val], target[val]) if len(val) else math.nan
    return Score(bound.value, bound.low, bound.high, mse, inner)


def lead(collected: Collected, one: Array, other: Array) -> Bound:
    """Test Pearson of predictions (R, G) less that of others, with its interval over genes drawn for both at once."""
    target, test = collected.measured, collected.rows("test")
    return bootstrap_interval(mean_pearson_lead, one[test], other[test], target[test])


def beside_baselines(collected: Collected, controls: dict[str, Array]) -> ModelTable:
    """The model, its controls and the naive baselines.

    Parameters
    ----------
    collected : Collected
    controls : dict
        Name of another run to its predictions for the same rows.
    """
    named = {"this model": collected.predicted}
    named |= {f"control: {name}": values for name, values in controls.items()} | naive_predictions(collected)
    scores = {name: score(collected, values) for name, values in named.items()}
    best = best_baseline(scores, LABELS)
    difference = lead(collected, named["this model"], named[best]) if best else UNDEFINED
    return model_table(scores, LABELS, difference, figure="pearson")
