"""Motif filters shared by both strands, one token per bin: how well the best site of each motif in the bin scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from seqexp.core.errors import ConfigError


class MotifStem(nn.Module):
    """Bases to bins: filters on both strands, best site per bin, threshold, projection.

    A motif works on either strand, so a filter and its reverse complement share weights and the better one counts:
    half the parameters, and a window and its reverse complement give the same tokens in reverse order.

    Parameters
    ----------
    width : int
        Channels D of the tokens.
    bin_bp : int
        Bases per bin.
    num_filters : int
        Motifs.
    kernel_bp : int
        Bases of a filter, odd.
    max_seeds : int
        Filters that :meth:`start_from` may start from motifs found by counting.

    Raises
    ------
    ConfigError
        An even ``kernel_bp`` or a width, bin or number below 1.
    """

    def __init__(
        self, width: int, bin_bp: int, num_filters: int = 24, kernel_bp: int = 15, *, max_seeds: int = 12
    ) -> None:
        super().__init__()
        if kernel_bp % 2 == 0 or min(width, bin_bp, num_filters) < 1:
            raise ConfigError(
                f"width {width}, bin_bp {bin_bp}, num_filters {num_filters}, kernel_bp {kernel_bp}",
                expected="numbers of at least 1 and an odd kernel_bp",
            )
        self.width, self.bin_bp, self.kernel_bp, self.max_seeds = width, bin_bp, kernel_bp, max_seeds
        self.filters = nn.Parameter(torch.randn(num_filters, 4, kernel_bp) * 0.15)
        self.filters._no_weight_decay = True  # type: ignore[attr-defined]
        self.filters._lr_scale = 0.2  # type: ignore[attr-defined]  # seeded matrices need polish, not another start
        self.norm = nn.BatchNorm1d(num_filters)
        nn.init.constant_(self.norm.bias, -1.0)  # silent unless a site stands out from the bins around
        self.project = nn.Linear(num_filters, width)

    def scores(self, one_hot: Tensor) -> Tensor:
        """Best score of each filter in each bin (B, N, filters), of either strand.

        Filters are centred per position: what all four bases share says nothing.
        """
        length = one_hot.shape[1]
        if length % self.bin_bp:
            raise ConfigError(f"window of {length} bp", expected=f"a multiple of bin_bp = {self.bin_bp}")
        centred = self.filters - self.filters.mean(dim=1, keepdim=True)
        both = torch.cat([centred, centred.flip(1, 2)])  # A<->T and C<->G are a flip of the base axis
        raw = functional.conv1d(one_hot.transpose(1, 2), both, padding=self.kernel_bp // 2)
        best = functional.max_pool1d(raw, self.bin_bp)
        forward, backward = best.chunk(2, dim=1)
        return torch.maximum(forward, backward).transpose(1, 2)

    def forward(self, one_hot: Tensor) -> Tensor:
        """One-hot bases (B, L, 4) to tokens (B, L / bin_bp, D)."""
        return self.project(functional.relu(self.norm(self.scores(one_hot).transpose(1, 2)).transpose(1, 2)))

    @torch.no_grad()
    def start_from(self, motifs: Sequence[NDArray[np.float32]]) -> int:
        """Start filters from log-odds (kernel_bp, 4), at most ``max_seeds``; returns how many were started."""
        chosen = motifs[: min(self.max_seeds, len(self.filters))]
        for row, log_odds in enumerate(chosen):
            self.filters[row] = torch.from_numpy(log_odds.T.copy())
        return len(chosen)
