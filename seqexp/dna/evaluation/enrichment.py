"""Are known features (motif sites, TATA boxes, nucleosome-free regions) enriched in what a selector keeps?

Two nulls, because either alone can mislead. *Rotated*: each window's kept pattern turned round its own window; keeps
number, lengths and spacing of the elements of every gene. Features gather at promoters, so a selector that always takes
the promoter is far above it. *Exchanged*: kept patterns dealt out anew among the genes, in gene orientation; keeps the
distance to the TSS, so only what is specific to the gene is left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse, stats

from seqexp.core.errors import ConfigError, DataError
from seqexp.dna.elements.bin_scores import BinScores
from seqexp.dna.elements.territories import nearest_bins
from seqexp.dna.evaluation.compare import over_null
from seqexp.dna.evaluation.truth import planted_bins
from seqexp.dna.genome.dataset import DatasetSpec
from seqexp.dna.genome.reference import Reference
from seqexp.dna.genome.regions import IntervalIndex, read_bed
from seqexp.dna.motifs.meme import read_meme
from seqexp.dna.motifs.sites import motif_sites

Bools = NDArray[np.bool_]
Shared = Literal["nearest", "every"]
Patterns = list[Bools]  # kept bins of genes whose windows have the same bins to keep, one array per such group


def feature_enrichment(
    kept: Bools,
    masks: BinScores,
    features: Mapping[str, pd.DataFrame],
    num_permutations: int = 500,
    *,
    seed: int = 0,
    skip: Bools | None = None,
    shared: Shared = "nearest",
) -> pd.DataFrame:
    """Overlap of kept bins with features, against both nulls.

    Parameters
    ----------
    kept : bool array (R, N)
        Bins that are kept, in gene orientation, as :func:`seqexp.dna.elements.calling.kept_bins` gives them.
    masks : BinScores
        Where the bins lie; its values do not matter.
    features : mapping
        Name to intervals: chrom, start, end, 0-based half-open. They may overlap; a base counts once.
    num_permutations : int
        Draws of each null.
    seed : int
    skip : bool array (N,), optional
        Bins, in gene orientation, left out of both sides, such as a promoter that the selector forces open. Patterns
        are rotated round the rest. Bins beyond the chromosome are left out in the same way.
    shared : {"nearest", "every"}
        What a feature counts for where windows overlap: the gene with the nearest TSS, or every gene.

    Returns
    -------
    DataFrame
        One row per feature, in their order: feature, num_sites (intervals that touch a window), num_lost (intervals on
        chromosomes that the masks do not know), observed_bp (bases of the feature in kept bins, over all genes), and
        for each null, ``_rotated`` and ``_exchanged``: expected (bp, mean of the null), enrichment, z, p (one-sided,
        empirical), q (Benjamini-Hochberg over the features). A feature without a base in the bins that count cannot be
        tested: its p and q are NaN.

    Raises
    ------
    ConfigError
        Fewer than one permutation, or an unknown rule.
    DataError
        Shapes do not fit, nothing is kept, there is no feature, or a feature has no chromosome of the masks.

    Notes
    -----
    Genes are drawn independently. With ``shared="every"`` one site counts for several genes, and a selector that keeps
    it in all of them has fewer independent choices than the nulls assume: p is then too small (of random intervals on
    yeast, 10 to 14 % are below 0.05), while the enrichment is not affected. Genes whose windows run off the chromosome
    exchange only with genes that miss the same bins.
    """
    if shared not in get_args(Shared):
        raise ConfigError(f"shared: {shared!r}", expected="one of nearest, every")
    if num_permutations < 1:
        raise ConfigError(f"{num_permutations} permutations", expected="at least 1")
    groups = _groups(_usable(kept, masks, skip))
    patterns = [kept[np.ix_(rows, columns)] for rows, columns in groups]
    if not features or not any(pattern.any() for pattern in patterns):
        raise DataError("nothing is kept" if features else "no features", expected="kept bins and at least one feature")
    counts, coverage = _coverage(features, masks, groups, shared)
    rng = np.random.default_rng(seed)
    observed = coverage @ _flat(patterns)
    table = pd.DataFrame({"feature": list(features), **counts, "observed_bp": observed.astype(np.int64)})
    can_test = np.asarray(coverage.sum(axis=1)).ravel() > 0
    nulls: dict[str, Callable[[Patterns, np.random.Generator], Patterns]]
    nulls = {"rotated": _rotated, "exchanged": _exchanged}
    for name, draw in nulls.items():
        null = np.stack([coverage @ _flat(draw(patterns, rng)) for _ in range(num_permutations)], axis=1)
        figures = np.array([over_null(int(value), row) for value, row in zip(observed, null)])
        p_value, q_value = np.where(can_test, figures[:, 2], np.nan), np.full(len(figures), np.nan)
        if can_test.any():
            q_value[can_test] = stats.false_discovery_control(p_value[can_test])
        columns = (null.mean(axis=1), figures[:, 0], figures[:, 1], p_value, q_value)
        for column, values in zip(("expected", "enrichment", "z", "p", "q"), columns):
            table[f"{column}_{name}"] = values
    return table


def bins_of_elements(elements: pd.DataFrame, masks: BinScores) -> Bools:
    """Bins (R, N), gene orientation, that a gene's own elements (chrom, start, end, gene_id) fill at least to a half.

    An element too short to fill half a bin keeps the bin of its middle.
    """
    return planted_bins(elements, masks)


def dataset_features(
    spec: DatasetSpec, masks: BinScores, reference: Reference | None = None, max_p: float = 1e-4
) -> dict[str, pd.DataFrame]:
    """Features that a dataset names, and the sites of its motifs in the windows, as ``motif NAME``.

    Parameters
    ----------
    spec : DatasetSpec
        With ``features``, ``motifs``, or both.
    masks : BinScores
        Whose windows are scanned.
    reference : Reference, optional
        The genome, if it is open already.
    max_p : float
        See :func:`seqexp.dna.motifs.sites.motif_sites`.

    Raises
    ------
    ConfigError
        The dataset has neither.
    """
    if not spec.features and spec.motifs is None:
        raise ConfigError("no features and no motifs", where=spec.path, expected="features: {NAME: FILE.bed}")
    found = {name: read_bed(path) for name, path in spec.features.items()}
    if spec.motifs is not None:
        genome = spec.open_reference() if reference is None else reference
        sites = motif_sites(genome, read_meme(spec.motifs), max_p, within=_window_table(masks))
        found |= {f"motif {name}": table for name, table in sites.items()}
    return found


def _window_table(masks: BinScores) -> pd.DataFrame:
    return pd.DataFrame([(w.chrom, w.start, w.end) for w in masks.windows], columns=["chrom", "start", "end"])


def _usable(kept: Bools, masks: BinScores, skip: Bools | None) -> Bools:
    """Bins (R, N), gene orientation, that count."""
    shape = masks.values.shape
    if kept.shape != shape or kept.dtype != np.bool_:
        raise DataError(f"kept bins of shape {kept.shape}, {kept.dtype}", expected=f"booleans of shape {shape}")
    usable = masks.widths() > 0
    if skip is None:
        return usable
    if np.shape(skip) != shape[1:]:
        raise DataError(f"{np.shape(skip)} bins to skip", expected=f"one for each of the {shape[1]} bins")
    return usable & ~np.asarray(skip, dtype=bool)


def _groups(usable: Bools) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Rows with the same usable bins, and these bins."""
    kinds, group = np.unique(usable, axis=0, return_inverse=True)
    group = group.reshape(-1)  # numpy 2.0 returns it with a second axis
    return [(np.flatnonzero(group == n), np.flatnonzero(kind)) for n, kind in enumerate(kinds) if kind.any()]


