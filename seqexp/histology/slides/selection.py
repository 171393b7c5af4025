"""Which genes are predicted: chosen on training spots by mean, variability, both, or spatial structure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from seqexp.core.errors import ConfigError, DataError
from seqexp.histology.slides.graph import spot_graph
from seqexp.histology.slides.panel import GenePanel
from seqexp.histology.slides.provenance import provenance
from seqexp.histology.slides.spots import SpotTable

Array = NDArray[np.float64]
Kind = Literal["all", "mean", "hvg", "hmhvg", "moran"]
KINDS = ("all", "mean", "hvg", "hmhvg", "moran")
_HOUSEKEEPING = re.compile(r"^(MT-|RPS\d|RPL\d|RPLP\d|RPSA)", re.IGNORECASE)
_HVG_PER_SLIDE = 2000
_NUM_BINS = 20


@dataclass(frozen=True)
class GeneSelection:
    """Genes chosen, and on what.

    Parameters
    ----------
    panel : GenePanel
        The genes, best first.
    scores : float array (G,)
        Score of each, in the measure of the selector.
    fitted_on : tuple of str
        Slides whose expression was looked at, see :func:`provenance`.
    """

    panel: GenePanel
    scores: Array
    fitted_on: tuple[str, ...]


@dataclass(frozen=True)
class GeneSelector:
    """Rule that picks genes from the raw counts of training spots.

    Parameters
    ----------
    kind : {"all", "mean", "hvg", "hmhvg", "moran"}
        ``mean``: highest mean count; ``hvg``: dispersion normalised by bins of the mean, as scanpy's ``seurat`` flavour
        on log-normalised counts; ``hmhvg``: among the genes variable on some slide, without mitochondrial and ribosomal
        ones, those high both in mean and in standard deviation of the counts (Stem); ``moran``: Moran's I on the spot
        grid, mean over slides.
    num : int
        How many genes.
    min_spots : float
        A gene must be seen in this share of the training spots.
    use_all_splits : bool
        Look at validation and test spots too, as many papers do; the audit refuses that unless it is allowed by name.
    """

    kind: Kind = "mean"
    num: int = 250
    min_spots: float = 0.0
    use_all_splits: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigError(f"genes.select: {self.kind!r}", expected="one of: " + ", ".join(KINDS))
        if self.num < 1 or not 0 <= self.min_spots <= 1:
            raise ConfigError(
                f"{self.num} genes, in {self.min_spots} of spots", expected="at least 1; a share in [0, 1]"
            )

    def fit(self, spots: SpotTable, labels: ArrayLike) -> GeneSelection:
        """Choose genes on the spots labelled ``train``.

        Raises
        ------
        DataError
            There is no training spot, or there are fewer genes than asked for.
        """
        labels = np.asarray(labels)
        is_used = np.ones(len(labels), bool) if self.use_all_splits else labels == "train"
        used = spots.take(is_used)
        if not len(used):
            raise DataError("no training spots to choose genes on", fix="check the splits")
        scores = self._scores(used)
        num_seen = np.asarray((used.counts > 0).sum(axis=0)).ravel()
        scores[num_seen < max(1.0, self.min_spots * len(used))] = np.nan
        order = np.argsort(-np.nan_to_num(scores, nan=-np.inf), kind="stable")  # NaN ranks last
        order = order[np.isfinite(scores[order])]
        num = len(order) if self.kind == "all" else self.num
        if len(order) < num or not len(order):
            raise DataError(
                f"{len(order)} genes can be chosen by {self.kind}, {num} are asked for",
                expected="no more genes than are expressed on the training spots",
                fix="lower genes.num or genes.min_spots",
            )
        best = order[:num]
        return GeneSelection(spots.panel.take(best), scores[best], provenance(spots.frame, is_used))

    def _scores(self, used: SpotTable) -> Array:
        if self.kind == "all":  # order of the file
            return -np.arange(len(used.panel), dtype=np.float64)
        if self.kind == "mean":
            return np.asarray(used.counts.mean(axis=0), dtype=np.float64).ravel()
        if self.kind == "hvg":
            return normalised_dispersion(log_normalised(used.counts))
        return high_mean_high_variance(used, self.num) if self.kind == "hmhvg" else morans_i(used)


def log_normalised(counts: sparse.csr_matrix) -> sparse.csr_matrix:
    """ln(x + 1) of counts (S, G) brought to the median library size of the spots that have any."""
    sums = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
    factors = np.divide(np.median(sums[sums > 0]) if (sums > 0).any() else 0.0, sums, where=sums > 0, out=0 * sums)
    values = sparse.csr_matrix(sparse.diags(factors) @ counts)
    values.data = np.log1p(values.data)
    return values


def normalised_dispersion(values: sparse.csr_matrix, num_bins: int = _NUM_BINS) -> Array:
    """Log-dispersion of each gene (G,), as z-score among genes of similar mean; NaN where a gene does not vary.

    Source: Satija et al. 2015, in the form of scanpy's ``highly_variable_genes(flavor="seurat")``: a bin with one gene
    gives it 1.
    """
    linear = values.copy()
    linear.data = np.expm1(linear.data)
    mean = np.asarray(linear.mean(axis=0)).ravel()
    num = linear.shape[0]
    variance = _variance(linear, mean) * num / max(num - 1, 1)
    mean = np.where(mean == 0, 1e-12, mean)
    with np.errstate(divide="ignore"):
        dispersion = np.log(np.where(variance > 0, variance / mean, np.nan))
    bins = pd.cut(pd.Series(np.log1p(mean)), bins=num_bins)
    groups = pd.Series(dispersion).groupby(bins, observed=True)
    centre, spread = groups.transform("mean").to_numpy(), groups.transform("std").to_numpy()
    is_alone = np.isnan(spread)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(is_alone, np.where(np.isnan(dispersion), np.nan, 1.0), (dispersion - centre) / spread)


def high_mean_high_variance(used: SpotTable, num: int) -> Array:
    """Minus the size of the smallest top list of means and of standard deviations that both hold the gene (G,).

    NaN for genes that are variable on no slide, and for mitochondrial and ribosomal ones. Source: Stem; there the
    prefix MT also drops the nuclear metallothioneins (MT1A, MT2A, …), here only the mitochondrial MT- genes go.
    """
    is_variable = np.zeros(len(used.panel), dtype=bool)
    for slide in used.slides:
        scores = normalised_dispersion(log_normalised(used.counts[used.rows_of(slide)]))
        best = np.argsort(-np.nan_to_num(scores, nan=-np.inf), kind="stable")[:_HVG_PER_SLIDE]
        is_variable[best[np.isfinite(scores[best])]] = True
    is_variable &= np.array([_HOUSEKEEPING.match(symbol) is None for symbol in used.panel.symbols])
    mean = np.asarray(used.counts.mean(axis=0)).ravel()
    rows = np.flatnonzero(is_variable)
    ranks = [_rank(-measure[rows]) for measure in (mean, _variance(used.counts, mean))]
    scores = np.full(len(used.panel), np.nan)
    scores[rows] = -np.maximum(*ranks)
    return scores


def morans_i(used: SpotTable) -> Array:
    """Moran's I of log-normalised expression on the spot grid, mean over slides (G,); NaN where a gene is constant."""
    per_slide = []
    for slide in used.slides:
        part = used.take(used.rows_of(slide))
        weights = spot_graph(part.frame, "grid").adjacency()
        if weights.sum() == 0:
            continue
        values = log_normalised(part.counts).toarray()
        values -= values.mean(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            around = np.einsum("sg,sg->g", values, np.asarray(weights @ values))
            per_slide.append(len(part) / weights.sum() * around / np.square(values).sum(axis=0))
    if not per_slide:
        return np.full(len(used.panel), np.nan)
    stacked = np.stack(per_slide)
    num = np.isfinite(stacked).sum(axis=0)
    return np.where(num > 0, np.nansum(stacked, axis=0) / np.maximum(num, 1), np.nan)


def _variance(values: sparse.csr_matrix, mean: Array) -> Array:
    squares = values.astype(np.float64).power(2)
    return np.maximum(np.asarray(squares.mean(axis=0)).ravel() - mean**2, 0.0)


def _rank(values: Array) -> Array:
    ranks = np.empty(len(values))
    ranks[np.argsort(values, kind="stable")] = np.arange(1, len(values) + 1)
    return ranks
