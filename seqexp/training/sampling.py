"""Samples of a run's test rows, for networks that predict a distribution."""

from __future__ import annotations

import torch

from seqexp.objectives.contracts import Samples
from seqexp.objectives.samples import sample_metrics, summarise_samples
from seqexp.training.run import Run

NUM_SAMPLES = 50


def score_samples(run: Run, num_samples: int = NUM_SAMPLES, seed: int = 0) -> dict[str, float]:
    """Sample every test row of a run and score the samples; nothing for a network without :class:`Samples`.

    Parameters
    ----------
    run : Run
        With its data read.
    num_samples : int
        Per row.
    seed : int
        Samples follow from it and from the row, whatever the batches.

    Returns
    -------
    dict
        See :func:`seqexp.objectives.samples.sample_metrics`; in the unit of predictions.
    """
    network = run.network
    if not isinstance(network, Samples):
        return {}
    parts, device = [], next(network.parameters()).device
    measured = getattr(run.datamodule, "transform", run.transform)
    with torch.inference_mode():
        for batch in run.datamodule.test_dataloader():
            batch = batch.to(device)
            draws = run.transform.restore(network.sample(batch, num_samples, seed).float())
            target = measured.restore(batch.target.float())
            parts.append(summarise_samples(draws.cpu().numpy(), target.cpu().numpy()))
    return sample_metrics(parts, num_samples)