def _coverage(
    features: Mapping[str, pd.DataFrame],
    masks: BinScores,
    groups: list[tuple[NDArray[np.int64], NDArray[np.int64]]],
    shared: Shared,
) -> tuple[dict[str, list[int]], sparse.csr_matrix]:
    """Intervals in the windows and elsewhere, of each feature; covered bases (F, M) of usable bins as :func:`_flat`."""
    windows = IntervalIndex(_window_table(masks))
    # An annotation that runs past the end of its chromosome must not count there.
    limits = masks.widths()
    if shared == "nearest":
        limits = limits * nearest_bins(masks)
    counts: dict[str, list[int]] = {"num_sites": [], "num_lost": []}
    rows = []
    for name, table in features.items():
        resolved = masks.resolve(table, f"feature {name}")
        counts["num_sites"].append(int(windows.overlaps(resolved.table).sum()))
        counts["num_lost"].append(sum(resolved.lost.values()))
        bins = IntervalIndex(resolved.table).bins_of(masks.windows, masks.bin_bp)
        bins = np.minimum(bins, limits)
        flat = np.concatenate([bins[np.ix_(*group)].ravel() for group in groups])
        rows.append(sparse.csr_matrix(flat[None].astype(np.float64)))
    return counts, sparse.vstack(rows, format="csr")


def _flat(patterns: Patterns) -> NDArray[np.float64]:
    """All usable bins of all genes in one row, (M,); float64 adds whole numbers exactly."""
    return np.concatenate([pattern.ravel() for pattern in patterns]).astype(np.float64)


def _rotated(patterns: Patterns, rng: np.random.Generator) -> Patterns:
    """Every row turned by its own random number of bins."""
    turned = []
    for pattern in patterns:
        num_rows, num_bins = pattern.shape
        twice = np.concatenate([pattern, pattern], axis=1)
        every = np.lib.stride_tricks.sliding_window_view(twice, num_bins, axis=1)
        turned.append(every[np.arange(num_rows), rng.integers(0, num_bins, num_rows)])
    return turned


def _exchanged(patterns: Patterns, rng: np.random.Generator) -> Patterns:
    """Every row moved to another gene of its group."""
    return [pattern[rng.permutation(len(pattern))] for pattern in patterns]
