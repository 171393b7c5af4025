"""Scores against planted elements: area under precision-recall, precision and recall at a budget."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve

from seqexp.dna.elements.compare import cover, in_windows
from seqexp.dna.elements.masks import MaskSet
from seqexp.objectives.bootstrap import Bound, bootstrap_interval
from seqexp.objectives.metrics import average_precision


def to_bins(covers: Sequence[NDArray[np.bool_]], bin_bp: int) -> NDArray[np.float32]:
    """Covered share (R, N) of every bin."""
    return np.stack([c.reshape(-1, bin_bp).mean(axis=1, dtype=np.float32) for c in covers])


def planted_bins(truth: pd.DataFrame, masks: MaskSet) -> NDArray[np.bool_]:
    """Bins (R, N), along the forward strand, at least half of which lies in a causal element of the same gene."""
    return to_bins(cover(truth, masks.windows, masks.gene_ids), masks.bin_bp) >= 0.5


def peak_scores(peaks: pd.DataFrame, masks: MaskSet) -> NDArray[np.float32]:
    """Score (R, N) of each bin, along the forward strand: that of the best peak over its middle, 0 without one."""
    scores = np.zeros(masks.values.shape, dtype=np.float32)
    middles = masks.starts() + masks.bin_bp // 2
    row_of = {gene_id: row for row, gene_id in enumerate(masks.gene_ids)}
    for peak in in_windows(peaks, masks.windows, masks.gene_ids).itertuples():
        row = row_of[str(peak.gene_id)]
        hit = (middles[row] >= peak.start) & (middles[row] < peak.end)
        scores[row, hit] = np.maximum(scores[row, hit], peak.score)
    return scores


def signal_rule(signals: NDArray[np.floating], high: NDArray[np.floating]) -> NDArray[np.float32]:
    """The fixed rule a selector must beat: the mean over tracks of signal / threshold.

    Parameters
    ----------
    signals : array (R, N, T)
    high : array (T,)
        Threshold of each track: a high quantile of the training windows.

    Returns
    -------
    float32 array (R, N)
        Zero throughout without tracks.

    Notes
    -----
    Source: the rule that the released hard selector comes close to (weighted signals over thresholds), with equal
    weights and with thresholds taken from the training split.
    """
    if signals.shape[-1] == 0:
        return np.zeros(signals.shape[:-1], dtype=np.float32)
    return (np.nan_to_num(signals) / np.maximum(high, 1e-6)).mean(axis=-1).astype(np.float32)


def score_truth(scores: NDArray[np.floating], is_planted: NDArray[np.bool_], num_resamples: int = 200) -> Bound:
    """Average precision over the bins (R, N) of all genes, ties grouped, with its 95 % interval over genes."""

    def area(score: NDArray[np.floating], positive: NDArray[np.bool_]) -> float:
        return average_precision(score.ravel(), positive.ravel())

    return bootstrap_interval(area, scores, is_planted, num_resamples=num_resamples)


def at_budget(kept: NDArray[np.bool_], is_planted: NDArray[np.bool_]) -> tuple[float, float]:
    """Precision and recall of kept bins (R, N)."""
    hit = int((kept & is_planted).sum())
    num_kept, num_planted = int(kept.sum()), int(is_planted.sum())
    return (hit / num_kept if num_kept else float("nan")), (hit / num_planted if num_planted else float("nan"))


def curve(
    scores: NDArray[np.floating], is_planted: NDArray[np.bool_], num_points: int = 400
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Recall, precision (at most ``num_points`` each, rising recall) and the area, for drawing."""
    precision, recall, _ = precision_recall_curve(is_planted.ravel(), scores.ravel())
    area = average_precision(scores.ravel(), is_planted.ravel())
    picked = np.unique(np.linspace(0, len(recall) - 1, num_points).astype(int))[::-1]
    return recall[picked], precision[picked], area
