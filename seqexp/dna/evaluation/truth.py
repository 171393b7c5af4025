"""Scores against planted elements: area under precision-recall, precision and recall at a budget."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve

from seqexp.core.errors import DataError
from seqexp.dna.elements.bin_scores import BinScores
from seqexp.dna.evaluation.compare import cover, in_windows
from seqexp.objectives.bootstrap import Bound, percentile_interval, resampled_rows


def filled_bins(intervals: pd.DataFrame, masks: BinScores) -> NDArray[np.bool_]:
    """Bins (R, N), gene orientation, that intervals of the same gene (``gene_id``) fill at least to a half."""
    covers = cover(intervals, masks.windows, masks.gene_ids)
    share = np.stack([bases.reshape(-1, masks.bin_bp).mean(axis=1, dtype=np.float32) for bases in covers])
    return np.asarray(masks.turned(share >= 0.5), dtype=bool)


def planted_bins(truth: pd.DataFrame, masks: BinScores) -> NDArray[np.bool_]:
    """Bins (R, N), gene orientation, that a causal element of the same gene fills at least to a half.

    An element too short to fill half a bin counts in the bin of its middle, so that none is lost.

    Raises
    ------
    DataError
        No chromosome of the elements is one of the masks.
    """
    truth = masks.resolve(truth, "the table of elements").table
    is_planted, starts = filled_bins(truth, masks), masks.starts()
    row_of = {gene_id: row for row, gene_id in enumerate(masks.gene_ids)}
    for chrom, gene_id, start, end in zip(truth["chrom"], truth["gene_id"], truth["start"], truth["end"]):
        row = row_of.get(gene_id)
        if row is not None and masks.windows[row].chrom == chrom:
            middle = (int(start) + int(end)) // 2
            is_planted[row] |= (starts[row] <= middle) & (middle < starts[row] + masks.bin_bp)
    return is_planted


def above_zero(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores (n,) of intervals as they are if all are above 0, else raised so that the lowest is 1."""
    lowest = float(scores.min(initial=1.0))
    return scores if lowest > 0 else scores - lowest + 1


def peak_scores(peaks: pd.DataFrame, masks: BinScores) -> NDArray[np.float32]:
    """Score (R, N) of each bin, gene orientation: that of the best peak over its middle, 0 without one.

    Where a peak has a score of 0 or below, all are raised by the same number, so that any peak ranks above none.

    Raises
    ------
    DataError
        No chromosome of the peaks is one of the masks.
    """
    peaks = masks.resolve(peaks, "the table of peaks").table
    peaks = peaks.assign(score=above_zero(peaks["score"].to_numpy(np.float64)))
    scores = np.zeros(masks.values.shape, dtype=np.float32)
    middles = masks.starts() + masks.bin_bp // 2
    row_of = {gene_id: row for row, gene_id in enumerate(masks.gene_ids)}
    for peak in in_windows(peaks, masks.windows, masks.gene_ids).itertuples():
        row = row_of[str(peak.gene_id)]
        is_over = (middles[row] >= peak.start) & (middles[row] < peak.end)
        scores[row] = np.where(is_over, np.maximum(scores[row], peak.score), scores[row])
    return scores


def score_truth(
    scores: NDArray[np.floating],
    is_planted: NDArray[np.bool_],
    num_resamples: int = 200,
    is_used: NDArray[np.bool_] | None = None,
) -> Bound:
    """Average precision over the bins of all genes, ties taken together, with its 95 % interval over genes.

    Parameters
    ----------
    scores, is_planted : arrays (R, N)
    num_resamples : int
        Bootstrap draws of whole genes.
    is_used : bool array (R, N), optional
        Bins that count, such as those on the chromosome and outside a forced promoter; all by default.

    Raises
    ------
    DataError
        A score is not finite.
    """
    used = np.ones(scores.shape, dtype=bool) if is_used is None else is_used
    row, value, positive = np.nonzero(used)[0], scores[used], is_planted[used]
    _require_finite(value)
    order = np.argsort(-value, kind="stable")
    row, value, positive = row[order], value[order], positive[order]
    ends = np.append(np.flatnonzero(np.diff(value) != 0), len(value) - 1)

    def area(genes: NDArray[np.int64]) -> float:
        """Average precision when each gene counts as often as it was drawn; sorted once for all draws."""
        weight = np.bincount(genes, minlength=len(scores)).astype(np.float64)[row]
        found = np.cumsum(weight * positive)[ends]
        kept = np.cumsum(weight)[ends]
        if not len(found) or found[-1] == 0:
            return float("nan")
        precision = found / np.maximum(kept, 1e-300)
        return float((precision * np.diff(found, prepend=0.0)).sum() / found[-1])

    draws = resampled_rows(len(scores), num_resamples=num_resamples)
    return percentile_interval(area(np.arange(len(scores))), [area(genes) for genes in draws])


def at_budget(kept: NDArray[np.bool_], is_planted: NDArray[np.bool_]) -> tuple[float, float]:
    """Precision and recall of kept bins (R, N)."""
    hit = int((kept & is_planted).sum())
    num_kept, num_planted = int(kept.sum()), int(is_planted.sum())
    return (hit / num_kept if num_kept else float("nan")), (hit / num_planted if num_planted else float("nan"))


def curve(
    scores: NDArray[np.floating], is_planted: NDArray[np.bool_], num_points: int = 400
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Steps of precision over recall, ties taken together, and the area under them, for drawing.

    Returns
    -------
    recall, precision : arrays (K,), K at most ``num_points + 1``
        ``precision[k]`` holds from ``recall[k - 1]`` (0 for the first) to ``recall[k]``. Of more steps, neighbours are
        united under their mean, which leaves the area as it is.
    area : float
        Average precision.

    Raises
    ------
    DataError
        Nothing is planted, or a score is not finite.
    """
    _require_finite(scores)
    if not is_planted.any():
        raise DataError("no bin is planted", expected="planted elements in the windows that are scored")
    precision, recall, _ = precision_recall_curve(is_planted.ravel(), scores.ravel())
    edges, heights = recall[::-1], precision[::-1][1:]  # rising recall; without the point (0, 1) that no cutoff gives
    widths = np.diff(edges)
    is_step = widths > 0
    edges, heights, widths = edges[1:][is_step], heights[is_step], widths[is_step]
    block = np.ceil(edges * num_points - 1e-9).astype(np.int64) if len(edges) > num_points else np.arange(len(edges))
    last = np.append(np.flatnonzero(np.diff(block)), len(block) - 1)
    covered = np.diff(np.cumsum(widths * heights)[last], prepend=0.0)
    return edges[last], covered / np.diff(edges[last], prepend=0.0), float(covered.sum())


def _require_finite(scores: NDArray[np.floating]) -> None:
    if not np.isfinite(scores).all():
        raise DataError(f"{int((~np.isfinite(scores)).sum())} scores are not finite", expected="a number for every bin")
