"""What kept bins are worth to a predictor: trained anew under a frozen mask, or asked with bins opened and closed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from seqexp.dna.benchmark.frame import Frame
from seqexp.dna.benchmark.trained import train
from seqexp.dna.elements.calling import kept_bins
from seqexp.dna.models.masked import save_kept
from seqexp.objectives.bootstrap import Bound, bootstrap_interval
from seqexp.objectives.metrics import pearson

Bools = NDArray[np.bool_]


def keep_best(scores: NDArray[np.floating], frame: Frame, share: float) -> Bools:
    """Bins (R, N), gene orientation, that a ranking keeps: the same share of the free bins of every window.

    One number of bins for all windows: how many are kept can then tell a predictor nothing. The promoter, where one is
    forced, is kept beside them. Ties go to the bins nearest to the middle, bins of the lowest score (such as those
    without any peak) are never kept.
    """
    order = np.where(frame.usable, scores, -np.inf)
    order = order - min(float(order[np.isfinite(order)].min()), 0.0)
    ranked = frame.masks.with_values(np.where(frame.usable, order, 0.0))
    budget_bp = int(share * frame.usable.sum(axis=1).max()) * frame.masks.bin_bp
    kept = frame.masks.forward(kept_bins(ranked, budget_bp=max(budget_bp, frame.masks.bin_bp), scope="gene"))
    return np.asarray((kept & frame.usable) | frame.promoter)


def test_accuracy(run: Any, frame: Frame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Predictions and targets (n,) of the test genes, in frame order, on the scale of the target's unit."""
    return masked_predictions(run, frame, None)[1:]


def masked_predictions(
    run: Any, frame: Frame, kept: Bools | None, split: str = "test"
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Frame rows, predictions and targets (n,) of a split, with masks (R, N) in place of the network's own."""
    place = {int(row): number for number, row in enumerate(frame.index)}
    loader = {"test": run.datamodule.test_dataloader, "val": run.datamodule.val_dataloader}[split]()
    rows, predicted, target = [], [], []
    run.network.eval()
    with torch.inference_mode():
        for batch in loader:
            own = [place[int(row)] for row in batch.index]
            mask = None if kept is None else torch.from_numpy(kept[own].astype(np.float32))
            output = run.network(batch, mask=mask)
            rows += own
            predicted.append(run.transform.restore(output.prediction.float()).numpy()[:, 0])
            target.append(run.transform.restore(batch.target.float()).numpy()[:, 0])
    return np.array(rows), np.concatenate(predicted).astype(np.float64), np.concatenate(target).astype(np.float64)


def retrain(folder: Path, config: str, flags: Sequence[str], kept: Bools | None, frame: Frame) -> Bound:
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
    run = train(folder, config, [*flags, *more])
    predicted, target = test_accuracy(run, frame)
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


def faithfulness(run: Any, frame: Frame, kept: Bools) -> Faithfulness:
    """Sufficiency and comprehensiveness (DeYoung et al., ACL 2020, ERASER) of kept bins (R, N)."""
    _, full, target = masked_predictions(run, frame, np.ones_like(kept))
    _, alone, _ = masked_predictions(run, frame, kept)
    _, without, _ = masked_predictions(run, frame, ~kept)
    bound = bootstrap_interval(pearson, alone, target)
    return Faithfulness(
        *bound[:3],
        comprehensiveness=float(pearson(full, target) - pearson(without, target)),
        shift_kept=float(np.abs(full - alone).mean()),
        shift_removed=float(np.abs(full - without).mean()),
    )


def accuracy_curve(run: Any, frame: Frame, scores: NDArray[np.floating], shares: Sequence[float]) -> dict[float, float]:
    """Test Pearson from the best bins of a ranking alone, at several budgets."""
    accuracy = {}
    for share in shares:
        _, predicted, target = masked_predictions(run, frame, keep_best(scores, frame, share))
        accuracy[share] = float(pearson(predicted, target))
    return accuracy
