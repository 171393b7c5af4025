"""A batch at the resolution of a model's tokens: signals, blacklist and distances per bin."""

from __future__ import annotations

import torch
from einops import reduce
from torch import Tensor

from seqexp.core.errors import ConfigError
from seqexp.dna.loaders.batch import SequenceBatch


def token_distance_bp(batch: SequenceBatch, bin_bp: int) -> Tensor:
    """Signed distance (B, N) of bin centres from the TSS in the direction of transcription; negative upstream."""
    num_tokens = batch.codes.shape[1] // bin_bp
    centre = (torch.arange(num_tokens, device=batch.codes.device) + 0.5) * bin_bp - 0.5
    distance = centre - batch.tss_bp.unsqueeze(1).float()
    return torch.where(batch.is_reversed.unsqueeze(1), -distance, distance)


def token_signals(batch: SequenceBatch, bin_bp: int) -> Tensor:
    """Mean signals (B, N, T) per bin over known values, NaN where none is known.

    Raises
    ------
    ConfigError
        ``bin_bp`` is no multiple of the bins that the batch comes in.
    """
    signals, fold = batch.signal_values(), _fold(batch, bin_bp)
    return signals if fold == 1 or signals.shape[-1] == 0 else signals.unflatten(1, (-1, fold)).nanmean(2)


def token_blacklist(batch: SequenceBatch, bin_bp: int) -> Tensor:
    """Bins (B, N) that touch the blacklist; raises as :func:`token_signals` does."""
    fold = _fold(batch, bin_bp)
    return batch.blacklist if fold == 1 else reduce(batch.blacklist, "b (n fold) -> b n", "any", fold=fold)


def _fold(batch: SequenceBatch, bin_bp: int) -> int:
    """Bins of the batch in one of the model's."""
    if bin_bp % batch.bin_bp:
        raise ConfigError(
            f"signals come in bins of {batch.bin_bp} bp, the model works in bins of {bin_bp} bp",
            where="data: signal_bin_bp",
            expected=f"a divisor of {bin_bp}",
        )
    return bin_bp // batch.bin_bp
