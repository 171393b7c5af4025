"""Elements against peaks at equal base-pair budgets, over a null of shifted elements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seqexp.core.errors import ConfigError, DataError
from seqexp.dna.genome.interval import Interval
from seqexp.objectives.bootstrap import Bound, percentile_interval, resampled_rows

Spans = list[tuple[int, int]]


def trim_to_budget(ranked: pd.DataFrame, budget_bp: int) -> pd.DataFrame:
    """Best intervals first until the budget is met exactly; the last one is cut down around its summit.

    Intervals that overlap, of one gene where there are genes, are united first (:func:`disjoint`), so that no base is
    paid for twice.

    Parameters
    ----------
    ranked : DataFrame
        chrom, start, end, score, summit_bp and possibly gene_id; sorted best first.
    budget_bp : int

    Returns
    -------
    DataFrame
        Same columns. Everything, where the intervals hold fewer base pairs than the budget.
    """
    if budget_bp < 0:
        raise ConfigError(f"budget of {budget_bp} bp", expected="at least 0 bp")
    ranked = disjoint(ranked)
    widths = (ranked["end"] - ranked["start"]).to_numpy(dtype=np.int64)
    total = np.cumsum(widths)
    num_whole = int(np.searchsorted(total, budget_bp, side="right"))
    kept = ranked.iloc[:num_whole]
    rest = budget_bp - (int(total[num_whole - 1]) if num_whole else 0)
    if num_whole == len(ranked) or rest <= 0:
        return kept.reset_index(drop=True)
    last = ranked.iloc[[num_whole]].copy()
    start, end = int(last["start"].iloc[0]), int(last["end"].iloc[0])
    summit = start + int(last["summit_bp"].iloc[0])
    first = int(np.clip(summit - rest // 2, start, end - rest))
    last["start"], last["end"], last["summit_bp"] = first, first + rest, min(summit - first, rest - 1)
    return pd.concat([kept, last], ignore_index=True)


def disjoint(ranked: pd.DataFrame) -> pd.DataFrame:
    """Unite overlapping intervals, of one gene where there are genes, under the score and summit of the best.

    Peak files name an interval once per summit, and other tools' elements may overlap.

    Parameters
    ----------
    ranked : DataFrame
        chrom, start, end, score, summit_bp and possibly gene_id; sorted best first.

    Returns
    -------
    DataFrame
        Same columns and order; the very table where nothing overlaps.
    """
    keys = [*(["gene_id"] if "gene_id" in ranked else []), "chrom"]
    order = ranked.assign(place=np.arange(len(ranked))).sort_values([*keys, "start"], kind="stable")
    owner = order.groupby(keys, sort=False).ngroup()
    reach = order["end"].groupby(owner).cummax().groupby(owner).shift()
    is_first = ~(order["start"] < reach)
    if is_first.all():
        return ranked
    group = is_first.cumsum()
    start, end = order["start"].groupby(group).transform("min"), order["end"].groupby(group).transform("max")
    summit = order["start"] + order["summit_bp"] - start
    united = order.assign(start=start, end=end, summit_bp=summit, group=group).sort_values("place", kind="stable")
    return united.drop_duplicates("group")[list(ranked.columns)].reset_index(drop=True)


def in_windows(peaks: pd.DataFrame, windows: Sequence[Interval], gene_ids: Sequence[str]) -> pd.DataFrame:
    """Peaks cut to each window they reach into, one row per gene and peak, best first.

    Parameters
    ----------
    peaks : DataFrame
        chrom, start, end, score, summit_bp.
    windows, gene_ids : sequences

    Returns
    -------
    DataFrame
        chrom, start, end, gene_id, score, summit_bp.
    """
    parts = []
    by_chrom = {str(name): part for name, part in peaks.groupby("chrom", sort=False)}
    for window, gene_id in zip(windows, gene_ids):
        part = by_chrom.get(window.chrom)
        if part is None:
            continue
        hit = part[((part["start"] < window.end) & (part["end"] > window.start)).to_numpy()]
        if hit.empty:
            continue
        start = hit["start"].clip(lower=window.start)
        end = hit["end"].clip(upper=window.end)
        summit = (hit["start"] + hit["summit_bp"] - start).clip(lower=0)
        summit = np.minimum(summit, end - start - 1)
        parts.append(hit.assign(start=start, end=end, summit_bp=summit, gene_id=gene_id))
    columns = ["chrom", "start", "end", "gene_id", "score", "summit_bp"]
    if not parts:
        return peaks.iloc[:0].assign(gene_id=pd.Series(dtype=str))[columns]
    cut = pd.concat(parts, ignore_index=True)[columns]
    return cut.sort_values("score", ascending=False, kind="stable", ignore_index=True)


def cover(intervals: pd.DataFrame, windows: Sequence[Interval], gene_ids: Sequence[str]) -> list[NDArray[np.bool_]]:
    """Bases (L,) of each window that its own gene's intervals cover, along the forward strand."""
    covers = [np.zeros(window.width, dtype=bool) for window in windows]
    number = {gene_id: row for row, gene_id in enumerate(gene_ids)}
    columns = (intervals[name] for name in ("chrom", "gene_id", "start", "end"))
    for chrom, gene_id, start, end in zip(*columns):
        row = number.get(gene_id)
        if row is not None and windows[row].chrom == chrom:
            offset = windows[row].start
            covers[row][max(0, start - offset) : max(0, end - offset)] = True
    return covers


