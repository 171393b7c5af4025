"""Metrics of spatial expression: per slide and gene first, then aggregated; what is undefined is NaN and counted.

Pearson correlations over the spots of one slide do not reward a model for knowing which slide is which, and means over
genes do not let a few genes with large counts decide.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse, stats

from seqexp.core.errors import DataError
from seqexp.objectives.metrics import column_pearson, defined_mean, defined_means, grouped_pearson

Array = NDArray[np.float64]

THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)


@dataclass(frozen=True)
class SpatialScores:
    """Correlations of every slide and gene.

    Attributes
    ----------
    slides : tuple of str
    pearson : float64 array (slides, G)
        NaN where a gene is constant on a slide.
    num_spots : int64 array (slides,)
    mse, mae, rvd : float
        Over the whole matrix, in squared and plain units of the target; ``rvd``: mean over genes of the squared
        relative difference of variances over spots (Stem), genes that are constant left out.
    """

    slides: tuple[str, ...]
    pearson: Array
    num_spots: NDArray[np.int64]
    mse: float
    mae: float
    rvd: float

    @property
    def per_gene(self) -> Array:
        """Mean over slides (G,), NaN where undefined on all of them."""
        return defined_means(self.pearson, 0)

    @property
    def per_slide(self) -> dict[str, float]:
        """Mean over genes of each slide."""
        return dict(zip(self.slides, defined_means(self.pearson, 1).tolist()))

    def as_dict(self, prefix: str = "") -> dict[str, float]:
        """Flat figures: mean, quartiles and median over genes of the mean over slides, spread over slides, errors."""
        genes = self.per_gene[np.isfinite(self.per_gene)]
        quartiles = np.quantile(genes, [0.25, 0.5, 0.75]) if len(genes) else np.full(3, np.nan)
        slides = np.array(list(self.per_slide.values()))
        known = slides[np.isfinite(slides)]
        values = {
            "pcc_mean": defined_mean(slides),
            "pcc_sd_slides": float(known.std()) if len(known) > 1 else float("nan"),
            "pcc_q1": float(quartiles[0]),
            "pcc_median": float(quartiles[1]),
            "pcc_q3": float(quartiles[2]),
            "pcc_num_undefined": float(np.isnan(self.pearson).sum()),
            "mse": self.mse,
            "mae": self.mae,
            "rvd": self.rvd,
        }
        return {prefix + name: value for name, value in values.items()}


def spatial_scores(prediction: ArrayLike, target: ArrayLike, slide: ArrayLike) -> SpatialScores:
    """Score predictions (S, G) against targets of the same shape, on each slide (S,) apart.

    Raises
    ------
    DataError
        Shapes differ, or there is no spot.
    """
    x, y = np.asarray(prediction, dtype=np.float64), np.asarray(target, dtype=np.float64)
    names = np.asarray(slide).astype(str)
    if x.shape != y.shape or x.ndim != 2 or len(names) != len(x) or not len(x):
        raise DataError(
            f"predictions {x.shape}, targets {y.shape}, slides {names.shape}", expected="(S, G) twice, (S,)"
        )
    order, correlations = grouped_pearson(x, y, names)
    variance, measured = x.var(0), y.var(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(measured > 0, (variance - measured) / measured, np.nan)
    return SpatialScores(
        order,
        correlations,
        np.array([int((names == name).sum()) for name in order]),
        float(np.square(x - y).mean()),
        float(np.abs(x - y).mean()),
        defined_mean(np.square(ratio)),
    )


def genes_above(
    prediction: ArrayLike, target: ArrayLike, thresholds: tuple[float, ...] = THRESHOLDS, alpha: float = 0.05
) -> dict[str, int]:
    """How many genes exceed each correlation over all rows, with an adjusted p (Benjamini-Hochberg) below ``alpha``."""
    r = column_pearson(prediction, target)
    num = len(np.asarray(target))
    with np.errstate(divide="ignore", invalid="ignore"):
        t = r * np.sqrt((num - 2) / (1 - np.square(r)))
    p = np.where(np.isfinite(r), stats.t.sf(t, max(num - 2, 1)), 1.0)  # one-sided: only agreement counts
    adjusted = stats.false_discovery_control(p) if len(p) else p
    return {f"genes_above_{level:.1f}": int(((r > level) & (adjusted < alpha)).sum()) for level in thresholds}


def morans_i(values: ArrayLike, weights: sparse.spmatrix) -> Array:
    """Moran's I (G,) of values (S, G) on a graph of neighbours (S, S); NaN for a constant column or no neighbours."""
    x = np.asarray(values, dtype=np.float64)
    x = x - x.mean(0)
    total, power = float(weights.sum()), np.square(x).sum(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        index = len(x) / total * (x * (weights @ x)).sum(0) / power
    return np.where((power > 1e-12 * max(1, len(x))) & (total > 0), index, np.nan)


def retrieval_recall(similarity: ArrayLike, ks: tuple[int, ...] = (1, 5, 10)) -> dict[str, float]:
    """Share of queries whose own key is among the k best of the pool, ties counted against; with the chance level.

    Parameters
    ----------
    similarity : array (S, S)
        Query i belongs to key i; the pool are all S keys, so report S beside the figure.
    """
    matrix = np.asarray(similarity, dtype=np.float64)
    own = np.diag(matrix)[:, None]
    rank = (matrix >= own).sum(1)  # 1 is best
    found: dict[str, float] = {"pool": float(len(matrix)), "median_rank": float(np.median(rank))}
    for k in ks:
        found[f"recall_at_{k}"] = float((rank <= k).mean())
        found[f"chance_at_{k}"] = min(1.0, k / len(matrix))
    return found


def oracle_means(pearson: Array, rankings: Mapping[str, ArrayLike], num: int = 50) -> dict[str, float]:
    """Mean correlation over the ``num`` genes that come first in each ranking (higher is earlier, NaN last).

    Rankings that use test labels, such as each gene's own test correlation (HPG), are oracles and belong marked so.
    """
    means = {}
    for name, values in rankings.items():
        scores = np.asarray(values, dtype=np.float64)
        order = np.argsort(np.where(np.isfinite(scores), -scores, np.inf), kind="stable")[:num]
        means[name] = defined_mean(pearson[order])
    return means
