"""What kept bins are worth to a predictor: trained anew under a frozen mask, or asked with bins opened and closed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Subset

from seqexp.dna.benchmark.frame import Frame
from seqexp.dna.benchmark.trained import train
from seqexp.dna.elements.calling import kept_bins
from seqexp.dna.loaders.batch import collate
from seqexp.dna.models.masked import save_kept
from seqexp.objectives.bootstrap import Bound, bootstrap_interval
from seqexp.objectives.metrics import pearson

Bools = NDArray[np.bool_]
MOST_ASKED = 500  # test genes that the reader of random masks is asked about, under seven masks per ranking


def keep_best(scores: NDArray[np.floating], frame: Frame, share: float) -> Bools:
    """Bins (R, N), gene orientation, that a ranking keeps: the same share of the free bins of every window.

    One number of bins for all windows: how many are kept can then tell a predictor nothing. The promoter, where one is
    forced, is kept beside them. Ties go to the bins nearest to the middle, bins of the lowest score (such as those
    without any peak) are never kept.
    """
    order = np.where(frame.usable, scores, -np.inf)
    order = order - min(float(order[np.isfinite(order)].min()), 0.0)
    ranked = frame.masks.with_values(np.where(frame.usable, order, 0.0), "ranking")
    budget_bp = int(share * frame.usable.sum(axis=1).max()) * frame.masks.bin_bp
    kept = kept_bins(ranked, budget_bp=max(budget_bp, frame.masks.bin_bp), scope="gene")
    return np.asarray((kept & frame.usable) | frame.promoter)


def masked_predictions(
    run: Any, frame: Frame, kept: Bools | None, most: int | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Predictions and targets (n,) of test genes, on the scale of the target's unit.

    Parameters
    ----------
    run : Run
    frame : Frame
    kept : bool array (R, N), optional
        Masks in place of the network's own.
    most : int, optional
        At most so many test genes, always the same ones.
    """
    place = {int(row): number for number, row in enumerate(frame.index)}
    dataset = run.datamodule.dataset("test")
    chosen = np.sort(np.random.default_rng(0).permutation(len(dataset))[:most])
    loader = DataLoader(Subset(dataset, chosen.tolist()), batch_size=run.datamodule.batch_size, collate_fn=collate)
    predicted, target = [], []
    run.network.eval()
    with torch.inference_mode():
        for batch in loader:
            own = [place[int(row)] for row in batch.index]
            if kept is None:
                raw = run.network(batch).prediction
            else:
                raw = run.network.predict_under(batch, torch.from_numpy(kept[own].astype(np.float32)))
            predicted.append(run.transform.restore(raw.float()).numpy()[:, 0])
            target.append(run.transform.restore(batch.target.float()).numpy()[:, 0])
    return np.concatenate(predicted).astype(np.float64), np.concatenate(target).astype(np.float64)


def retrain(folder: Path, configs: Sequence[str], flags: Sequence[str], kept: Bools | None, *, frame: Frame) -> Bound:
    """Test Pearson of a predictor trained anew on what a frozen mask (R, N) keeps; None keeps everything.

    Notes
    -----
    Source: "retrain" of Su et al., ICLR 2025, Table 2. Bases and signals of dropped bins are blanked before the network
    sees them.
    """
    more = []
    if kept is not None:
        folder.parent.mkdir(parents=True, exist_ok=True)
        path = folder.with_suffix(".kept.npz")
        by_gene = np.zeros((len(frame.data.genes.frame), kept.shape[1]), dtype=bool)
        by_gene[frame.index] = kept
        save_kept(path, by_gene, frame.data.upstream_bp, frame.masks.bin_bp)
        more.append(f"--model.network.init_args.masks={path.absolute()}")
    run = train(folder, configs, [*flags, *more])
    predicted, target = masked_predictions(run, frame, None)
    return bootstrap_interval(pearson, predicted, target)


@dataclass(frozen=True)
class Faithfulness:
    """What a predictor that was trained on random masks says of a selection, over the test genes.

    Attributes
    ----------
    sufficiency, sufficiency_low, sufficiency_high : float
        Pearson with the measurement from the kept bins alone, with its 95 % interval over genes.
    comprehensiveness : float
        Pearson lost when the kept bins are closed and all others open.
    shift_kept, shift_removed : float
        Mean absolute change of the prediction against everything open, in units of the target.
    """

    sufficiency: float
    sufficiency_low: float
    sufficiency_high: float
    comprehensiveness: float
    shift_kept: float
    shift_removed: float


def faithfulness(run: Any, frame: Frame, kept: Bools, full: NDArray[np.float64]) -> Faithfulness:
    """Sufficiency and comprehensiveness (DeYoung et al., ACL 2020, ERASER) of kept bins (R, N).

    Parameters
    ----------
    run : Run
        Of a reader trained on random masks.
    frame : Frame
    kept : bool array (R, N)
    full : array (n,)
        Its predictions with everything open, see :func:`ask_open`.
    """
    alone, target = masked_predictions(run, frame, kept, MOST_ASKED)
    without, _ = masked_predictions(run, frame, ~kept, MOST_ASKED)
    bound = bootstrap_interval(pearson, alone, target)
    return Faithfulness(
        *bound[:3],
        comprehensiveness=float(pearson(full, target) - pearson(without, target)),
        shift_kept=float(np.abs(full - alone).mean()),
        shift_removed=float(np.abs(full - without).mean()),
    )


def ask_open(run: Any, frame: Frame) -> NDArray[np.float64]:
    """Predictions (n,) of a reader with everything open, for the genes that it is asked about."""
    return masked_predictions(run, frame, np.ones(frame.usable.shape, dtype=bool), MOST_ASKED)[0]


def accuracy_curve(run: Any, frame: Frame, scores: NDArray[np.floating], shares: Sequence[float]) -> dict[float, float]:
    """Test Pearson from the best bins of a ranking alone, at several budgets."""
    accuracy = {}
    for share in shares:
        predicted, target = masked_predictions(run, frame, keep_best(scores, frame, share), MOST_ASKED)
        accuracy[share] = float(pearson(predicted, target))
    return accuracy