@dataclass(frozen=True)
class Overlap:
    """Pooled agreement of two sets of intervals within the same windows.

    Attributes
    ----------
    num_windows, elements_bp, peaks_bp, shared_bp : int
    precision, recall, jaccard : float
        Of elements with peaks as reference, in base pairs.
    median_distance_bp : float
        From each element's middle to the nearest peak of its window; NaN without any.
    enrichment, enrichment_z, enrichment_p : float
        Shared base pairs over those of elements shifted round their window at random; p is one-sided.
    """

    num_windows: int
    elements_bp: int
    peaks_bp: int
    shared_bp: int
    precision: float
    recall: float
    jaccard: float
    median_distance_bp: float
    enrichment: float
    enrichment_z: float
    enrichment_p: float


def compare(
    elements: pd.DataFrame,
    peaks: pd.DataFrame,
    windows: Sequence[Interval],
    gene_ids: Sequence[str],
    *,
    num_permutations: int = 500,
    seed: int = 0,
) -> tuple[Overlap, pd.DataFrame]:
    """Compare elements with peaks.

    Parameters
    ----------
    elements, peaks : DataFrame
        chrom, start, end, gene_id; both already cut to the windows and to the budget (:func:`in_windows`,
        :func:`trim_to_budget`).
    windows, gene_ids : sequences
        The genes compared.
    num_permutations : int
        Random circular shifts of each window's elements.
    seed : int

    Returns
    -------
    Overlap, DataFrame
        Pooled figures; and per gene: gene_id, elements_bp, peaks_bp, shared_bp, precision, recall, jaccard,
        median_distance_bp, enrichment, enrichment_p.
    """
    if len(windows) == 0 or len(set(gene_ids)) != len(gene_ids):
        raise DataError(f"{len(windows)} windows to compare in", expected="at least one gene, each with one window")
    if num_permutations < 1:
        raise ConfigError(f"{num_permutations} permutations", expected="at least 1")
    rng = np.random.default_rng(seed)
    of_gene = [dict(list(table.groupby("gene_id", sort=False))) for table in (elements, peaks)]
    null = np.zeros((len(windows), num_permutations))
    rows = []
    distances = _distances(elements[elements["gene_id"].isin(list(gene_ids))], peaks)
    for row, (window, gene_id) in enumerate(zip(windows, gene_ids)):
        parts = (found.get(gene_id, elements.iloc[:0]) for found in of_gene)
        own, reference = (cover(part, [window], [gene_id])[0] for part in parts)
        shared = int((own & reference).sum())
        null[row] = _shifted_overlap(own, reference, rng.integers(0, len(own), num_permutations))
        figures = _figures(int(own.sum()), int(reference.sum()), shared)
        over = over_null(shared, null[row])
        distance = distances.get(gene_id, [])
        middle = float(np.median(distance)) if distance else np.nan
        rows.append((gene_id, *figures, middle, over[0], over[2]))
    columns = ["gene_id", "elements_bp", "peaks_bp", "shared_bp", "precision", "recall", "jaccard"]
    table = pd.DataFrame(rows, columns=[*columns, "median_distance_bp", "enrichment", "enrichment_p"])
    sums = (int(table[c].sum()) for c in ("elements_bp", "peaks_bp", "shared_bp"))
    figures = _figures(*sums)
    pooled = [value for values in distances.values() for value in values]
    middle = float(np.median(pooled)) if pooled else np.nan
    return Overlap(len(windows), *figures, middle, *over_null(figures[2], null.sum(axis=0))), table


