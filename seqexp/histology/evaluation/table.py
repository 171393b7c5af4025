"""The model of a histology run beside controls and naive baselines, gene by gene on the test slides."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seqexp.core.tables import read_table
from seqexp.histology.evaluation.naive import LABELS
from seqexp.histology.loaders.data import SpotData
from seqexp.objectives.bootstrap import Bound, bootstrap_interval
from seqexp.objectives.metrics import column_pearson, defined_mean
from seqexp.objectives.model_table import UNDEFINED, ModelTable, Score, best_baseline, model_table
from seqexp.objectives.spatial import SpatialScores, spatial_scores

Array = NDArray[np.float64]


def score(data: SpotData, prediction: Array, split: str) -> SpatialScores:
    """Scores of predictions (S, G) for all spots on one split."""
    rows = data.fold.rows(split)
    return spatial_scores(prediction[rows], data.values[rows], data.fold.spots.frame["slide"].to_numpy()[rows])


def beside_baselines(data: SpotData, named: dict[str, Array]) -> ModelTable:
    """The model, its controls and the naive baselines.

    Parameters
    ----------
    data : SpotData
    named : dict
        Predictions (S, G) by name, those of the model first; baselines under their key in
        :data:`~seqexp.histology.evaluation.naive.LABELS`.
    """
    scores = {name: _row(data, values) for name, values in named.items()}
    best = best_baseline(scores, LABELS)
    difference = lead(data, named[next(iter(named))], named[best]) if best else UNDEFINED
    return model_table(scores, LABELS, difference, figure="pcc_mean")


def pooled_metrics(data: SpotData, named: dict[str, Array]) -> dict[str, float]:
    """Mean over genes of the correlation over all test spots, slides taken together, of every naive baseline."""
    baselines = {name: values for name, values in named.items() if name in LABELS}
    return {
        f"baseline_{name}_pearson": defined_mean(pooled_pearson(data, values, "test"))
        for name, values in baselines.items()
    }


def lead(data: SpotData, one: Array, other: Array) -> Bound:
    """Mean over genes of the test correlation of predictions (S, G) less that of others, with its interval over genes.

    Genes without a correlation on either side are left out.
    """
    return mean_bound(score(data, one, "test").per_gene - score(data, other, "test").per_gene)


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


def _row(data: SpotData, values: Array) -> Score:
    test, val = score(data, values, "test"), score(data, values, "val")
    low, high = interval(test.per_gene)
    return Score(test.as_dict()["pcc_mean"], low, high, test.mse, val.as_dict()["pcc_mean"])


def pooled_pearson(data: SpotData, values: Array, split: str) -> Array:
    """Correlation of each gene (G,) over all spots of a split, slides taken together."""
    rows = data.fold.rows(split)
    return column_pearson(values[rows], data.values[rows])


def interval(per_gene: Array) -> tuple[float, float]:
    """95 % bootstrap interval over genes of the mean correlation."""
    bound = mean_bound(per_gene)
    return bound.low, bound.high


def mean_bound(per_gene: Array) -> Bound:
    """Mean over the genes (G,) where it is defined, with its 95 % bootstrap interval over them."""
    genes = per_gene[np.isfinite(per_gene)]
    return bootstrap_interval(np.mean, genes) if len(genes) else UNDEFINED
