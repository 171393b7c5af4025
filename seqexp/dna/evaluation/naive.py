"""Naive baselines beside every model: fitted on the training genes of the same run, scored on the same genes."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from seqexp.dna.evaluation.collect import Collected
from seqexp.objectives.baselines import fit_ridge, mean_baseline
from seqexp.objectives.bootstrap import bootstrap_interval
from seqexp.objectives.metrics import pearson

# Names as in metrics.json (baseline_<key>_pearson) and as people read them.
LABELS = {
    "mean": "training mean",
    "kmer_ridge": "5-mer ridge",
    "signal_ridge": "signal ridge",
    "kmer_signal_ridge": "5-mer + signal ridge",
}


def naive_predictions(collected: Collected) -> dict[str, np.ndarray]:
    """Predictions (R,) of each baseline for all genes, fitted on the training split only.

    Ridge penalties are chosen by cross-validation over whole training chromosomes. Signal baselines are left out
    where the data have no tracks.
    """
    table = collected.predictions
    train = collected.rows("train")
    target = table["target"].to_numpy(float)
    chroms = table["chrom"].to_numpy()
    predicted = {"mean": mean_baseline(target[train], len(table))}
    features = {"kmer_ridge": collected.kmers}
    if collected.profiles.shape[1]:
        features["signal_ridge"] = collected.profiles
        features["kmer_signal_ridge"] = np.hstack([collected.kmers, collected.profiles])
    for name, matrix in features.items():
        ridge = fit_ridge(matrix[train], target[train], groups=chroms[train])
        predicted[name] = ridge.predict(matrix)
    return predicted


def score(collected: Collected, prediction: np.ndarray, name: str) -> dict[str, float | str]:
    """One row of the model table: test Pearson with its interval, test MSE, validation Pearson."""
    target = collected.predictions["target"].to_numpy(float)
    test, val = collected.rows("test"), collected.rows("val")
    bound = bootstrap_interval(pearson, prediction[test], target[test])
    mse = float(np.mean((prediction[test] - target[test]) ** 2)) if len(test) else math.nan
    inner = float(pearson(prediction[val], target[val])) if len(val) else math.nan
    return {"name": name, "value": bound.value, "low": bound.low, "high": bound.high, "mse": mse, "val": inner}


def model_table(collected: Collected, controls: dict[str, np.ndarray]) -> tuple[pd.DataFrame, dict[str, float]]:
    """The model, its controls and the naive baselines, best first, and the same figures as flat metrics.

    Parameters
    ----------
    collected : Collected
    controls : dict
        Name of another run to its predictions for the same rows.
    """
    own = collected.predictions["prediction"].to_numpy(float)
    rows = [score(collected, own, "this model")]
    rows += [score(collected, values, f"control: {name}") for name, values in controls.items()]
    metrics: dict[str, float] = {}
    for key, values in naive_predictions(collected).items():
        row = score(collected, values, LABELS[key])
        rows.append(row)
        for end, column in (("pearson", "value"), ("pearson_low", "low"), ("pearson_high", "high"), ("mse", "mse")):
            metrics[f"baseline_{key}_{end}"] = float(row[column])
    defined = [v for k, v in metrics.items() if k.endswith("_pearson") and not math.isnan(v)]
    metrics["best_baseline_pearson"] = max(defined, default=math.nan)
    return pd.DataFrame(rows), metrics
