"""Rankings against planted truth, against themselves under other seeds, and what selectors keep by themselves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from seqexp.dna.benchmark.frame import Frame
from seqexp.dna.elements.calling import kept_bins
from seqexp.dna.evaluation.truth import at_budget, score_truth
from seqexp.training.run import Run


def own_share(run: Run) -> float:
    """Share of the free bins of the test windows that a selector itself keeps, by its mask."""
    kept, free = 0.0, 0.0
    with torch.inference_mode():
        for batch in run.datamodule.test_dataloader():
            selection = run.network.select(batch)  # type: ignore[operator]
            is_free = (~selection.forced).float()
            kept += float((selection.mask * is_free).sum())
            free += float(is_free.sum())
    return kept / max(free, 1.0)


def score_rows(
    frame: Frame,
    scores: Mapping[tuple[str, int], NDArray[np.float32]],
    kept: Mapping[tuple[str, int], NDArray[np.bool_]],
    own: Mapping[tuple[str, int], float],
) -> pd.DataFrame:
    """Every ranking over the free bins of the test windows, seed by seed.

    Parameters
    ----------
    frame : Frame
    scores, kept : mappings
        Ranking and seed to the scores and to the bins kept at the budget, each (R, N) of all genes.
    own : mapping
        Ranking and seed to :func:`own_share`.

    Returns
    -------
    DataFrame
        arm, seed, kept (share), own_share, jaccard (over the seeds of the ranking); with planted elements also auprc
        with ``_low`` and ``_high``, auroc, precision and recall of as many bins as are planted.
    """
    test = frame.rows("test")
    usable = frame.usable[test]
    rows = []
    for (name, seed), values in scores.items():
        row: dict[str, Any] = {"arm": name, "seed": seed}
        row["kept"] = float(kept[name, seed][test][usable].mean())
        row["own_share"] = own.get((name, seed), math.nan)
        if frame.planted is not None:
            ranked, planted = values[test], frame.planted[test]
            area = score_truth(ranked, planted, is_used=usable)
            row |= {"auprc": area.value, "auprc_low": area.low, "auprc_high": area.high}
            row["auroc"] = float(roc_auc_score(planted[usable], ranked[usable]))
            pooled = _pooled(frame, ranked, test, int((planted & usable).sum()))
            row["precision"], row["recall"] = at_budget(pooled & usable, planted & usable)
        rows.append(row)
    table = pd.DataFrame(rows)
    jaccards = {
        name: mean_jaccard({seed: kept[name, seed][test] & usable for n, seed in scores if n == name})
        for name in table["arm"].unique()
    }
    return table.assign(jaccard=table["arm"].map(jaccards))


def _pooled(frame: Frame, ranked: NDArray[np.float32], test: NDArray[np.int64], num: int) -> NDArray[np.bool_]:
    """The best ``num`` free bins of all test windows together, gene orientation."""
    masks = frame.masks.select(test)
    low = min(float(ranked.min()), 0.0)
    chosen = masks.with_values(np.where(frame.usable[test], ranked - low, 0.0), "ranking")
    return kept_bins(chosen, budget_bp=num * masks.bin_bp)


def mean_jaccard(kept: Mapping[int, NDArray[np.bool_]]) -> float:
    """Mean over pairs of seeds of shared over united kept bins; NaN with fewer than two seeds."""
    masks = list(kept.values())
    pairs = [(a, b) for number, a in enumerate(masks) for b in masks[number + 1 :]]
    if not pairs:
        return float("nan")
    return float(np.mean([(a & b).sum() / max((a | b).sum(), 1) for a, b in pairs]))