def overlap_bounds(per_gene: pd.DataFrame, num_resamples: int = 1000, seed: int = 0) -> dict[str, Bound]:
    """Pooled precision, recall and Jaccard index with their 95 % bootstrap intervals over genes.

    Parameters
    ----------
    per_gene : DataFrame
        Table of :func:`compare`: whole genes are drawn, and their base pairs added up.
    """
    counts = per_gene[["elements_bp", "peaks_bp", "shared_bp"]].to_numpy(np.int64)
    draws = resampled_rows(len(counts), num_resamples=num_resamples, seed=seed)
    resampled = [_figures(*counts[rows].sum(axis=0).tolist()) for rows in draws]
    whole = _figures(*counts.sum(axis=0).tolist())
    numbers = {"precision": 3, "recall": 4, "jaccard": 5}
    return {
        name: percentile_interval(whole[number], [figures[number] for figures in resampled])
        for name, number in numbers.items()
    }


def _figures(elements_bp: int, peaks_bp: int, shared_bp: int) -> tuple[int, int, int, float, float, float]:
    def share(whole: int) -> float:
        return shared_bp / whole if whole else float("nan")

    union = elements_bp + peaks_bp - shared_bp
    return elements_bp, peaks_bp, shared_bp, share(elements_bp), share(peaks_bp), share(union)


def _shifted_overlap(
    own: NDArray[np.bool_], reference: NDArray[np.bool_], shifts: NDArray[np.integer]
) -> NDArray[np.float64]:
    """Shared bases after each circular shift; all shifts at once by the convolution theorem."""
    if not own.any() or not reference.any():
        return np.zeros(len(shifts))
    spectrum = np.fft.rfft(own.astype(np.float64)).conj() * np.fft.rfft(reference.astype(np.float64))
    return np.rint(np.fft.irfft(spectrum, n=len(own)))[shifts]


def over_null(observed: int, null: NDArray[np.float64]) -> tuple[float, float, float]:
    """Observed over the mean of a null (B,), z, and one-sided p = (1 + null at least as high) / (1 + B)."""
    mean, spread = float(null.mean()), float(null.std())
    ratio = observed / mean if mean > 0 else float("nan")
    z = (observed - mean) / spread if spread > 0 else float("nan")
    return ratio, z, float((1 + (null >= observed).sum()) / (1 + len(null)))


def _distances(elements: pd.DataFrame, peaks: pd.DataFrame) -> dict[str, list[float]]:
    """Distance of each element's middle to the nearest peak of the same gene, 0 inside a peak; in bp."""
    found: dict[str, list[float]] = {}
    by_gene = {gene: (p["start"].to_numpy(), p["end"].to_numpy()) for gene, p in peaks.groupby("gene_id", sort=False)}
    for gene, start, end in zip(elements["gene_id"], elements["start"], elements["end"]):
        if gene in by_gene:
            first, last = by_gene[gene]
            middle = (start + end) / 2
            gap = np.maximum(np.maximum(first - middle, middle - last), 0.0)
            found.setdefault(gene, []).append(float(gap.min()))
    return found
