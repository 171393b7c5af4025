"""The published comparison, made fair: one trained predictor, its mask replaced by fixed ones of equal budget."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from seqexp.core.errors import DataError
from seqexp.objectives.bootstrap import bootstrap_interval
from seqexp.objectives.metrics import mean_pearson

if TYPE_CHECKING:
    from seqexp.dna.loaders.batch import SequenceBatch
    from seqexp.objectives.transforms import TargetTransform


def fixed_mask_scores(
    network: Any,
    batches: Iterable[SequenceBatch],
    masks: Mapping[str, Mapping[int, NDArray[np.bool_]]],
    transform: TargetTransform,
) -> pd.DataFrame:
    """Score one network under several fixed masks.

    Parameters
    ----------
    network : nn.Module
        Predicts under a mask that is given (:class:`seqexp.objectives.contracts.ReadsMasks`).
    batches : iterable of SequenceBatch
        Genes to score, not augmented.
    masks : mapping
        Name of a mask to, by row of the gene table, the kept bins (N,) in gene orientation, promoter included.
    transform : TargetTransform
        Brings predictions and targets to their unit.

    Returns
    -------
    DataFrame
        mask, kept (mean share of the window), pearson (mean over targets), low, high, mse; one row per mask.

    Raises
    ------
    DataError
        There are no batches.

    Notes
    -----
    Source: Su et al. 2025, Table 2, whose MACS3 row lacked the forced promoter that the other rows had; here every
    mask has it.
    """
    predictions: dict[str, list[np.ndarray]] = {name: [] for name in masks}
    kept: dict[str, list[np.ndarray]] = {name: [] for name in masks}
    targets = []
    was_training = network.training
    network.eval()
    with torch.inference_mode():
        for batch in batches:
            rows = batch.index.tolist()
            targets.append(transform.restore(batch.target.float()).cpu().numpy())
            for name, by_row in masks.items():
                mask = np.stack([by_row[row] for row in rows]).astype(np.float32)
                predicted = network.predict_under(batch, torch.from_numpy(mask).to(batch.target.device))
                predictions[name].append(transform.restore(predicted.float()).cpu().numpy())
                kept[name].append(mask.mean(axis=1))
    network.train(was_training)
    if not targets:
        raise DataError("no genes to score under fixed masks", expected="at least one batch")
    target = np.concatenate(targets)
    rows_out = []
    for name in masks:
        predicted = np.concatenate(predictions[name])
        bound = bootstrap_interval(mean_pearson, predicted, target)
        mse = float(np.mean((predicted - target) ** 2))
        rows_out.append((name, float(np.concatenate(kept[name]).mean()), *bound[:3], mse))
    return pd.DataFrame(rows_out, columns=["mask", "kept", "pearson", "low", "high", "mse"])
