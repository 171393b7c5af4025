"""Random masks, so that a predictor learns to read whatever is left."""

from __future__ import annotations

import torch
from torch import Tensor

RUN_BINS = 8  # length of what is kept or dropped at a stretch


def random_masks(like: Tensor, share: float) -> Tensor:
    """Masks (B, N) of zeros and ones; ``1 - share`` of the rows are all ones.

    The others keep a share of their bins that is drawn evenly from 0 to 1, in stretches of :data:`RUN_BINS` bins.
    """
    rows, num_bins = like.shape
    coarse = torch.rand(rows, -(-num_bins // RUN_BINS) + 1, device=like.device)
    runs = (coarse < torch.rand(rows, 1, device=like.device)).float().repeat_interleave(RUN_BINS, dim=1)
    start = int(torch.randint(RUN_BINS, (1,)))
    is_open = torch.rand(rows, 1, device=like.device) >= share
    return torch.maximum(runs[:, start : start + num_bins], is_open.float())
