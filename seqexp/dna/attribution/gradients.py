"""Gradient times input, corrected for the simplex."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from einops import reduce
from numpy.typing import NDArray
from torch import Tensor

from seqexp.dna.loaders.batch import SequenceBatch
from seqexp.dna.models.binning import token_signals
from seqexp.objectives.contracts import ReadsInputs


def corrected(gradient: Tensor) -> Tensor:
    """Gradients (..., 4) with respect to one-hot bases, less their mean over the bases: no base can change alone.

    Source: Majdandzic et al., Genome Biology 2023.
    """
    return gradient - gradient.mean(dim=-1, keepdim=True)


def bin_attributions(network: ReadsInputs, batches: Iterable[SequenceBatch]) -> tuple[NDArray, NDArray]:
    """How much each bin of each window moves the prediction, by gradient times input.

    Parameters
    ----------
    network : ReadsInputs
        In evaluation mode, with everything open.
    batches : iterable of SequenceBatch
        Not augmented.

    Returns
    -------
    index : int64 array (R,)
        Rows of the gene table.
    scores : float32 array (R, N)
        Absolute values, summed over the bases of a bin and its tracks; gene orientation.
    """
    rows, scores = [], []
    for batch in batches:
        one_hot = batch.one_hot().requires_grad_()
        signals = torch.nan_to_num(token_signals(batch, network.bin_bp)).requires_grad_()
        total = network.predict_inputs(batch, one_hot, signals).sum()
        of_bases, of_signals = torch.autograd.grad(total, (one_hot, signals), allow_unused=True)
        by_base = (corrected(of_bases) * one_hot).sum(-1).abs().detach()
        by_bin = reduce(by_base, "b (n bp) -> b n", "sum", bp=network.bin_bp)
        if of_signals is not None:
            by_bin = by_bin + (of_signals * signals).detach().abs().sum(-1)
        rows.append(batch.index.numpy())
        scores.append(by_bin.numpy().astype(np.float32))
    return np.concatenate(rows), np.concatenate(scores)
